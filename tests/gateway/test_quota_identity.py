"""Whose calls a quota counts: clients, users, claims, routes, addresses, and nobody without a token."""

from __future__ import annotations

from dataclasses import replace

from gateway.live import Live
from gateway.quota_desk import Desk
from gateway.test_quota import ROUTE, desk, fresh, statuses
from kronborg.gateway.model import Path, Route

__all__ = ["desk"]


def test_clients_users_claims_and_routes_are_counted_apart(gateway: Live, desk: Desk) -> None:
    names = ("client", "user", "claim", "route")
    routes = [
        replace(
            ROUTE,
            name=per,
            path=Path("prefix", f"/{per}"),
            quotas=(fresh(1, per=per, identifier="org" if per == "claim" else ""),),
        )
        for per in names
    ]
    desk.publish(*routes)
    callers = [
        {"client_id": "a", "sub": "x", "org": "1"},
        {"client_id": "a", "sub": "y", "org": "2"},
        {"client_id": "b", "sub": "x", "org": "1"},
    ]

    outcome = {per: [statuses(gateway, 1, f"/{per}", **caller)[0] for caller in callers] for per in names}

    assert outcome == {
        "client": [200, 429, 200],
        "user": [200, 200, 429],
        "claim": [200, 200, 429],
        "route": [200, 429, 429],
    }


def test_identities_with_separators_are_nobody_elses(gateway: Live, desk: Desk) -> None:
    desk.publish(replace(ROUTE, quotas=(fresh(1, per="claim", identifier="org"),)))
    names = ["a", "a\nb", "a\tb", "a\r\n1", "a%0Ab", "a%", "A", 1, "1 ", True, None, 0.1]
    names += [1234567890123456, 1234567890123457]  # as many digits as every reader of JSON keeps

    outcome = [statuses(gateway, 2, org=name) for name in names]

    assert outcome == [[200, 429]] * len(names)


def test_a_public_route_counts_addresses_whatever_they_claim(gateway: Live, desk: Desk) -> None:
    desk.publish(Route("quoted", Path("prefix", "/quoted"), "echo", public=True, quotas=(fresh(2, per="address"),)))

    outcome = [gateway.get("/quoted", headers={"X-Forwarded-For": f"10.0.0.{n}"}).status for n in range(4)]

    assert outcome == [200, 200, 429, 429]


def test_calls_without_a_token_spend_nobodys_quota(gateway: Live, desk: Desk) -> None:
    desk.publish(replace(ROUTE, quotas=(fresh(1, per="route"),)))

    flood = {gateway.get("/quoted", headers={"X-Kronborg-Client": "shop-web"}).status for _ in range(20)}
    after = statuses(gateway, 1)

    assert (flood, after) == ({401}, [200])
