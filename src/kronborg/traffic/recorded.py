"""A recorded request as simulation asks it: what the record says, and nothing made up.

A record has no body, no headers and few claims. What a record cannot say is taken out of the snapshots (`knowable`), so
that `decide` answers by what is known; what was taken out is compared part by part (`parts_of`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Literal

from kronborg.api_keys.model import PERSON
from kronborg.core.json import JsonValue
from kronborg.gateway.access_model import AccessRule
from kronborg.gateway.model import Route, Snapshot
from kronborg.gateway.shared_policies import settled
from kronborg.gateway.simulate_nouns import Call, Held, Unfit
from kronborg.gateway.simulate_rights import rights_of
from kronborg.gateway.traffic_model import Condition
from kronborg.traffic.model import AccessRecord

Part = Literal["claims", "roles", "policy", "binding", "step_up", "limits", "issuers", "keys", "filters"]
"""What a route may ask for that no record says enough about."""

ORDER: tuple[Part, ...] = ("keys", "issuers", "claims", "roles", "policy", "binding", "step_up", "filters", "limits")
"""In the order in which a request comes to them."""

_KNOWN = frozenset(
    {
        *("name", "path", "service", "host", "methods", "public", "audience", "scopes", "rules", "addresses"),
        *("max_body", "cors", "headers", "query", "redirect", "grpc", "split", "canary", "listeners"),
    }
)
_PARTS = frozenset(
    {
        *("roles", "step_up", "policy", "credentials", "issuers", "bound"),
        *("spike_arrest", "rate_limit", "quotas", "concurrency"),
    }
)
_AFTER = frozenset(
    {
        *("timeout", "cookies", "rewrite", "request_headers", "response_headers", "compress", "websocket", "stream"),
        *("idle", "mirror", "sticky", "retry_keyed", "when_stale"),
    }
)
"""What changes nothing about who is let through."""
_UNSET: dict[str, object] = {
    one.name: one.default
    for one in fields(Route)
    if one.name not in _KNOWN | _PARTS | _AFTER and one.default != MISSING
}
"""Whatever else a route may have: it is asked of requests by means that a record says nothing about."""
_LIVES = 300


@dataclass(frozen=True, slots=True)
class Parts:
    """What a route asks for by each part, for one method; equal values ask the same."""

    asked: Mapping[Part, object]
    roles: tuple[frozenset[str], ...]

    def asks(self, part: Part) -> bool:
        """Whether it asks for anything there."""
        return bool(self.asked[part])


NOTHING = Parts(dict.fromkeys(ORDER), ())
"""What no route asks."""


def _policy_of(route: Route, snapshot: Snapshot) -> str | None:
    """The whole text that judges a route: its own, and those that it names."""
    if not route.policies:
        return route.policy
    return settled(replace(snapshot, routes=(route,))).routes[0].policy


def parts_of(route: Route, method: str, snapshot: Snapshot) -> Parts:
    """The parts of a route."""
    rights = rights_of(route, method)
    bound = any(one.bound for one in snapshot.audiences if one.uri == route.audience)
    other = (route.spike_arrest, route.rate_limit, route.quotas, route.concurrency)
    asked: dict[Part, object] = {
        "keys": frozenset(route.credentials),
        "issuers": frozenset(route.issuers),
        "claims": rights.claims,
        "roles": tuple(sorted(tuple(sorted(any_of)) for any_of in rights.roles)),
        "policy": _policy_of(route, snapshot),
        "binding": (bound, route.bound) if bound or route.bound != "as_issued" else None,
        "step_up": rights.step_ups,
        "filters": _set_fields(route),
        "limits": other if any(other) else None,
    }
    if route.public:
        asked |= dict.fromkeys(("keys", "issuers", "claims", "roles", "policy", "binding", "step_up"))
    return Parts(asked, tuple(frozenset(any_of) for any_of in rights.roles))


def _set_fields(route: Route) -> tuple[tuple[str, object], ...]:
    return tuple((name, value) for name, unset in _UNSET.items() if (value := getattr(route, name)) != unset)


def knowable(snapshot: Snapshot) -> Snapshot:
    """The snapshot without what no record says enough about."""
    routes = tuple(
        replace(
            route,
            roles=(),
            rules=tuple(AccessRule(one.methods, one.scopes) for one in route.rules if one.scopes),
            step_up=None,
            policy=None,
            credentials=("token",),
            issuers=(),
            spike_arrest=None,
            rate_limit=None,
            quotas=(),
            concurrency=None,
            **_UNSET,  # type: ignore[arg-type]  # their own defaults
        )
        for route in snapshot.routes
    )
    audiences = tuple(replace(one, bound=False) for one in snapshot.audiences)
    return replace(snapshot, routes=routes, audiences=audiences, issuers=())


def call_of(record: AccessRecord, served: Route | None, issuer: str) -> Call:
    """The request of a record. `served` is the route that took it, of the version that was published then."""
    headers, query = ({}, "") if served is None else _fitting(served)
    headers["user-agent"] = record.agent
    path = record.path
    if served is not None and served.redirect is not None and served.path.kind == "exact":
        path = served.path.value  # the proxy notes where a caller was sent
    return Call(
        record.method,
        record.host,
        path + query,
        _token(record, served, issuer),
        headers,
        record.address,
        _body(record, served),
    )


def _token(record: AccessRecord, served: Route | None, issuer: str) -> Held | Unfit | None:
    if record.client:
        claims: dict[str, JsonValue] = {
            "iss": issuer,
            "aud": None if served is None else served.audience,
            "client_id": record.client + (record.subject if record.client == PERSON else ""),
            "sub": record.subject,
            "scope": record.scopes,
            "jti": record.token,
            "exp": int(record.at.timestamp()) + _LIVES,
        }
        return Held(claims)
    return Unfit("a token that is not valid") if record.reason == "invalid_token" else None


def _body(record: AccessRecord, served: Route | None) -> int:
    if served is None or served.stream or served.websocket:
        return 0
    return served.max_body + 1 if record.reason == "body_too_large" else min(record.bytes_in, served.max_body)


def _fitting(route: Route) -> tuple[dict[str, str], str]:
    """Headers and a query that the conditions of the route hold for: it took the request, so they held."""
    headers = {one.name: value for one in route.headers if (value := _value(one)) is not None}
    query = "&".join(f"{one.name}={value}" for one in route.query if (value := _value(one)) is not None)
    return headers, f"?{query}" if query else ""


def _value(condition: Condition) -> str | None:
    """Some value that fits; None where none may be there, or where a regular expression says what fits."""
    plain = condition.exact is None and condition.prefix is None and condition.regex is None
    if plain:
        return "x" if (condition.present is not False) != condition.inverted else None
    return None if condition.inverted else condition.exact or condition.prefix
