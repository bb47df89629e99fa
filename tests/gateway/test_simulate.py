"""Simulation answers as the proxy does: a table, and requests that nobody thought of, against a live Envoy."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.live import API, OTHER_API, Answer, Live
from kronborg.gateway.access_model import AccessRule, Addresses, ClaimRule, StepUp
from kronborg.gateway.content_model import Sizes
from kronborg.gateway.model import METHODS, Cors, Path, Route, Snapshot
from kronborg.gateway.simulate import decide, prepare
from kronborg.gateway.simulate_nouns import Call, Decision, Facts, Held, Unfit
from kronborg.gateway.simulate_way import Ready
from kronborg.gateway.traffic_model import Condition, Redirect

PAGE = "https://shop.example"
WRITING = AccessRule(("POST", "DELETE"), ("catalogue:write",), ("clerk",), (ClaimRule("tier", ("gold", "7")),))
POLICY = 'permit (principal, action == Action::"GET", resource) when { context.claims.tier == "gold" };'
ROUTES = (
    Route("all", Path("prefix", "/open"), "echo", public=True),
    Route("deep", Path("prefix", "/open/deep"), "echo", audience=API, scopes=("catalogue:read",), methods=("GET",)),
    Route("deeper", Path("prefix", "/open/deep"), "echo", audience=API, roles=("clerk",), methods=("POST", "PUT")),
    Route("one", Path("exact", "/open/one"), "echo", audience=API, scopes=("catalogue:read", "catalogue:write")),
    Route("purge", Path("exact", "/stock:purge"), "echo", audience=OTHER_API, roles=("admin", "clerk")),
    Route("both", Path("prefix", "/both/"), "echo", audience=API, scopes=("catalogue:write",), roles=("admin",)),
    Route("page", Path("exact", "/page"), "echo", audience=API, cors=Cors((PAGE,)), methods=("GET", "OPTIONS")),
    Route("small", Path("exact", "/small"), "echo", public=True, max_body=10),
    Route("order", Path("template", "/orders/{id}"), "echo", audience=API, rules=(WRITING,)),
    Route("items", Path("template", "/orders/{id}/items/{rest=**}"), "echo", public=True),
    Route("numbered", Path("regex", "/orders/[0-9]+/print"), "echo", audience=API, policy=POLICY),
    Route("beta", Path("exact", "/v"), "echo", public=True, headers=(Condition("x-requested-with", exact="beta"),)),
    Route("asked", Path("exact", "/v"), "echo", public=True, query=(Condition("v", prefix="2"),), methods=("GET",)),
    Route("plain", Path("exact", "/v"), "echo", audience=API, methods=("GET", "POST")),
    Route("strong", Path("exact", "/strong"), "echo", audience=API, step_up=StepUp(("phr",), timedelta(minutes=5))),
    Route("far", Path("exact", "/far"), "echo", public=True, addresses=Addresses(allow=("203.0.113.0/24",))),
    Route("near", Path("exact", "/near"), "echo", public=True, addresses=Addresses(deny=("10.0.0.0/8",))),
    Route("moved", Path("exact", "/moved"), "", public=True, redirect=Redirect(path="/v")),
    Route("short", Path("prefix", "/short"), "echo", public=True, sizes=Sizes(target=24, parameters=2)),
    Route("below", Path("prefix", "/"), "echo", host="*.api.example", public=True),
    Route("hosted", Path("prefix", "/"), "echo", host="api.example", public=True, methods=("GET",)),
)


@pytest.fixture(scope="module")
def served(gateway: Live) -> tuple[Live, Ready]:
    snapshot = gateway.snapshot(*ROUTES)
    gateway.deliver(snapshot)
    return gateway, prepare(snapshot)


def assert_same(answer: Answer, decision: Decision) -> None:
    """The proxy did what the simulation said, and for the same reason."""
    assert answer.status == (decision.status or 200), decision
    assert decision.passes == (b'"method"' in answer.body), decision
    if decision.ending == "refused":
        assert answer.json()["reason"] == decision.reason, decision


def ask(live: Live, ready: Ready, call: Call, **claims: object) -> None:
    """Ask both, with a token of these claims where the call has one."""
    token = None if call.token is None else "nonsense"
    proved = call.token
    if isinstance(call.token, Held):
        token = live.token(typ=call.token.typ, **claims)  # type: ignore[arg-type]
        proved = replace(call.token, claims=said_by(token))
    body = b"x" * call.body if call.body else None
    answer = live.request(
        call.method, call.path, token=token, headers=dict(call.headers), host=call.host or None, body=body
    )

    decision = decide(ready, replace(call, token=proved, address="127.0.0.1"), now=datetime.now(UTC))

    assert_same(answer, decision)


def said_by(token: str) -> dict[str, Any]:
    """The claims of a JWT."""
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


TOKEN = Held({})
NOW = int(time.time())


@pytest.mark.parametrize(
    ("method", "path", "claims"),
    [
        ("GET", "/open", None),
        ("GET", "/open?x=%2f", None),
        ("GET", "/opener", None),
        ("GET", "/healthz", None),
        ("GET", "/open/deep/x", None),
        ("GET", "/open/deep/x", {}),
        ("GET", "/open/deep/x", {"scope": "openid catalogue:reader"}),
        ("POST", "/open/deep/x", {}),
        ("POST", "/open/deep/x", {"roles": ["clerk"]}),
        ("POST", "/open/deep/x", {"roles": "clerk"}),
        ("DELETE", "/open/deep/x", {}),
        ("GET", "/open/one", {"scope": "catalogue:write x catalogue:read"}),
        ("GET", "/open/one/", {}),
        ("GET", "/open//one", None),
        ("GET", "/open/./deep", None),
        ("GET", "/open/x/../deep", None),
        ("GET", "/open/%64eep", None),
        ("GET", "/open/%2e%2e/open/one", None),
        ("GET", "/open/..%2fone", None),
        ("GET", "/open;x=1", None),
        ("GET", "/stock%3Apurge", {"aud": OTHER_API, "roles": ["admin"]}),
        ("GET", "/stock:purge", {"aud": OTHER_API, "roles": ["admin"]}),
        ("GET", "/stock:purge", {"aud": API, "roles": ["admin"]}),
        ("GET", "/both/x", {}),
        ("GET", "/both/x", {"scope": "catalogue:write"}),
        ("GET", "/both/x", {"roles": ["admin"]}),
        ("GET", "/both", {"scope": "catalogue:write", "roles": ["admin"]}),
        ("GET", "/page", {"exp": NOW - 60}),
        ("GET", "/page", {"nbf": NOW + 600}),
        ("GET", "/page", {"exp": None}),
        ("GET", "/page", {"client_id": None}),
        ("GET", "/page", {"iss": "https://evil.example"}),
        ("GET", "/page", {"aud": ["x", API + "/"]}),
        ("GET", "/page", {"aud": API.replace("https", "http")}),
        ("GET", "/page", {"aud": None}),
        ("GET", "/.well-known/oauth-protected-resource/page", None),
        ("POST", "/.well-known/oauth-protected-resource/page", None),
        ("GET", "/.well-known/oauth-protected-resource/none", None),
        ("PROPFIND", "/open", None),
        ("GET", "/orders/7", {}),
        ("GET", "/orders/7/", {}),
        ("GET", "/orders/7/8", {}),
        ("POST", "/orders/7", {}),
        ("POST", "/orders/7", {"tier": "gold"}),
        ("POST", "/orders/7", {"tier": ["tin", 7], "roles": ["clerk"]}),
        ("POST", "/orders/7", {"tier": 7, "roles": ["clerk"], "scope": "catalogue:write"}),
        ("GET", "/orders/7/items/a/b", None),
        ("GET", "/orders/7/print", {}),
        ("GET", "/orders/x/print", {}),
        ("GET", "/orders/7/print", {"tier": "gold"}),
        ("POST", "/orders/7/print", {"tier": "gold"}),
        ("GET", "/v", None),
        ("GET", "/v?v=2.1", None),
        ("GET", "/v?x&v=2", None),
        ("POST", "/v?v=2", None),
        ("DELETE", "/v", None),
        ("GET", "/strong", {}),
        ("GET", "/strong", {"acr": "phr"}),
        ("GET", "/strong", {"acr": "phr", "auth_time": NOW}),
        ("GET", "/strong", {"acr": "phr", "auth_time": NOW - 600}),
        ("GET", "/far", None),
        ("GET", "/near", None),
        ("GET", "/moved", None),
    ],
)
def test_it_answers_as_the_proxy(
    served: tuple[Live, Ready], method: str, path: str, claims: dict[str, object] | None
) -> None:
    ask(served[0], served[1], Call(method, "localhost", path, None if claims is None else TOKEN), **(claims or {}))


@pytest.mark.parametrize(
    "call",
    [
        Call("GET", "elsewhere.example", "/open"),
        Call("GET", "elsewhere.example", "/healthz"),
        Call("GET", "a.b.api.example", "/anything"),
        Call("GET", ".api.example", "/anything"),
        Call("DELETE", "localhost", "/v", headers={"x-requested-with": "beta"}),
        Call("GET", "API.example:8443", "/anything"),
        Call("POST", "api.example", "/anything"),
        Call("GET", "api.example", "/open/deep"),
        Call("GET", "localhost", "/page", Unfit("nonsense")),
        Call("GET", "localhost", "/page", Held({}, "JWT")),
        Call("GET", "localhost", "/page", headers={"authorization": "Basic eDp5"}),
        Call("POST", "localhost", "/small", body=10),
        Call("POST", "localhost", "/small", body=11),
        Call("GET", "localhost", "/short/" + "a" * 17),
        Call("GET", "localhost", "/short/" + "a" * 18),
        Call("GET", "localhost", "/short?a=1&b=2"),
        Call("GET", "localhost", "/short?a=1&b=2&c=3"),
        Call("GET", "localhost", "/short?"),
        Call("GET", "localhost", "/short?&&"),
        *(
            Call("OPTIONS", "localhost", path, headers={"origin": origin, "access-control-request-method": "GET"})
            for path in ("/page", "/open", "/open/one")
            for origin in (PAGE, "https://evil.example")
        ),
    ],
)
def test_it_answers_as_the_proxy_to_other_hosts_pages_and_bodies(served: tuple[Live, Ready], call: Call) -> None:
    ask(served[0], served[1], call)


PARTS = (
    *("orders", "7", "items", "print", "v", "strong"),
    "open",
    "deep",
    "one",
    "both",
    "page",
    "small",
    "stock:purge",
    "",
    ".",
    "..",
    "%2e",
    "%64eep",
    "a%20b",
    "x;y",
    "~",
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "scope": st.lists(st.sampled_from(["catalogue:read", "catalogue:write", "openid"])).map(" ".join),
        "tier": st.sampled_from(["gold", 7, True, None]),
        "roles": st.lists(st.sampled_from(["admin", "clerk", "guest"]), max_size=2),
        "aud": st.sampled_from([API, OTHER_API]),
        "exp": st.sampled_from([None, NOW - 60, NOW + 3600]),
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from([one for one in METHODS if one != "HEAD"]),
    parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=4),
    host=st.sampled_from(["localhost", "localhost", "api.example"]),
    claims=st.none() | CLAIMS,
)
def test_it_answers_as_the_proxy_whatever_is_asked(
    served: tuple[Live, Ready], method: str, parts: list[str], host: str, claims: dict[str, object] | None
) -> None:
    path = "/" + "/".join(parts)

    ask(served[0], served[1], Call(method, host, path, None if claims is None else TOKEN), **(claims or {}))


def test_a_trail_tells_each_stage_and_what_was_never_reached() -> None:
    ready = prepare(Snapshot("http://localhost:8081", routes=ROUTES))
    call = Call(
        "GET",
        "localhost",
        "/open/deep",
        Held({"iss": ready.snapshot.issuer, "aud": API, "exp": 2e10, "client_id": "shop", "scope": "openid"}),
    )

    decision = decide(ready, call, now=datetime.now(UTC))

    told = {step.stage: (step.outcome, step.asked, step.found) for step in decision.trail}
    assert (decision.status, decision.reason, decision.route) == (403, "missing_scope", "deep")
    assert told["routing"][:2] == ("passed", "The route deep takes GET here.")
    assert told["access"] == ("refused", "Every one of the scopes catalogue:read.", "scopes: openid")
    assert told["service"][0] == told["content"][0] == "unreached"


@pytest.mark.parametrize(("facts", "reason"), [(Facts(revoked=True), "revoked"), (Facts(), "")])
def test_what_no_snapshot_says_is_given_as_facts(facts: Facts, reason: str) -> None:
    ready = prepare(Snapshot("http://localhost:8081", routes=(Route("r", Path("exact", "/r"), "echo", audience=API),)))
    held = Held({"iss": ready.snapshot.issuer, "aud": API, "exp": 2e10, "client_id": "shop"})

    decision = decide(ready, Call("GET", "localhost", "/r", held, facts=facts), now=datetime.now(UTC))

    assert decision.reason == reason


def test_thousands_of_decisions_take_a_second_at_most() -> None:
    routes = tuple(Route(f"r{n}", Path("prefix", f"/a{n % 97}/b{n}"), "echo", public=True) for n in range(2000))
    ready = prepare(Snapshot("http://localhost:8081", routes=routes))
    now, begun = datetime.now(UTC), time.process_time()

    passed = sum(decide(ready, Call("GET", "localhost", f"/a{n % 97}/b{n}/c/d"), now=now).passes for n in range(2000))

    assert passed == 2000
    assert time.process_time() - begun < 0.4
