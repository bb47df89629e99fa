"""Attacks that speak as the gateway: names that services believe, trailers, and HEAD where GET is guarded."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import h2.config
import h2.connection
import h2.events
import pytest

from gateway.live import API, Live
from kronborg.gateway.access_model import AccessRule, StepUp
from kronborg.gateway.model import Path, Route, Service

PUBLIC = Route("public", Path("prefix", "/public"), "echo", public=True)
RULE = AccessRule(methods=("GET",), scopes=("catalogue:write",))
READ = Route("read", Path("prefix", "/read"), "echo", audience=API, rules=(RULE,))
FRESH = AccessRule(methods=("GET",), step_up=StepUp(acr=("phr",)))
STRONG = Route("strong", Path("prefix", "/strong"), "echo", audience=API, rules=(FRESH,))
SECOND = Route("second", Path("prefix", "/second"), "second", public=True)
STOCK = Route("stock", Path("prefix", "/shop.Stock"), "second", public=True, methods=("POST",), grpc=True)

NAMES = (
    *("grpc-metadata-x-kronborg-subject", "grpc-metadata-authorization", "impersonate-user", "impersonate-group"),
    *("l5d-client-id", "dapr-caller-app-id", "istio-user", "goog-authenticated-user-email", "amzn-oidc-identity"),
    *("wl-proxy-client-ip", "ns-client-ip", "incap-client-ip", "rlnclientipaddr", "z-forwarded-for", "clientip"),
    *("front-end-https", "host-override", "on-behalf-of", "eppn", "mellon-name-id", "sso-user", "webauth-user"),
    *("userinfo", "user-info", "arr-clientcert", "ajp-remote-user"),
)


class Second:
    """A service that speaks HTTP/2 and keeps the trailers that it was sent."""

    def __init__(self) -> None:
        self.trailers: list[object] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        state.initiate_connection()
        with connection:
            connection.sendall(state.data_to_send())
            while part := connection.recv(65_536):
                for event in state.receive_data(part):
                    if isinstance(event, h2.events.TrailersReceived):
                        self.trailers.append(event.headers)
                    if isinstance(event, h2.events.StreamEnded) and event.stream_id is not None:
                        state.send_headers(event.stream_id, [(":status", "200")], end_stream=True)
                connection.sendall(state.data_to_send())


@pytest.fixture(scope="module")
def second() -> Iterator[Second]:
    made = Second()
    yield made
    made.listening.close()


@pytest.fixture(scope="module")
def fortress(gateway: Live, second: Second) -> Live:
    service = Service("second", (f"http://127.0.0.1:{second.listening.getsockname()[1]}",), http2=True)
    snapshot = gateway.snapshot(PUBLIC, READ, STRONG, SECOND, STOCK)
    gateway.deliver(replace(snapshot, services=(*snapshot.services, service)))
    return gateway


def test_names_that_some_service_believes_do_not_come_in(fortress: Live) -> None:
    answer = fortress.get("/public", headers=[(name, "spoofed") for name in NAMES])

    assert answer.status == 200
    assert "spoofed" not in str(answer.json()["headers"])


@pytest.mark.parametrize("path", ["/second", "/shop.Stock/Take"])
@pytest.mark.spec("RFC 9110 §6.5.1")
def test_rfc9110_6_5_1__trailers_reach_no_service_over_http2(fortress: Live, second: Second, path: str) -> None:
    state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    state.initiate_connection()
    state.send_headers(1, [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "localhost")])
    state.send_data(1, b"x")
    state.send_headers(1, [("x-kronborg-subject", "root"), ("authorization", "Bearer x")], end_stream=True)
    status = None

    with socket.create_connection(("127.0.0.1", fortress.proxy.port), timeout=5) as connection:
        connection.sendall(state.data_to_send())
        while status is None:
            for event in state.receive_data(connection.recv(65_536)):
                if isinstance(event, h2.events.ResponseReceived):
                    status = dict(event.headers or ())[b":status"]
            connection.sendall(state.data_to_send())

    assert status == b"200"
    assert second.trailers == []


@pytest.mark.parametrize(("path", "status"), [("/read", 403), ("/strong", 401)])
@pytest.mark.spec("RFC 9110 §9.3.2")
def test_rfc9110_9_3_2__head_asks_for_no_less_than_get(fortress: Live, path: str, status: int) -> None:
    token = fortress.token()

    answers = {method: fortress.request(method, path, token=token).status for method in ("GET", "HEAD", "DELETE")}

    assert answers == {"GET": status, "HEAD": status, "DELETE": 200}


@pytest.mark.parametrize(
    "path",
    [
        *("/public/%", "/public/%2", "/public/%zz", "/public/%2g", "/public/%u002e", "/public/%%32e"),
        *("/public/%c0%af", "/public/%C1%9c", "/public/%e0%80%af", "/public/%f0%80%80%af", "/public/%ff"),
    ],
)
@pytest.mark.spec("RFC 3986 §2.1")
def test_rfc3986_2_1__what_is_encoded_in_no_valid_way_is_refused(fortress: Live, path: str) -> None:
    answer = fortress.get(path)

    assert (answer.status, answer.json()["reason"]) == (400, "ambiguous_path")


@pytest.mark.parametrize("path", ["/public/%e2%82%ac", "/public/%F0%9F%A6%86/x", "/public/a%20b", "/public/%C3%BC"])
def test_what_is_encoded_rightly_passes_as_it_is(fortress: Live, path: str) -> None:
    answer = fortress.get(path)

    assert (answer.status, answer.json()["path"]) == (200, path)
