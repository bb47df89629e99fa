"""The guard at a live gateway: sizes, JSON within bounds, what a document says, policies; and that it fails closed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.guarding import Desk, described, guarding
from gateway.live import API, Answer, Live, wait_until
from kronborg.gateway.content_model import Content, JsonBounds, Sizes
from kronborg.gateway.envoy.access_log import path_of
from kronborg.gateway.model import Path, Route
from kronborg.gateway.policies import Facts, decide, needs_decision

DOCUMENT = b"""
openapi: 3.1.0
info: {title: Orders, version: "1"}
paths:
  /described/orders:
    post:
      parameters:
        - {name: dry, in: query, schema: {type: boolean}}
      requestBody:
        required: true
        content:
          application/json:
            schema: {$ref: "#/components/schemas/Order"}
components:
  schemas:
    Order:
      type: object
      required: [items]
      properties:
        items:
          type: array
          items:
            type: object
            properties:
              price: {type: number, minimum: 0}
"""
DYNAMIC = "permit(principal, action, resource) when { context.claims.level > 3 };"
DYNAMICS = (
    DYNAMIC,
    'permit(principal, action, resource) when { context.claims.department like "s*" };',
    "permit(principal, action, resource) when { context.scopes.containsAny(context.roles) };",
    "permit(principal, action, resource) when { context.claims.level + 1 == 5 };",
    'permit(principal, action, resource) unless { context.claims.level > 3 && action == Action::"GET" };',
    'permit(principal, action, resource); forbid(principal in Role::"boss", action, resource)'
    ' when { context.path like "*/d5" && context.claims.level > 3 };',
    "permit(principal, action, resource) when { context.claims.sub == context.client };",
)
CLAIMS: tuple[dict[str, Any], ...] = (
    {},
    {"level": 4, "department": "sales"},
    {"level": 4.0, "roles": ["boss"]},
    {"level": "4", "roles": ["catalogue:read"]},
    {"level": 5, "roles": ["boss", "clerk"], "department": "it"},
    {"level": None, "department": ["sales"], "sub": "shop-web"},
    {"__entity": {"type": "Role", "id": "boss"}, "level": 4, "department": "s"},
)
ENFORCE = Content(validate="enforce")
ROUTES = (
    Route("json", Path("prefix", "/json"), "echo", public=True, content=Content(json=JsonBounds(depth=5, string=100))),
    Route(
        "described",
        Path("prefix", "/described"),
        "echo",
        public=True,
        content=Content(validate="enforce"),
        max_body=4096,
    ),
    Route("reported", Path("prefix", "/reported"), "echo", public=True, content=Content(validate="report")),
    Route("policy", Path("prefix", "/policy"), "echo", audience=API, policy=DYNAMIC),
    Route(
        "sizes",
        Path("prefix", "/sizes"),
        "echo",
        public=True,
        sizes=Sizes(target=100, parameters=3, headers=12, header_bytes=2000),
    ),
    *(Route(f"d{n}", Path("prefix", f"/d{n}"), "echo", audience=API, policy=text) for n, text in enumerate(DYNAMICS)),
    Route("plain", Path("prefix", "/plain"), "echo", public=True),
)


@pytest.fixture(scope="module")
def desk(gateway: Live) -> Iterator[Desk]:
    with guarding(gateway) as desk:
        desk.routes = {route.name: route for route in ROUTES}
        desk.documents = {"echo": described(DOCUMENT)}
        gateway.publish(*ROUTES)
        yield desk


def post(gateway: Live, path: str, body: bytes, kind: str = "application/json", **headers: str) -> Answer:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.request("POST", path, body=body, headers={"content-type": kind, **more})


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b'{"a":[1,2,{"b":null}]}', 200, ""),
        (b"[" * 100_000 + b"]" * 100_000, 400, "json_too_complex"),
        (b"[[[[[1]]]]]", 200, ""),
        (b"[[[[[[1]]]]]]", 400, "json_too_complex"),
        (b'{"a":1,"a":2}', 400, "duplicate_key"),
        (b'{"a":1,"\\u0061":2}', 400, "duplicate_key"),
        (b'["' + b"x" * 101 + b'"]', 400, "json_too_complex"),
        (b"[" + b"9" * 100_000 + b"]", 400, "malformed_json"),
        (b"[1e400]", 400, "malformed_json"),
        (b"[NaN]", 400, "malformed_json"),
        (b"[1] [2]", 400, "malformed_json"),
        (b"\xef\xbb\xbf[1]", 400, "malformed_json"),
        (b'["\\ud800"]', 400, "malformed_json"),
        (b'["\xff"]', 400, "malformed_json"),
        (b"[1", 400, "malformed_json"),
    ],
)
@pytest.mark.spec("RFC 8259 §4")
def test_json_is_held_to_its_bounds(gateway: Live, desk: Desk, body: bytes, status: int, reason: str) -> None:
    answer = post(gateway, "/json", body)

    assert (answer.status, answer.json().get("reason", "")) == (status, reason)
    assert answer.json().get("body", len(body)) == len(body)


@pytest.mark.spec("RFC 9457 §3")
def test_a_refusal_says_where_and_never_what(gateway: Live, desk: Desk) -> None:
    body = json.dumps({"items": [{"price": -4.25}], "secret-name": "secret-value"}).encode()

    answer = post(gateway, "/described/orders?dry=true", body)

    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reason"] == "invalid_body"
    assert answer.json()["errors"] == [{"pointer": "/items/0/price", "expected": "minimum 0"}]
    assert b"secret" not in answer.body
    assert b"4.25" not in answer.body


def test_what_the_document_says_decides(gateway: Live, desk: Desk) -> None:
    fine = post(gateway, "/described/orders", b'{"items":[{"price":1}]}')
    parameter = post(gateway, "/described/orders?dry=perhaps", b'{"items":[]}')
    unknown = post(gateway, "/described/other", b"{}")
    method = gateway.request("PUT", "/described/orders", body=b"{}", headers={"content-type": "application/json"})
    missing = gateway.request("POST", "/described/orders")
    kind = post(gateway, "/described/orders", b"a=1", "application/x-www-form-urlencoded")

    assert fine.status == 200
    assert (parameter.status, parameter.json()["errors"]) == (
        422,
        [{"in": "query", "parameter": "dry", "expected": "type boolean"}],
    )
    assert (unknown.status, unknown.json()["reason"]) == (404, "not_described")
    assert (method.status, method.json()["reason"]) == (404, "not_described")
    assert (missing.status, missing.json()["reason"]) == (422, "invalid_body")
    assert (kind.status, kind.json()["reason"]) == (415, "wrong_media_type")


def test_reporting_lets_pass(gateway: Live, desk: Desk) -> None:
    answer = post(gateway, "/reported/nowhere", b"{}")

    assert answer.status == 200
    # The access record says what it would have been refused for.
    wait_until(lambda: b'"rp":"not_described"' in path_of(gateway.proxy).read_bytes())


@pytest.mark.parametrize(
    ("kind", "body", "headers"),
    [
        ("application/json", gzip.compress(b"{}", mtime=0), {"content_encoding": "gzip"}),
        ("application/json; charset=utf-16", b"{}", {}),
        ("application/xml", b"<a/>", {}),
        ("image/svg+xml", b"<a/>", {}),
        ("multipart/form-data; boundary=x", b"--x--", {}),
        ("", b"{}", {}),
    ],
)
def test_other_bodies_are_refused(gateway: Live, desk: Desk, kind: str, body: bytes, headers: dict[str, str]) -> None:
    answer = post(gateway, "/json", body, kind, **headers)

    assert (answer.status, answer.json()["reason"]) == (415, "wrong_media_type")


def test_a_body_in_pieces_is_looked_at_whole(gateway: Live, desk: Desk) -> None:
    head = b"POST /json HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"

    fine = gateway.raw(head + b'4\r\n{"a"\r\n3\r\n:1}\r\n0\r\n\r\n')
    twice = gateway.raw(head + b'4\r\n{"a"\r\n9\r\n:1,"a":2}\r\n0\r\n\r\n')

    assert b" 200 " in fine.split(b"\r\n")[0]
    assert b"duplicate_key" in twice


def test_a_body_beyond_its_bound_is_not_asked_about(gateway: Live, desk: Desk) -> None:
    before = desk.asked

    answer = post(gateway, "/described/orders", b'{"items":[' + b" " * 5000 + b"]}")

    assert (answer.status, answer.json()["reason"], desk.asked) == (413, "body_too_large", before)


@pytest.mark.parametrize(
    ("path", "headers", "status", "reason"),
    [
        ("/sizes/a?a=1&b=2&c=3", [], 200, ""),
        ("/sizes/" + "a" * 100, [], 414, "target_too_long"),
        ("/sizes?a&b&c&d", [], 414, "too_many_parameters"),
        ("/sizes", [(f"h{n}", "1") for n in range(13)], 431, "headers_too_large"),
        ("/sizes", [("h", "1" * 2000)], 431, "headers_too_large"),
    ],
)
def test_sizes_are_held_without_asking_anybody(
    gateway: Live, desk: Desk, path: str, headers: list[tuple[str, str]], status: int, reason: str
) -> None:
    before = desk.asked

    answer = gateway.request("GET", path, headers=headers)

    assert (answer.status, answer.json().get("reason", ""), desk.asked) == (status, reason, before)


def test_a_policy_that_the_proxy_cannot_decide_is_asked(gateway: Live, desk: Desk) -> None:
    assert needs_decision(DYNAMIC, "policy")

    high = gateway.get("/policy", token=gateway.token(level=4))
    low = gateway.get("/policy", token=gateway.token(level=3))
    none = gateway.get("/policy", token=gateway.token())
    unknown = gateway.get("/policy")

    assert (high.status, low.status, none.status, unknown.status) == (200, 403, 403, 401)
    assert low.json()["reason"] == "policy_denied"


def test_the_guard_decides_as_the_library_does(gateway: Live, desk: Desk) -> None:
    wrong, allowed = [], 0

    for claims in CLAIMS:
        told = gateway.claims(**claims)
        token = gateway.token(**told)  # type: ignore[arg-type]  # claims
        for n, text in enumerate(DYNAMICS):
            facts = Facts(
                subject=str(told["sub"]),
                client=str(told["client_id"]),
                method="GET",
                route=f"d{n}",
                path=f"/d{n}",
                scopes=tuple(str(told["scope"]).split()),
                roles=tuple(claims.get("roles", ())),
                claims=told,  # type: ignore[arg-type]
            )
            wanted = decide(text, facts)
            allowed += wanted
            if (gateway.get(f"/d{n}?x=/d5", token=token).status == 200) != wanted:
                wrong.append((text, claims))

    assert all(needs_decision(text, "d") for text in DYNAMICS)
    assert not wrong
    assert 10 < allowed < len(CLAIMS) * len(DYNAMICS) - 10


def test_headers_of_the_guard_from_outside_mean_nothing(gateway: Live, desk: Desk) -> None:
    forged = {
        "x-kronborg-route": "plain",
        "x-kronborg-reported": "x",
        "x-kronborg-exchange": gateway.exchange.secret,
        "content-type": "application/json",
    }

    answer = gateway.request("POST", "/json", body=b"[1", headers=forged)

    assert (answer.status, answer.json()["reason"]) == (400, "malformed_json")


def test_routes_without_a_guard_ask_nobody(gateway: Live, desk: Desk) -> None:
    before = desk.asked

    answer = post(gateway, "/plain", b"[1")

    assert (answer.status, desk.asked) == (200, before)


def test_a_route_that_the_guard_does_not_know_is_closed(gateway: Live, desk: Desk) -> None:
    known = desk.routes.pop("json")
    try:
        answer = post(gateway, "/json", b"{}")
    finally:
        desk.routes["json"] = known

    assert (answer.status, answer.json()["reason"]) == (503, "guard_unavailable")


def test_a_missing_document_closes_what_asks_for_it(gateway: Live, desk: Desk) -> None:
    known = desk.documents.pop("echo")
    try:
        enforced, reported = post(gateway, "/described/orders", b"{}"), post(gateway, "/reported/orders", b"{}")
    finally:
        desk.documents["echo"] = known

    assert (enforced.status, enforced.json()["reason"], reported.status) == (503, "document_missing", 200)


def test_a_slow_guard_is_a_refusal(gateway: Live, desk: Desk) -> None:
    desk.slow = True
    try:
        answer = post(gateway, "/json", b"{}")
    finally:
        desk.slow = False

    assert (answer.status, answer.json()["reason"], answer.headers["retry-after"]) == (503, "guard_unavailable", "1")
