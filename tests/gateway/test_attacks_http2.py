"""Attacks on the gateway over HTTP/2: what no well-formed request looks like goes nowhere."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest

from gateway.live import API, Live
from kronborg.gateway.model import Path, Route

PUBLIC = Route("public", Path("prefix", "/public"), "echo", public=True)
ADMIN = Route("admin", Path("prefix", "/admin"), "echo", audience=API, scopes=("catalogue:read",))
GRPC = Route("grpc", Path("prefix", "/shop.Stock"), "echo", methods=("POST",), audience=API)


@pytest.fixture(scope="module")
def fortress(gateway: Live) -> Live:
    gateway.publish(PUBLIC, ADMIN, GRPC)
    return gateway


Headers = list[tuple[str, str]]
PSEUDO = [(":method", "GET"), (":path", "/public"), (":scheme", "http"), (":authority", "localhost")]
TWO = {
    "two paths": [*PSEUDO, (":path", "/admin")],
    "two methods": [*PSEUDO, (":method", "POST")],
    "two authorities": [*PSEUDO, (":authority", "evil.example")],
    "host beside the authority": [*PSEUDO, ("host", "evil.example"), ("host", "other.example")],
    "no path": [*PSEUDO[:1], *PSEUDO[2:]],
    "pseudo-header after the others": [("accept", "*/*"), *PSEUDO],
    "unknown pseudo-header": [*PSEUDO, (":admin", "1")],
    "name in capitals": [*PSEUDO, ("X-Kronborg-Subject", "root")],
    "name with a line end": [*PSEUDO, ("a\r\nx-kronborg-subject", "root")],
    "value with a line end": [*PSEUDO, ("accept", "a\r\nx-kronborg-subject: root")],
    "path with a space": [(":method", "GET"), (":path", "/public HTTP/1.1\r\nHost: x"), *PSEUDO[2:]],
    "path with a line end": [(":method", "GET"), (":path", "/public\r\nx-kronborg-subject: root"), *PSEUDO[2:]],
    "method with a line end": [(":method", "GET /admin HTTP/1.1\r\nx: "), *PSEUDO[1:]],
    "authority with a line end": [*PSEUDO[:3], (":authority", "localhost\r\nx: y")],
    "connection-specific header": [*PSEUDO, ("connection", "upgrade")],
    "transfer-encoding": [*PSEUDO, ("transfer-encoding", "chunked")],
    "length that lies": [*PSEUDO, ("content-length", "5")],
    "guarded without a token": [(":method", "GET"), (":path", "/public/../admin"), *PSEUDO[2:]],
    "CONNECT": [(":method", "CONNECT"), (":authority", "127.0.0.1:22")],
    "extended CONNECT": [(":method", "CONNECT"), (":protocol", "websocket"), *PSEUDO[1:]],
    "TRACE": [(":method", "TRACE"), *PSEUDO[1:]],
    "gRPC without a token": [(":method", "POST"), (":path", "/shop.Stock/Take"), *PSEUDO[2:], ("te", "trailers")],
}


_ENDS = (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)


def statuses_of(live: Live, headers: Headers) -> Iterator[str]:
    """The statuses that came over HTTP/2; none when stream or connection just ended."""
    settings = h2.config.H2Configuration(
        client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False
    )
    state = h2.connection.H2Connection(settings)
    state.initiate_connection()
    state.send_headers(1, headers, end_stream=True)
    with socket.create_connection(("127.0.0.1", live.proxy.port), timeout=0.4) as connection:
        connection.sendall(state.data_to_send())
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            while part := connection.recv(65_536):
                for event in state.receive_data(part):
                    if isinstance(event, h2.events.ResponseReceived):
                        yield dict(event.headers)[b":status"].decode()
                    if isinstance(event, _ENDS):
                        return
                connection.sendall(state.data_to_send())


@pytest.mark.parametrize("headers", TWO.values(), ids=list(TWO))
@pytest.mark.spec("RFC 9113 §8.1.1")
def test_rfc9113_8_1_1__malformed_requests_over_http2_go_nowhere(fortress: Live, headers: Headers) -> None:
    before = len(fortress.requests)

    statuses = list(statuses_of(fortress, headers))

    assert not statuses or statuses[0][0] == "4" or statuses == ["200"]
    assert "200" not in statuses or ("te", "trailers") in headers
    assert fortress.requests[before:] == []
