"""Requests that try to be read in two ways, and what the service sees of the others."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from gateway.live import API, Live
from kronborg.gateway.model import Cors, Path, Route

PUBLIC = Route("public", Path("prefix", "/public"), "echo", public=True)
ADMIN = Route("admin", Path("prefix", "/admin"), "echo", audience=API)
DEEP = Route("deep", Path("prefix", "/public/deep"), "echo", methods=("GET",), audience=API)
SMALL = Route("small", Path("exact", "/small"), "echo", public=True, max_body=1000, cookies=True)
HOSTED = Route("hosted", Path("prefix", "/hosted"), "echo", host="api.example", public=True)

SPOOFED = """
X-User X-User-Id X-Client-Id X-Client X-Forwarded-User X-Forwarded-Host X-Real-IP X-Kronborg-Subject
X-Kronborg-Client X-Kronborg-Roles x.user.id x.kronborg.subject X-Remote-User Remote-User User-Id Client-Cert
X-Original-URL X-Rewrite-URL Forwarded X-HTTP-Method-Override X-Envoy-Original-Path
X-Envoy-Upstream-Rq-Timeout-Ms Kronborg-Subject X-Anything Proxy-Authorization X X- True-Client-IP
X-Requested-Wit X-Requested-Withx OIDC-Claim-Sub Iv-User Sm-User Shib-User Saml-User Gap-Auth Web-Auth-User
Tailscale-User-Login Cas-User Access-Token Cf-Access-Jwt-Assertion
"""


@pytest.fixture
def edge(gateway: Live) -> Live:
    gateway.publish(PUBLIC, ADMIN, DEEP, SMALL, HOSTED)
    return gateway


@pytest.mark.parametrize(
    "path",
    [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/.%2e/admin",
        "/public/%2E%2E/admin",
        "/public/..%2fadmin",
        "/public/..%2Fadmin",
        "/public/%2e%2e%2fadmin",
        "/public/..%5cadmin",
        "/public\\..\\admin",
        "/public/..\\admin",
        "/public//../admin",
        "/public/./../admin",
        "/public/..;/admin",
        "/public/..;x=1/admin",
        "/public/%3b/../admin",
        "/public/..%3b/admin",
        "/public/%252e%252e/admin",
        "/public/..%252fadmin",
        "/public/%00/admin",
        "/public/%0d%0aX:1",
        "/public;x=1",
        "//admin",
        "///public/../admin",
        "/public/deep/../../admin",
        "/public/%64eep",
        "/public/d%65%65p/x",
        "/%70ublic/x",
        "/public/%25%32%65%25%32%65/admin",
    ],
)
def test_no_spelling_of_a_path_gets_past_the_route_that_guards_it(edge: Live, path: str) -> None:
    answer = edge.request("GET", path)

    if answer.status == 200:
        seen = str(answer.json()["path"])
        assert seen.startswith("/public/")
        assert not unquote(seen).startswith("/public/deep")
        assert not set(seen.split("/")) & {"..", ".", ""} - {seen.split("/")[0]}
    else:
        assert answer.status in (400, 401, 404)


@pytest.mark.parametrize("path", ["/ADMIN", "/Admin", "/admin%20", "/admin.json", "/admin%2e", "/adminx", "/admin~"])
def test_neighbours_of_a_guarded_path_are_not_routes(edge: Live, path: str) -> None:
    answer = edge.get(path, token=edge.token())

    assert answer.status == 404


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ("/public//a", "/public/a"),
        ("/public/a/../b", "/public/b"),
        ("/public/./a", "/public/a"),
        ("/public/%61", "/public/a"),
        ("/public/a%40b%3Ac%7E", "/public/a%40b%3Ac~"),
        ("/public/a%20b?x=%2F..%2F;y", "/public/a%20b?x=%2F..%2F;y"),
        ("/public/%e2%82%ac", "/public/%e2%82%ac"),
        ("/public/a:b@c,d=e", "/public/a:b@c,d=e"),
    ],
)
def test_the_path_decided_on_is_the_path_the_service_sees(edge: Live, asked: str, seen: str) -> None:
    answer = edge.get(asked)

    assert answer.status == 200
    assert answer.json()["path"] == seen


def test_a_slash_after_a_guarded_path_does_not_lead_to_a_wider_route(gateway: Live) -> None:
    guarded, both = Route("one", Path("exact", "/wide/one"), "echo", audience=API), Path("exact", "/wide/two")
    gateway.publish(
        Route("wide", Path("prefix", "/wide"), "echo", public=True),
        guarded,
        Route("two", both, "echo", audience=API),
        Route("below", Path("prefix", "/wide/two/"), "echo", public=True),
    )

    twin, plain = gateway.get("/wide/one/"), gateway.get("/wide/one")
    declared, other = gateway.get("/wide/two/"), gateway.get("/wide/three/")

    assert (twin.status, plain.status) == (404, 401)
    assert (declared.status, other.status) == (200, 200)


def test_a_special_character_of_a_guarded_path_is_not_hidden_by_encoding_it(gateway: Live) -> None:
    everything = Route("all", Path("prefix", "/"), "echo", public=True)
    gateway.publish(everything, Route("purge", Path("exact", "/stock:purge"), "echo", audience=API))

    hidden, plain = gateway.get("/stock%3Apurge"), gateway.get("/stock:purge")
    ordinary = gateway.get("/people/a%40b.example")

    assert (hidden.status, plain.status, ordinary.status) == (400, 401, 200)


def test_a_method_the_deciding_path_does_not_take_never_falls_through_to_a_shorter_one(edge: Live) -> None:
    answer = edge.request("POST", "/public/deep/x", body=b"{}")

    assert answer.status == 405
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "FOO"])
def test_methods_outside_the_list_are_refused(edge: Live, method: str) -> None:
    answer = edge.raw(f"{method} /public HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert answer[9:12] in (b"400", b"404", b"405")


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", id="length and chunked"),
        pytest.param(b"Content-Length: 5\r\nContent-Length: 6\r\n", id="two lengths"),
        pytest.param(b"Content-Length: +5\r\n", id="signed length"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n", id="odd coding"),
        pytest.param(b"Transfer-Encoding: chunked, identity\r\n", id="two codings"),
        pytest.param(b"Transfer-Encoding : chunked\r\n", id="space before the colon"),
        pytest.param(b"X-A: a\x00b\r\n", id="NUL"),
        pytest.param(b"X_User: a\r\n", id="underscore"),
        pytest.param(b"Host: localhost\r\n", id="two hosts"),
        pytest.param(b"X-A: " + b"a" * 40_000 + b"\r\n", id="large header"),
        pytest.param(b"".join(b"A%d: b\r\n" % number for number in range(100)), id="many headers"),
    ],
)
@pytest.mark.spec("RFC 9112 §6.3")
def test_rfc9112_6_3__a_request_with_two_readings_is_refused(edge: Live, head: bytes) -> None:
    smuggled = b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n"

    answer = edge.raw(b"POST /public HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n" + smuggled)

    assert answer[9:10] in (b"4", b"5")
    assert b"HTTP/1.1 200" not in answer


def test_identity_headers_from_outside_never_reach_the_service(edge: Live) -> None:
    spoofed = dict.fromkeys(SPOOFED.split(), "spoofed")

    answer = edge.get("/admin", token=edge.token(), headers={**spoofed, "X-Forwarded-For": "6.6.6.6"})

    assert answer.status == 200
    assert "spoofed" not in str(answer.json()["headers"])
    assert "6.6.6.6" not in str(answer.json()["headers"])


def test_what_the_gateway_verified_is_written_anew(edge: Live) -> None:
    headers = {"X-Kronborg-Subject": "spoofed", "X-Request-Id": "spoofed"}

    answer = edge.get("/admin", token=edge.token(sub="user-7", client_id="shop-batch"), headers=headers)

    assert answer.seen("x-kronborg-subject") == ["user-7"]
    assert answer.seen("x-kronborg-client") == ["shop-batch"]
    assert answer.seen("x-request-id") == [answer.headers["x-request-id"]]
    assert len(answer.headers["x-request-id"]) == 36


def test_ordinary_headers_pass(edge: Live) -> None:
    headers = {
        "X-Requested-With": "fetch",
        "X-CSRF-Token": "abc",
        "Idempotency-Key": "1",
        "Accept-Language": "da",
        "User-Agent": "test",
        "If-None-Match": '"x"',
        "Origin": "http://localhost:8080",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }

    answer = edge.get("/public", headers=headers)

    for name, value in headers.items():
        assert answer.seen(name.lower()) == [value]


def test_cookies_reach_only_the_service_whose_route_says_so(edge: Live) -> None:
    without = edge.get("/public", headers={"Cookie": "a=b"})
    with_cookies = edge.get("/small", headers={"Cookie": "a=b"})

    assert without.seen("cookie") == []
    assert with_cookies.seen("cookie") == ["a=b"]


def test_where_no_service_wants_cookies_none_gets_past_the_door(gateway: Live) -> None:
    gateway.publish(PUBLIC)

    answer = gateway.get("/public", headers={"Cookie": "a=b"})

    assert (answer.status, answer.seen("cookie")) == (200, [])


def test_a_body_beyond_the_routes_bound_is_413_however_it_is_sent(edge: Live) -> None:
    chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
    head = b"POST /small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

    fits = edge.request("POST", "/small", body=b"x" * 1000)
    large = edge.request("POST", "/small", body=b"x" * 1001)
    chunked = edge.raw(head + chunk * 3 + b"0\r\n\r\n")

    assert (fits.status, fits.json()["body"]) == (200, 1000)
    assert large.status == 413
    assert large.headers["content-type"] == "application/problem+json"
    assert b" 413 " in chunked.split(b"\r\n")[0]


def test_hosts_are_served_by_name(edge: Live) -> None:
    own = edge.get("/hosted/x", host="api.example:8080")
    general = edge.get("/hosted/x")
    elsewhere = edge.get("/public", host="api.example")
    unknown = edge.get("/public", host="evil.example")

    assert (own.status, general.status, elsewhere.status, unknown.status) == (200, 404, 404, 421)


def test_the_server_header_and_health_say_nothing_of_the_machinery(edge: Live) -> None:
    health = edge.get("/healthz", host="anything")
    answer = edge.get("/public")

    assert (health.status, health.body) == (200, b"ok\n")
    assert answer.headers.get_all("server") == ["kronborg"]
    assert not [name for name in answer.headers if name.startswith("x-envoy")]


def test_cors_is_answered_for_named_origins_only(gateway: Live) -> None:
    route = Route(
        "web", Path("prefix", "/web"), "echo", methods=("GET",), audience=API, cors=Cors(("https://app.example",))
    )
    gateway.publish(route, ADMIN)
    asking = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}

    named = gateway.request("OPTIONS", "/web/x", headers={**asking, "Origin": "https://app.example"})
    other = gateway.request("OPTIONS", "/web/x", headers={**asking, "Origin": "https://evil.example"})
    default = gateway.request("OPTIONS", "/admin", headers={**asking, "Origin": "https://app.example"})
    refused = gateway.get("/web/x", headers={"Origin": "https://app.example"})

    assert (named.status, named.headers["access-control-allow-origin"]) == (200, "https://app.example")
    assert other.headers.get("access-control-allow-origin") is None
    assert default.headers.get("access-control-allow-origin") is None
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "https://app.example")
