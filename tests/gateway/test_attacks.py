"""Attacks on the gateway as a table: what is sent, what must come back, and that the service saw nothing of it.

One live Envoy with every protection on. `GOOD` in a request stands for a token that is good for `/admin`; a row says
which status must come first, and how often the service may be asked all the same: what Envoy reads in one way only, it
sends on as it read it. Paths, headers and tokens have tables of their own in `test_requests` and `test_access`.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import replace
from typing import NamedTuple

import pytest

from gateway.live import API, Live
from kronborg.gateway.access_model import Addresses
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Path, Route

ROOMY = SpikeArrest("1000000ps", burst=100_000)
PUBLIC = Route("public", Path("prefix", "/public"), "echo", public=True, addresses=Addresses(("127.0.0.0/8",)))
ADMIN = Route("admin", Path("prefix", "/admin"), "echo", audience=API, scopes=("catalogue:read",), spike_arrest=ROOMY)
ORDER = replace(ADMIN, name="order", path=Path("template", "/public/orders/{id}/refund"), rate_limit=ROOMY)
REPORT = replace(ADMIN, name="report", path=Path("regex", "/public/r[0-9]+"))
EXACT = replace(ADMIN, name="exact", path=Path("exact", "/public/keys"), methods=("GET",))
SOCKET = replace(ADMIN, name="socket", path=Path("prefix", "/socket"), websocket=True)
GRPC = replace(ADMIN, name="grpc", path=Path("prefix", "/shop.Stock"), methods=("POST",), compress=True)
TINY = replace(PUBLIC, name="tiny", path=Path("exact", "/tiny"), max_body=1000)

SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"POST /public HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


class Attack(NamedTuple):
    """`status`: what may come first. `reached`: how many requests for `/public` may come through."""

    name: str
    sent: bytes
    status: tuple[int, ...] = (400,)
    reached: int = 0


def get(path: bytes, *headers: bytes, method: bytes = b"GET", host: bytes = b"Host: localhost") -> bytes:
    lines = [method + b" " + path + b" HTTP/1.1", host, *headers]
    return b"\r\n".join(line for line in lines if line) + b"\r\n\r\n"


def post(*headers: bytes, path: bytes = b"/public", after: bytes = b"0\r\n\r\n" + SMUGGLED) -> bytes:
    return get(path, *headers, method=b"POST") + after


SMUGGLING = (
    Attack("CL.TE", post(b"Content-Length: 5", b"Transfer-Encoding: chunked")),
    Attack("TE.CL", post(b"Transfer-Encoding: chunked", b"Content-Length: 5")),
    Attack("TE.TE", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"), (400, 501)),
    Attack("two lengths that differ", post(b"Content-Length: 5", b"Content-Length: 6")),
    Attack("two lengths in a list", post(b"Content-Length: 5, 6")),
    Attack("two equal lengths in a list", post(b"Content-Length: 5, 5")),
    Attack("length with a sign", post(b"Content-Length: +5")),
    Attack("length in hexadecimal", post(b"Content-Length: 0x5")),
    Attack("negative length", post(b"Content-Length: -1")),
    Attack("length beyond 64 bits", post(b"Content-Length: 18446744073709551621")),
    Attack("space before the colon", post(b"Transfer-Encoding : chunked")),
    Attack("coding with a tab", post(b"Transfer-Encoding:\x0bchunked"), (400, 501)),
    Attack("coding in quotes", post(b'Transfer-Encoding: "chunked"'), (400, 501)),
    Attack("coding unknown", post(b"Transfer-Encoding: xchunked"), (400, 501)),
    Attack("coding twice", post(b"Transfer-Encoding: chunked, chunked"), (400, 501)),
    Attack("coding in HTTP/1.0", post(b"Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0", 1), (400, 426)),
    Attack(
        "folded header",
        post(b"Content-Length: 5", b"X-Requested-With: a", b" Transfer-Encoding: chunked"),
        (200, 400),
        1,
    ),
    Attack("header that begins with a space", post(b" Content-Length: 5")),
    Attack("carriage return alone", post(b"X-Requested-With: a\rTransfer-Encoding: chunked"), (200, 400), 1),
    Attack("NUL in a header", post(b"X-Requested-With: a\x00b")),
    Attack("header without a name", post(b": chunked")),
    Attack("header name with a bracket", post(b"Transfer-Encoding[]: chunked")),
    Attack("chunk size with a sign", CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    Attack("chunk size beyond 64 bits", CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    Attack("chunk size that is none", CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    Attack("chunk longer than it says", CHUNKED + b"2\r\nhello\r\n0\r\n\r\n" + SMUGGLED),
    Attack("chunk whose data end by a line feed alone", CHUNKED + b"5\r\nhello\n0\r\n\r\n" + SMUGGLED),
    Attack("chunk ended by a line feed alone", CHUNKED + b"5\nhello\n0\n\n" + SMUGGLED),
    Attack("version unknown", get(b"/public").replace(b"HTTP/1.1", b"HTTP/1.2"), (400, 426, 505)),
    Attack("version 0.9", b"GET /public\r\n\r\n", (400, 426)),
    Attack("request line with tabs", b"GET\t/admin\tHTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 401)),
    Attack(
        "h2c upgrade to a guarded path",
        get(b"/admin", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
        (400, 401, 403),
    ),
)

GUARDED = ("/admin", "/public/orders/7/refund", "/public/r42", "/public/keys")
TWISTS = (
    "{}",
    "{}/",
    "/{}",
    "//{}",
    "/.{}",
    "/x/..{}",
    "/public/x/../..{}",
    "/public/%2e%2e{}",
    "/public/%2E%2E%2f{}",
    "/public/..%2f{}",
    "/public/..%5c{}",
    "/public\\..{}",
    "/public/..;{}",
    "/public/%252e%252e{}",
    "{};x=1",
    "{}%3bx",
    "{}%00",
    "{}%0a",
    "{}%0d%0aHost:x",
    "{}?x=/public",
    "{}#/public",
    "{}/.",
    "{}/./x/..",
    "{}/%2e",
    "/public/..%c0%af..{}",
    "/public/%c0%ae%c0%ae{}",
    "/public/..%e0%80%af{}",
    "/public/..%f0%80%80%af{}",
    "/public/%u002e%u002e{}",
    "{}%",
    "{}%2",
    "{}%zz",
    "http://localhost{}",
    "http://localhost/public/..{}",
)

METHODS = (
    Attack("TRACE", get(b"/public", method=b"TRACE"), (405,)),
    Attack("CONNECT to a service", get(b"127.0.0.1:22", method=b"CONNECT"), (400, 403, 404, 405, 421)),
    Attack("CONNECT with a path", get(b"/admin", method=b"CONNECT"), (400, 403, 404, 405, 421)),
    Attack("method in lower case", get(b"/admin", method=b"get"), (400, 405)),
    Attack("method unknown", get(b"/admin", method=b"FOO"), (400, 405)),
    Attack("PRI in the middle", get(b"*", method=b"PRI"), (400, 404, 405)),
    Attack("OPTIONS of everything", get(b"*", method=b"OPTIONS"), (400, 404)),
    Attack(
        "preflight with a method that is none",
        get(b"/admin", b"Origin: https://evil.example", b"Access-Control-Request-Method: X", method=b"OPTIONS"),
        (401, 403),
    ),
    Attack(
        "override of the method",
        get(
            b"/public/keys",
            b"X-HTTP-Method-Override: GET",
            b"X-Method-Override: GET",
            b"X-HTTP-Method: GET",
            b"Authorization: Bearer GOOD",
            b"Content-Length: 0",
            method=b"DELETE",
        ),
        (405,),
    ),
    Attack(
        "WebSocket without a token",
        get(
            b"/socket",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
        (401,),
    ),
    Attack(
        "WebSocket where there is none",
        get(
            b"/admin",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Authorization: Bearer GOOD",
        ),
        (403,),
    ),
    Attack(
        "gRPC without a token",
        get(
            b"/shop.Stock/Take",
            b"Content-Type: application/grpc",
            b"TE: trailers",
            b"Content-Length: 0",
            method=b"POST",
        ),
        (200, 401),
    ),
)

HOSTS = (
    Attack("two hosts", get(b"/public", b"Host: evil.example"), (400, 421)),
    Attack("two equal hosts", get(b"/public", b"Host: localhost"), (400, 421)),
    Attack("two hosts in one", get(b"/public", host=b"Host: localhost, evil.example"), (400, 421)),
    Attack("no host", get(b"/public", host=b"")),
    Attack("empty host", get(b"/public", host=b"Host: "), (400, 404, 421)),
    Attack("unknown host", get(b"/public", host=b"Host: evil.example"), (421,)),
    Attack("unknown host with a known one in front", get(b"/public", host=b"Host: localhost.evil.example"), (421,)),
    Attack("user in the host", get(b"/public", host=b"Host: localhost@evil.example"), (400, 421)),
    Attack("path in the host", get(b"/public", host=b"Host: localhost/admin"), (400, 421)),
    Attack("port that is none", get(b"/public", host=b"Host: localhost:evil.example"), (400, 421)),
    Attack("absolute form of another host", get(b"http://evil.example/public"), (421,)),
    Attack("absolute form of a scheme unknown", get(b"gopher://localhost/public"), (400, 404)),
    Attack("host behind an underscore", get(b"/public", b"X_Forwarded_Host: evil.example")),
)

BOUNDS = (
    Attack("head too large", get(b"/public", b"X-Requested-With: " + b"a" * 70_000), (431,)),
    Attack("address too long", get(b"/public/" + b"a" * 70_000), (414, 431)),
    Attack("headers too many", get(b"/public", *(b"a%d: b" % number for number in range(200))), (431,)),
    Attack("body larger than it may be", post(b"Content-Length: 1001", path=b"/tiny", after=b"x" * 1001), (413,)),
    Attack("body said to be larger", post(b"Content-Length: 99999999999", path=b"/tiny", after=b"x" * 2000), (413,)),
    Attack(
        "chunks larger than they may be",
        post(b"Transfer-Encoding: chunked", path=b"/tiny", after=b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n"),
        (413,),
    ),
    Attack(
        "expectation of nothing known",
        post(b"Expect: 200-maybe", b"Content-Length: 0", path=b"/admin", after=b""),
        (401, 417),
    ),
)


@pytest.fixture(scope="module")
def fortress(gateway: Live) -> Live:
    gateway.publish(PUBLIC, ADMIN, ORDER, REPORT, EXACT, SOCKET, GRPC, TINY)
    return gateway


def exchange(live: Live, sent: bytes) -> tuple[list[int], list[bytes]]:
    """The statuses that came back, and what the service was asked."""
    before = len(live.requests)
    received = b""
    with socket.create_connection(("127.0.0.1", live.proxy.port), timeout=5) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(sent.replace(b"GOOD", live.token().encode()))
        with contextlib.suppress(OSError):
            while part := connection.recv(65_536):
                received += part
                connection.settimeout(0.1)  # an answer has come; another would be right behind it
    lines = [line for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return [int(line[9:12]) for line in lines], live.requests[before:]


def rows(table: tuple[Attack, ...]) -> list[object]:
    return [pytest.param(one, id=one.name) for one in table]


@pytest.mark.parametrize("attack", rows(SMUGGLING))
@pytest.mark.spec("RFC 9112 §11.2")
def test_rfc9112_11_2__what_can_be_read_in_two_ways_goes_nowhere(fortress: Live, attack: Attack) -> None:
    statuses, asked = exchange(fortress, attack.sent)

    assert statuses[:1] in [[one] for one in attack.status]
    assert len(asked) <= attack.reached
    assert all(line == b"POST /public HTTP/1.1\r\n" for line in asked)


@pytest.mark.parametrize("attack", rows(METHODS))
def test_no_method_and_no_upgrade_opens_what_is_closed(fortress: Live, attack: Attack) -> None:
    statuses, asked = exchange(fortress, attack.sent)

    assert statuses[:1] in [[one] for one in attack.status]
    assert asked == []


@pytest.mark.parametrize("attack", rows(HOSTS))
@pytest.mark.spec("RFC 9112 §3.2")
def test_rfc9112_3_2__a_host_that_is_not_ours_is_not_served(fortress: Live, attack: Attack) -> None:
    statuses, asked = exchange(fortress, attack.sent)

    assert statuses[:1] in [[one] for one in attack.status]
    assert asked == []


@pytest.mark.parametrize("attack", rows(BOUNDS))
def test_what_is_too_large_is_refused_before_the_service(fortress: Live, attack: Attack) -> None:
    statuses, asked = exchange(fortress, attack.sent)

    assert statuses[:1] in [[one] for one in attack.status]
    assert asked == []


@pytest.mark.parametrize("guarded", GUARDED)
def test_no_spelling_of_any_kind_of_path_gets_past_its_guard(fortress: Live, guarded: str) -> None:
    before = len(fortress.requests)
    spelled = [twist.format(guarded) for twist in TWISTS]
    # Each letter of it, encoded.
    spelled += [f"{guarded[:at]}%{ord(guarded[at]):02x}{guarded[at + 1 :]}" for at in range(1, len(guarded))]

    for path in spelled:
        fortress.raw(get(path.encode(), b"Connection: close"), seconds=1)

    for line in fortress.requests[before:]:
        path = line.split()[1].decode().partition("?")[0]
        assert not path.rstrip("/").endswith(guarded), line
        assert ".." not in path
        assert "\\" not in path


@pytest.mark.parametrize("host", ["localhost:1", "localhost:65535", "LOCALHOST", "LocalHost:80"])
def test_spellings_of_our_own_host_open_nothing_more(fortress: Live, host: str) -> None:
    answer = fortress.get("/admin", host=host)

    assert answer.status == 401


HOPS = ("authorization", "x-kronborg-subject", "x-kronborg-client", "x-request-id", "x-forwarded-for", "host")


@pytest.mark.parametrize("hop", HOPS)
@pytest.mark.spec("RFC 9110 §7.6.1")
def test_rfc9110_7_6_1__nothing_of_ours_is_taken_away_as_a_hop_by_hop_header(fortress: Live, hop: str) -> None:
    answer = fortress.get(
        "/admin", token=fortress.token(sub="user-7"), headers={"Connection": f"close, {hop}", "TE": "trailers"}
    )

    if answer.status == 200:
        assert answer.seen("x-kronborg-subject") == ["user-7"]
        assert answer.seen("x-kronborg-client") == ["shop-web"]
        assert len(answer.seen("x-request-id")) == len(answer.seen("x-forwarded-for")) == 1
        assert not set(answer.seen("connection")) & set(HOPS)
    else:
        assert answer.status in (400, 401)


SPOOFED = (
    *("X-Kronborg-Subject", "X-KRONBORG-CLIENT", "x-kronborg-scope", "x-kronborg-token", "x-kronborg-issuer"),
    *("x-kronborg-key", "x-kronborg-credential", "x-kronborg-limit", "x-kronborg-shadow", "x-kronborg-exchange"),
    *("x-envoy-retry-on", "x-envoy-original-path", "x-envoy-decorator-operation", "x-envoy-force-trace"),
    *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-client-cert", "x-real-ip"),
    *("forwarded", "via-user", "x.kronborg.subject", "remote-user", "true-client-ip"),
)


def test_headers_that_only_the_gateway_writes_are_its_own_even_twice(fortress: Live) -> None:
    twice = [(name, "spoofed") for name in SPOOFED if name != "via-user" for _ in range(2)]

    answer = fortress.get("/admin", token=fortress.token(sub="user-7"), headers=twice)

    assert answer.status == 200
    assert "spoofed" not in str(answer.json()["headers"])
    assert answer.seen("x-kronborg-subject") == ["user-7"]


@pytest.mark.spec("RFC 9110 §6.5.1")
def test_rfc9110_6_5_1__trailers_carry_no_headers(fortress: Live) -> None:
    trailers = b"0\r\nAuthorization: Bearer GOOD\r\nx-kronborg-subject: root\r\n\r\n"
    head = get(b"/admin", b"Transfer-Encoding: chunked", b"Trailer: Authorization", method=b"POST")
    good = head.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer GOOD\r\n\r\n")

    refused, asked = exchange(fortress, head + trailers)
    answer = fortress.raw(good.replace(b"GOOD", fortress.token().encode()) + trailers, seconds=1)

    assert (refused, asked) == ([401], [])
    assert b"root" not in answer


def test_slow_heads_and_bodies_hold_nothing_of_the_service(fortress: Live) -> None:
    before = len(fortress.requests)
    open_ = [socket.create_connection(("127.0.0.1", fortress.proxy.port)) for _ in range(40)]
    for number, connection in enumerate(open_):
        late = b"POST /tiny HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\nx"
        connection.sendall(late if number % 2 else b"GET /public HTTP/1.1\r\nHost: loc")

    answer = fortress.get("/public/served")
    for connection in open_:
        connection.close()

    assert answer.status == 200
    assert [line.split()[1] for line in fortress.requests[before:]] == [b"/public/served"]
