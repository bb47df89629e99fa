"""WebSocket, Server-Sent Events, gRPC and HTTP/2 through the gateway, and who is refused there."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import grpc
import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from gateway.live import API, Live, Quiet
from kronborg.gateway.model import Limits, Path, Route, Service
from kronborg.gateway.validate import problems_of

if TYPE_CHECKING:
    from kronborg.gateway.model import Snapshot

PING = "/shop.Stock/Ping"
COUNT = "/shop.Stock/Count"
SLOW = "/shop.Stock/Slow"
SECOND = timedelta(seconds=1)


def route(name: str, kind: str, path: str, service: str, **more: object) -> Route:
    return Route(name, Path(kind, path), service, **({"audience": API} | more))  # type: ignore[arg-type]


def deliver(gateway: Live, *routes: Route, services: tuple[Service, ...] = (), **more: object) -> None:
    base = gateway.snapshot(*routes)
    snapshot: Snapshot = replace(base, services=(*base.services, *services), **more)  # type: ignore[arg-type]
    assert problems_of(snapshot) == ()
    gateway.deliver(snapshot)


@contextmanager
def talking() -> Iterator[int]:
    """A WebSocket service that says everything back."""

    def talk(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            for message in connection:
                connection.send(message)

    with serve(talk, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.socket.getsockname()[1]


def url(gateway: Live, path: str) -> str:
    return f"ws://localhost:{gateway.proxy.port}{path}"


@pytest.mark.spec("RFC 6455 §4.1")
def test_rfc6455_4_1__a_websocket_needs_its_token_at_the_handshake_and_outlives_every_timer_but_its_own(
    gateway: Live,
) -> None:
    with talking() as port:
        deliver(
            gateway,
            route("chat", "exact", "/chat", "talk", websocket=True, timeout=SECOND / 10, idle=SECOND, max_body=10),
            route("plain", "exact", "/plain", "talk"),
            services=(Service("talk", (f"http://127.0.0.1:{port}",)),),
            limits=Limits(request_time=SECOND / 4),
        )
        token = {"Authorization": f"Bearer {gateway.token()}"}

        with connect(url(gateway, "/chat"), additional_headers=token) as chat:
            said = []
            for word in ("one", "two", "three"):
                # Longer in sum than the timeout of the route and the time for a request, each shorter than `idle`.
                with pytest.raises(TimeoutError):
                    chat.recv(timeout=0.3)
                chat.send(word)
                said.append(chat.recv(timeout=5))
            chat.send("x" * 100_000)
            long = chat.recv(timeout=5)
            with pytest.raises(ConnectionClosed):
                chat.recv(timeout=5)

        statuses = []
        for path, headers in (("/chat", {}), ("/chat", {"Authorization": "Bearer no"}), ("/plain", token)):
            with pytest.raises(InvalidStatus) as refused, connect(url(gateway, path), additional_headers=headers):
                """Never open."""
            statuses.append(refused.value.response.status_code)

    assert (said, len(long)) == (["one", "two", "three"], 100_000)
    assert statuses[:2] == [401, 401]
    assert statuses[2] in (403, 426)


def test_a_websocket_route_still_bounds_ordinary_requests_and_refuses_smuggling(gateway: Live) -> None:
    deliver(gateway, route("chat", "exact", "/chat", "echo", websocket=True, max_body=10, audience=None, public=True))
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a\r\n"

    def raw(extra: str, body: str = "") -> bytes:
        head = f"GET /chat HTTP/1.1\r\nHost: localhost\r\n{extra}\r\n{body}"
        return gateway.raw(head.encode()).partition(b"\r\n")[0]

    large = gateway.request("POST", "/chat", body=b"x" * 100)
    h2c = raw("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n")
    both = raw(f"{upgrade}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nGET /x HTTP/1.1\r\n\r\n")
    twice = raw(f"{upgrade}Content-Length: 4\r\nContent-Length: 5\r\n", "abcd")
    # The service declines the upgrade; what follows is no second request.
    follow = f"GET /chat HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\nGET /chat HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answered = gateway.raw(follow.encode(), seconds=1).count(b"HTTP/1.1 200")

    assert large.status == 413
    assert b"101" not in h2c
    assert b" 400 " in both
    assert b" 400 " in twice
    assert answered <= 1


class Events(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    more = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for line in (b"data: one\n\n", b"data: two\n\n"):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
            self.wfile.flush()
            self.more.wait(10)
            self.more.clear()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_events_come_one_by_one_and_longer_than_the_timeout(gateway: Live) -> None:
    server = Quiet(("127.0.0.1", 0), Events)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    events = Service("events", (f"http://127.0.0.1:{server.server_address[1]}",))
    try:
        deliver(
            gateway,
            route("events", "exact", "/events", "events", stream=True, timeout=SECOND / 10, idle=SECOND),
            services=(events,),
        )
        with socket.create_connection(("127.0.0.1", gateway.proxy.port), timeout=5) as connection:
            head = f"GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.token()}\r\n\r\n"
            connection.sendall(head.encode())
            received = b""
            while b"one" not in received:
                received += connection.recv(4096)
            early = b"two" in received
            connection.settimeout(0.4)
            with pytest.raises(TimeoutError):
                connection.recv(4096)
            Events.more.set()
            connection.settimeout(5)
            while b"two" not in received:
                received += connection.recv(4096)
            while connection.recv(4096):
                """Silent for longer than `idle`: the gateway ends it."""
        refused = gateway.get("/events")
    finally:
        Events.more.set()
        server.die()

    assert not early
    assert refused.status == 401


class Stock(grpc.GenericRpcHandler):
    """Echoes, counts up what comes in, and dawdles; bytes as they are."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        def ping(request: bytes, context: grpc.ServicerContext) -> bytes:
            context.set_trailing_metadata((("stock", "full"),))
            return request

        def count(requests: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
            for number, _request in enumerate(requests, 1):
                yield str(number).encode()

        def slow(request: bytes, context: grpc.ServicerContext) -> bytes:
            gone = threading.Event()
            context.add_callback(gone.set)
            gone.wait(10)
            return request

        made: dict[str, Callable[[], grpc.RpcMethodHandler[bytes, bytes]]] = {
            PING: lambda: grpc.unary_unary_rpc_method_handler(ping),
            COUNT: lambda: grpc.stream_stream_rpc_method_handler(count),
            SLOW: lambda: grpc.unary_unary_rpc_method_handler(slow),
        }
        return made[handler_call_details.method]()


@pytest.fixture
def stock(gateway: Live) -> Iterator[Live]:
    server = grpc.server(ThreadPoolExecutor(4), handlers=[Stock()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    service = Service("stock", (f"http://127.0.0.1:{port}",), http2=True)
    deliver(
        gateway,
        route("stock", "prefix", "/shop.Stock", "stock", grpc=True, timeout=SECOND, max_body=1000),
        services=(service,),
        limits=Limits(request_time=SECOND / 4),
    )
    try:
        yield gateway
    finally:
        server.stop(None).wait()


def unary(opened: grpc.Channel, method: str) -> grpc.UnaryUnaryMultiCallable[bytes, bytes]:
    return opened.unary_unary(method)


def streaming(opened: grpc.Channel, method: str) -> grpc.StreamStreamMultiCallable[bytes, bytes]:
    return opened.stream_stream(method)


def channel(gateway: Live) -> grpc.Channel:
    return grpc.insecure_channel(f"localhost:{gateway.proxy.port}")


def test_grpc_calls_carry_trailers_both_ways_at_once_and_end_at_the_earlier_deadline(stock: Live) -> None:
    credentials = (("authorization", f"Bearer {stock.token()}"),)
    with channel(stock) as opened:
        answer, call = unary(opened, PING).with_call(b"hello", metadata=credentials)

        more = threading.Semaphore(0)

        def numbers() -> Iterator[bytes]:
            for _ in range(3):
                more.acquire(timeout=0.15)
                yield b"x"

        counted = list(streaming(opened, COUNT)(numbers(), metadata=credentials))
        with pytest.raises(grpc.RpcError) as late:
            unary(opened, SLOW)(b"x", metadata=credentials, timeout=30)
        with pytest.raises(grpc.RpcError) as own:
            unary(opened, SLOW)(b"x", metadata=credentials, timeout=0.2)

    assert (answer, dict(call.trailing_metadata())["stock"]) == (b"hello", "full")
    assert counted == [b"1", b"2", b"3"]
    assert own.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert late.value.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)


@pytest.mark.parametrize(
    ("typ", "code"), [(None, grpc.StatusCode.UNAUTHENTICATED), ("JWT", grpc.StatusCode.UNAUTHENTICATED)]
)
def test_grpc_refusals_are_statuses_of_grpc(stock: Live, typ: str | None, code: grpc.StatusCode) -> None:
    credentials = () if typ is None else (("authorization", f"Bearer {stock.token(typ=typ)}"),)
    with channel(stock) as opened, pytest.raises(grpc.RpcError) as refused:
        unary(opened, PING)(b"hello", metadata=credentials)

    plain = stock.request("POST", PING, headers={"content-type": "application/grpc"}, body=b"")

    assert refused.value.code() == code
    assert (plain.status, plain.headers["grpc-status"]) == (200, "16")


def test_a_page_speaks_grpc_web(stock: Live) -> None:
    frame = b"\x00\x00\x00\x00\x05hello"
    answer = stock.request(
        "POST",
        PING,
        token=stock.token(),
        headers={"content-type": "application/grpc-web-text"},
        body=base64.b64encode(frame),
    )
    large = stock.request(
        "POST", PING, token=stock.token(), headers={"content-type": "application/grpc-web"}, body=b"x" * 2000
    )

    assert answer.status == 200
    assert answer.body.startswith(frame)
    assert b"grpc-status:0" in answer.body
    assert large.status == 413


class Two:
    """An HTTP/2 client with prior knowledge (RFC 9113 section 3.3)."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.state.initiate_connection()
        self.socket.sendall(self.state.data_to_send())

    def open(self, path: str) -> int:
        stream = self.state.get_next_available_stream_id()
        head = [(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", "localhost")]
        self.state.send_headers(stream, head, end_stream=True)
        return stream

    def flush(self) -> None:
        self.socket.sendall(self.state.data_to_send())

    def events(self) -> Iterator[h2.events.Event]:
        while content := self.socket.recv(65_536):
            yield from self.state.receive_data(content)
            self.flush()


def status(event: h2.events.ResponseReceived) -> str:
    return dict(event.headers or ())[b":status"].decode()


@pytest.mark.spec("RFC 9113 §3.3")
def test_rfc9113_3_3__http2_is_spoken_with_prior_knowledge_and_streams_are_bounded(gateway: Live) -> None:
    deliver(
        gateway,
        route("open", "exact", "/open", "echo", audience=None, public=True),
        route("shut", "exact", "/shut", "echo"),
    )
    client = Two(gateway.proxy.port)
    wanted = {client.open("/open"): "200", client.open("/shut"): "401", client.open("/x/../open"): "200"}
    client.flush()
    found: dict[int, str] = {}

    for event in client.events():
        if isinstance(event, h2.events.ResponseReceived) and event.stream_id is not None:
            found[event.stream_id] = status(event)
        if len(found) == len(wanted):
            break
    most = client.state.remote_settings.max_concurrent_streams
    client.socket.close()

    assert found == wanted
    assert most == 100


@pytest.mark.spec("RFC 9113 §10.5")
def test_rfc9113_10_5__a_flood_of_resets_ends_the_connection(gateway: Live) -> None:
    deliver(gateway, route("open", "exact", "/open", "echo", audience=None, public=True))
    client = Two(gateway.proxy.port)
    ended = False

    try:
        for _ in range(40):
            for _ in range(50):
                client.state.reset_stream(client.open("/open"), h2.errors.ErrorCodes.CANCEL)
            client.flush()
        ended = any(isinstance(event, h2.events.ConnectionTerminated) for event in client.events())
    except ConnectionError:
        ended = True
    client.socket.close()

    assert ended
    assert gateway.get("/open").status == 200
