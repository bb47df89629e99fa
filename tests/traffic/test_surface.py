"""The attack surface: what is found in a configuration, how it is scored, what differs between two dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kronborg.api_keys.model import ApiKey
from kronborg.certificates.model import Certificate
from kronborg.clients.model import Api
from kronborg.gateway.access_model import AccessRule
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Cors, Path, Route, Service, Snapshot
from kronborg.gateway.watch_model import SurfaceSettings
from kronborg.traffic.surface import judge, shape_of
from kronborg.traffic.surface_diff import differences
from kronborg.traffic.surface_facts_model import ClientFact, Evidence, Facts, Operation, Probed, SecretFact, Seen
from kronborg.traffic.surface_kinds_model import KINDS
from kronborg.traffic.surface_model import Acknowledgement, Finding, Listener, Surface
from kronborg.traffic.surface_routes import exposures_of
from kronborg.traffic.surface_score import score_of

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
ORDERS = "https://shop.example/orders"
GOOD = Route(
    "orders",
    Path("exact", "/orders"),
    "orders",
    host="shop.example",
    methods=("GET",),
    audience=ORDERS,
    scopes=("orders:read",),
    spike_arrest=SpikeArrest("10/s"),
)
OLD = NOW - timedelta(days=60)


def facts(*routes: Route, evidence: Evidence | None = None) -> Facts:
    snapshot = Snapshot("https://id.example", (Service("orders", ("http://10.0.0.1:80",)),), routes, version=7)
    return Facts(snapshot, SurfaceSettings(), evidence=evidence or Evidence())


def kinds(surface: Surface) -> list[str]:
    return sorted(one.kind for one in surface.findings)


def test_a_route_that_asks_for_a_scope_and_has_a_limit_is_fine() -> None:
    surface = judge(facts(GOOD), now=NOW)

    assert surface.findings == ()
    assert surface.score == 100
    assert [(one.access, one.limits, one.place) for one in surface.exposures] == [
        ("narrowed", ("spike arrest",), "shop.example/orders")
    ]


@pytest.mark.parametrize(
    ("route", "found"),
    [
        (replace(GOOD, public=True, audience=None, scopes=()), ["open_reads"]),
        (replace(GOOD, public=True, audience=None, scopes=(), methods=("GET", "POST")), ["open_writes"]),
        (
            replace(
                GOOD, public=True, audience=None, scopes=(), methods=(), path=Path("prefix", "/"), spike_arrest=None
            ),
            ["open_to_all", "unlimited_open"],
        ),
        (replace(GOOD, scopes=()), ["any_token"]),
        (replace(GOOD, scopes=(), roles=("clerk",)), []),
        (replace(GOOD, scopes=(), rules=(AccessRule(scopes=("orders:write",)),)), []),
        (replace(GOOD, scopes=(), policy="permit(principal, action, resource);"), []),
        (replace(GOOD, scopes=(), policies=("staff",)), []),
        (replace(GOOD, path=Path("prefix", "/")), ["whole_host"]),
        (replace(GOOD, methods=()), ["every_method"]),
        (replace(GOOD, spike_arrest=None), ["unlimited"]),
        (replace(GOOD, cors=Cors(("https://*.shop.example",), credentials=True)), ["wide_cors"]),
        (replace(GOOD, cors=Cors(("https://*.shop.example",))), []),
    ],
)
def test_what_is_open_or_broad_is_found(route: Route, found: list[str]) -> None:
    assert kinds(judge(facts(route), now=NOW)) == found


def test_a_route_is_unused_only_where_the_counts_reach_back_far_enough() -> None:
    short = judge(facts(GOOD, evidence=Evidence(NOW - timedelta(days=3))), now=NOW)
    unused = judge(facts(GOOD, evidence=Evidence(OLD)), now=NOW)
    young = replace(facts(GOOD, evidence=Evidence(OLD)), routes_since={"orders": NOW - timedelta(days=1)})
    used = judge(facts(GOOD, evidence=Evidence(OLD, {"orders": 3})), now=NOW)

    assert kinds(unused) == ["unused_route"]
    assert [kinds(short), kinds(judge(young, now=NOW)), kinds(used)] == [[], [], []]


def test_paths_that_the_document_does_not_know_are_shadows_and_deprecated_ones_are_told() -> None:
    document = (
        Operation("GET", "/orders/{id}", "/orders/[^/]+"),
        Operation("GET", "/orders", "/orders", deprecated=True),
    )
    seen = (
        Seen("GET", "/orders/1", 4),
        Seen("GET", "/orders", 2),
        Seen("GET", "/debug/17", 3),
        Seen("GET", "/debug/18", 1),
    )
    given = replace(facts(GOOD), documents={"orders": document}, evidence=Evidence(NOW, seen={"orders": seen}))

    surface = judge(given, now=NOW)

    assert [(one.kind, one.place, one.detail) for one in surface.findings] == [
        ("deprecated_called", "orders: GET /orders", "2 of the newest requests"),
        ("shadow_path", "orders: GET /debug/{…}", "4 of the newest requests"),
    ]


def test_ids_in_paths_are_one_place() -> None:
    assert shape_of("/a/0197f3c2-0000-7000-8000-000000000001/b/42/v1/summary") == "/a/{…}/b/{…}/v1/summary"


def test_clients_secrets_and_keys_that_are_too_old_long_or_idle_are_found() -> None:
    key = ApiKey(
        "k1", "api_key", "kr_key_abcdef", "nightly", "shop", None, (ORDERS,), (), (), OLD, "x", NOW + timedelta(300)
    )
    given = replace(
        facts(GOOD, evidence=Evidence(OLD, {"orders": 9}, frozenset({("shop", "orders")}))),
        clients=(
            ClientFact("shop", ("password",), ("orders:read", "openid"), OLD),
            ClientFact("idle", ("refresh_token",), ("orders:read", "orders:unknown"), OLD, 86400 * 200),
        ),
        secrets=(SecretFact("shop", NOW - timedelta(days=400), NOW),),
        keys=(key, replace(key, id="k2", revoked_at=OLD)),
        apis=(Api("a", ORDERS, "Orders", (), "jwt", timedelta(hours=8), OLD, OLD),),
    )

    surface = judge(given, now=NOW)

    assert [(one.kind, one.place) for one in surface.findings] == [
        ("legacy_grant", "shop"),
        ("long_key", "nightly (kr_key_abcdef…) of shop"),
        ("long_refresh", "idle"),
        ("long_tokens", "Orders"),
        ("old_secret", "shop"),
        ("unused_key", "nightly (kr_key_abcdef…) of shop"),
        ("unused_scopes", "idle"),
    ]
    assert next(one.detail for one in surface.findings if one.kind == "unused_scopes") == "orders:read: not within 30d"


def test_certificates_listeners_and_probes() -> None:
    made = Certificate("shop", ("shop.example",), "acme", not_after=NOW + timedelta(days=3), failure="no answer")
    given = replace(
        facts(GOOD),
        certificates=(made, replace(made, name="gone", not_after=OLD), replace(made, name="new", not_after=None)),
        listeners=(
            Listener("gateway", "0.0.0.0:80", "APIs", tls=False, beyond=True),
            Listener("identity", "127.0.0.1:8081", "sign-in", tls=False, beyond=False),
        ),
        probes=(
            Probed("orders", "http://10.0.0.1/orders", "GET", NOW, "answered", 200),
            Probed("orders", "http://10.0.0.2/orders", "GET", NOW, "refused", 401),
        ),
    )

    surface = judge(given, now=NOW)

    assert [(one.severity, one.kind) for one in surface.findings] == [
        ("critical", "around_gateway"),
        ("critical", "certificate_ended"),
        ("high", "certificate_ends"),
        ("high", "plain_listener"),
    ]


def test_an_acknowledged_finding_stays_in_sight_and_counts_again_when_its_end_has_come() -> None:
    given = facts(replace(GOOD, scopes=()))
    [found] = judge(given, now=NOW).findings
    known = Acknowledgement(found.id, found.kind, found.place, "all apps may", "ada", OLD, NOW + timedelta(days=1))

    before = judge(given, (known,), now=NOW)
    after = judge(given, (known,), now=NOW + timedelta(days=2))

    assert (before.score, before.open, before.findings) == (100, (), (found,))
    assert (after.score, after.open) == (94, (found,))


@pytest.mark.parametrize(
    ("severities", "score"),
    [((), 100), (("low",), 99), (("medium",), 94), (("high",), 83), (("critical",), 62), (("critical", "high"), 55)],
)
def test_the_score_is_that_of_its_formula(severities: tuple[str, ...], score: int) -> None:
    found = [Finding(one, one, one, "x", "", "") for one in severities]  # type: ignore[arg-type]

    assert score_of(found) == score


def test_many_findings_of_a_kind_do_not_hide_one_of_another() -> None:
    low = [Finding(str(n), "unlimited", "low", str(n), "", "") for n in range(1024)]
    open_one = Finding("x", "open_writes", "high", "x", "", "")

    assert (score_of(low), score_of([*low, open_one])) == (90, 76)


def test_the_difference_tells_what_became_reachable_open_weaker_closed_and_stronger() -> None:
    gone = replace(GOOD, name="old", path=Path("exact", "/old"))
    before = exposures_of(facts(GOOD, gone, replace(GOOD, name="b", path=Path("exact", "/b"))).snapshot)
    after = exposures_of(
        facts(
            replace(GOOD, scopes=(), methods=("GET", "POST")),
            replace(GOOD, name="b", path=Path("exact", "/b"), public=True, audience=None, scopes=()),
        ).snapshot
    )

    found = differences(before, after)
    back = differences(after, before)

    assert [(one.path, one.method) for one in found.reachable] == [("shop.example/orders", "POST")]
    assert [(one.path, one.method) for one in found.opened] == [("shop.example/b", "GET")]
    assert [(one.path, one.what) for one in found.weaker] == [("shop.example/orders", "scopes gone: orders:read")]
    assert [one.path for one in found.closed] == ["shop.example/old"]
    assert [one.what for one in back.stronger] == [
        "was public, and is open to who has what it asks for besides a token",
        "scopes new: orders:read",
    ]
    assert not differences(before, before).any


def test_each_kind_says_why_it_matters_and_how_to_mend_it() -> None:
    for kind in KINDS.values():
        assert kind.title[0].isupper()
        assert kind.why.endswith(".")
        assert kind.mend.endswith(".")
