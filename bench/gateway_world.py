"""The world of the gateway benchmark: an upstream, a raw Envoy, an nginx, the gateway, tokens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from joserfc import jws
from joserfc.jwk import ECKey

from kronborg.gateway.deliver import make_folder, prepare
from kronborg.gateway.envoy.process import binary, envoy_argv
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Audience, Limits, Route, Service, Snapshot
from kronborg.gateway.model import Path as RoutePath

ISSUER = "http://localhost:8081"
API = "https://shop.example/catalogue"
CART = "https://shop.example/cart"
ENDING = b"pong-pong-pong-pong\n"
TYPE = "type.googleapis.com/"
HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "envoy.extensions.filters.http.router.v3.Router"


def free_port() -> int:
    """A port below the range of outgoing connections that nobody listens on."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def envoy_file(port: int, route: dict[str, object], clusters: list[dict[str, object]]) -> dict[str, object]:
    """Envoy as its own documentation starts it: one listener, one route, the router, defaults."""
    manager = {
        "@type": TYPE + HCM,
        "stat_prefix": "ingress_http",
        "route_config": {
            "name": "local_route",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route}]}],
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": TYPE + ROUTER}}],
    }
    listener = {
        "name": "listener_0",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def plain_cluster(port: int) -> dict[str, object]:
    """The upstream as a cluster with defaults."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "name": "service",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": "service",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream service {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


class World:
    """Everything that runs; `ports` and `pids` by the name of the variant."""

    def __init__(self, folder: Path, *, tokens: int, clients: int, routes: int) -> None:
        self.folder = folder
        self.children: list[subprocess.Popen[bytes]] = []
        self.ports: dict[str, int] = {}
        self.pids: dict[str, int] = {}
        self.key = ECKey.generate_key("P-256", {"kid": "bench", "alg": "ES256", "use": "sig"})
        self.jwts = [self._jwt(API, "catalogue", number % clients, number) for number in range(tokens)]
        self.internal = [self._jwt(CART, "cart", number % clients, number) for number in range(tokens)]
        self.references = [f"kro_at_{number:043d}abcdef" for number in range(tokens)]
        self.routes = routes
        self.upstream = free_port()
        self.asked = 0

    def _jwt(self, audience: str, name: str, client: int, number: int) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "sub": f"0192f0c4-7a1e-7cc1-9f00-{number:012d}",
            "client_id": f"client-{client}",
            "iat": now,
            "exp": now + 3600,
            "jti": f"{number:022d}",
            "scope": f"{name}:read {name}:write",
        }
        header = {"alg": "ES256", "kid": "bench", "typ": "at+jwt"}
        return jws.serialize_compact(header, json.dumps(claims, separators=(",", ":")).encode(), self.key)

    def start(self) -> None:
        """Start all and wait until each answers."""
        answer = {"status": 200, "body": {"inline_string": ENDING.decode()}}
        self._envoy("upstream", self.upstream, envoy_file(self.upstream, {"direct_response": answer}, []))
        raw = free_port()
        cluster = [plain_cluster(self.upstream)]
        self._envoy("envoy", raw, envoy_file(raw, {"route": {"cluster": "service"}}, cluster))
        self._gateway("kronborg")
        self._gateway("kronborg with reference tokens")
        self._nginx()
        for port in self.ports.values():
            self.wait(port)

    def _nginx(self) -> None:
        """Only where there is one."""
        if nginx := shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"):
            port = free_port()
            config = self.folder / "nginx.conf"
            config.write_text(NGINX.format(folder=self.folder, port=port, upstream=self.upstream))
            self._start("nginx", port, [nginx, "-c", str(config), "-p", str(self.folder)])

    def _envoy(self, name: str, port: int, config: dict[str, object]) -> None:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(config))
        argv = [str(binary()), "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
        self._start(name, port, argv)

    def _gateway(self, name: str) -> None:
        """One proxy each for the two kinds of token, so that neither lives in the other's caches."""
        proxy = Proxy(folder=self.folder / name.replace(" ", "-"), port=free_port(), exchange_port=free_port())
        secret = make_folder(proxy)
        self._exchange(proxy.exchange_port, secret)
        others = tuple(
            Route(f"other-{number}", RoutePath("prefix", f"/other-{number}"), "service", audience=API)
            for number in range(self.routes - 2)
        )
        route = Route(
            "catalogue",
            RoutePath("prefix", "/catalogue"),
            "service",
            methods=("GET",),
            audience=API,
            scopes=("catalogue:read",),
            spike_arrest=SpikeArrest("1000000ps", burst=100_000),
        )
        cart = replace(route, name="cart", path=RoutePath("prefix", "/cart"), audience=CART, scopes=("cart:read",))
        snapshot = Snapshot(
            issuer=ISSUER,
            services=(Service("service", (f"http://127.0.0.1:{self.upstream}",)),),
            routes=(route, cart, *others),
            audiences=(Audience(API, ("catalogue:read",)), Audience(CART, ("cart:read",), reference=True)),
            limits=Limits(),
        )
        keys = json.dumps({"keys": [self.key.as_dict(private=False)]})
        asyncio.run(prepare(snapshot, keys, proxy))
        self._start(name, proxy.port, envoy_argv(proxy.folder, concurrency=1, log_level="error"))

    def _exchange(self, port: int, secret: str) -> None:
        """Trades the reference tokens of this benchmark; asked once per token, so its cost is not measured."""
        known = dict(zip(self.references, self.internal, strict=True))
        everything = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                token = self.rfile.read(int(self.headers["content-length"])).decode()
                everything.asked += 1
                trusted = self.headers["x-kronborg-exchange"] == secret
                jwt = known.get(token, "") if trusted else ""
                self.send_response(200 if jwt else 404)
                self.send_header("x-kronborg-lifetime", "60")
                self.send_header("content-length", str(len(jwt)))
                self.end_headers()
                self.wfile.write(jwt.encode())

            def log_message(self, *_: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def _start(self, name: str, port: int, argv: list[str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(argv, stdout=log, stderr=log)
        self.children.append(child)
        self.ports[name], self.pids[name] = port, child.pid

    def wait(self, port: int) -> None:
        deadline = time.monotonic() + 15
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing listens on {port}")
            time.sleep(0.02)

    def requests(self, path: str, bearers: list[str]) -> list[bytes]:
        """A plausible API call per bearer token."""
        return [
            b"GET "
            + path.encode()
            + b"/items/42?currency=dkk HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
            b"Accept-Encoding: gzip, deflate\r\nUser-Agent: shop/1.0\r\nAuthorization: Bearer "
            + bearer.encode()
            + b"\r\n\r\n"
            for bearer in bearers
        ]

    def stop(self) -> None:
        """End what was started."""
        for child in self.children:
            child.kill()
            child.wait()


@contextlib.contextmanager
def world(folder: Path, *, tokens: int, clients: int, routes: int) -> Iterator[World]:
    """A running world."""
    made = World(folder, tokens=tokens, clients=clients, routes=routes)
    try:
        made.start()
        yield made
    finally:
        made.stop()
