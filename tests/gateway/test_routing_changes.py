"""What a route changes on the way: paths, hosts, headers, answers; how it shares requests out, and who gets copies."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest

from gateway.live import API, Live, Quiet, wait_until
from kronborg.gateway.model import Cors, Path, Route, Service
from kronborg.gateway.traffic_model import Canary, HeaderEdits, HeaderLine, Mirror, Redirect, Rewrite, Share, Sticky
from kronborg.gateway.validate import problems_of


def route(name: str, kind: str, path: str, **more: object) -> Route:
    return Route(name, Path(kind, path), "echo", **({"public": True} | more))  # type: ignore[arg-type]


class Second(Quiet):
    """Another service: answers with its port, large, and remembers who came."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.seen.append((self.command, self.path, headers))
                content = json.dumps({"port": server.server_address[1], "fill": "a" * 2000}).encode()
                self.send_response(200)
                encoded = self.path.endswith("encoded")
                if encoded:
                    content = gzip.compress(content)
                    self.send_header("content-encoding", "gzip")
                kind = "text/event-stream" if self.path.endswith("events") else "application/json"
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Quiet."""

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def second() -> Iterator[Second]:
    server = Second()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.die()


def deliver(gateway: Live, *routes: Route, services: tuple[Service, ...] = ()) -> None:
    snapshot = gateway.snapshot(*routes)
    snapshot = replace(snapshot, services=(*snapshot.services, *services))
    assert problems_of(snapshot) == ()
    gateway.deliver(snapshot)


def test_a_service_sees_the_path_and_host_it_knows(gateway: Live) -> None:
    deliver(
        gateway,
        route("cut", "prefix", "/shop", rewrite=Rewrite(prefix="/")),
        route("moved", "prefix", "/old", rewrite=Rewrite(prefix="/new/place")),
        route("fixed", "exact", "/one", rewrite=Rewrite(path="/two", host="inside.example")),
        route("turned", "template", "/v1/{kind}/items/{id}", rewrite=Rewrite(path="/items/{id}/{kind}")),
        route("rest", "template", "/files/{path=**}", rewrite=Rewrite(path="/data/{path}")),
    )

    seen = {
        path: gateway.get(path).json()["path"]
        for path in ("/shop", "/shop/a?b=c", "/shop/", "/old", "/old/x", "/one?q", "/v1/a/items/7", "/files/a/b.txt")
    }
    host = gateway.get("/one").seen("host")

    assert seen == {
        "/shop": "/",
        "/shop/a?b=c": "/a?b=c",
        "/shop/": "/",
        "/old": "/new/place",
        "/old/x": "/new/place/x",
        "/one?q": "/two?q",
        "/v1/a/items/7": "/items/7/a",
        "/files/a/b.txt": "/data/a/b.txt",
    }
    assert host == ["inside.example"]


@pytest.mark.spec("RFC 9110 §15.4")
def test_rfc9110_15_4__redirects_lead_where_they_say_and_guard_what_they_guard(gateway: Live) -> None:
    def away(name: str, path: str, to: Redirect, **more: object) -> Route:
        return replace(route(name, "prefix", path, **more), service="", redirect=to)

    deliver(
        gateway,
        away("safe", "/safe", Redirect("https", port=8443)),
        away("moved", "/moved", Redirect(prefix="/here", code=301)),
        away("other", "/other", Redirect(host="shop.example", path="/start", code=302, query=False)),
        away("inner", "/inner", Redirect(path="/elsewhere", code=303), public=False, audience=API),
    )

    port = gateway.proxy.port
    answers = {path: gateway.get(path) for path in ("/safe/a?b=c", "/moved/x", "/other/y?z=1", "/inner")}

    assert {path: (one.status, one.headers["location"]) for path, one in answers.items()} == {
        "/safe/a?b=c": (308, "https://localhost:8443/safe/a?b=c"),
        "/moved/x": (301, f"http://localhost:{port}/here/x"),
        "/other/y?z=1": (302, "http://shop.example/start"),
        "/inner": (401, None),
    }
    assert gateway.get("/inner", token=gateway.token()).status == 303


def test_headers_are_edited_for_the_service_and_for_the_caller(gateway: Live) -> None:
    deliver(
        gateway,
        route(
            "edited",
            "exact",
            "/edited",
            request_headers=HeaderEdits(
                (HeaderLine("x-shard", "100%"), HeaderLine("a", "gateway")), (HeaderLine("b", "two"),), ("c",)
            ),
            response_headers=HeaderEdits((HeaderLine("cache-control", "no-store"),), (), ("content-type",)),
        ),
    )

    answer = gateway.get("/edited", headers={"a": "caller", "b": "one", "c": "gone", "X-Shard": "spoofed"})

    assert (answer.seen("x-shard"), answer.seen("a"), answer.seen("c")) == (["100%"], ["gateway"], [])
    assert sorted(answer.seen("b")) == ["one", "two"]
    assert (answer.headers["cache-control"], answer.headers["content-type"]) == ("no-store", None)


def test_answers_are_compressed_only_where_a_route_says_so(gateway: Live) -> None:
    with second() as large:
        small = Service("large", (large.url,))
        deliver(
            gateway,
            replace(route("packed", "prefix", "/packed", compress=True), service="large"),
            replace(route("plain", "prefix", "/plain"), service="large"),
            services=(small,),
        )

        both = {"accept-encoding": "gzip, br"}
        brotli, zipped = (
            gateway.get("/packed", headers=both),
            gateway.get("/packed", headers={"accept-encoding": "gzip"}),
        )
        plain, unasked = gateway.get("/plain", headers=both), gateway.get("/packed")
        already, events = gateway.get("/packed/encoded", headers=both), gateway.get("/packed/events", headers=both)
        sent = gateway.request("POST", "/packed", headers={"content-encoding": "gzip"}, body=gzip.compress(b"x"))

    assert (brotli.headers["content-encoding"], zipped.headers["content-encoding"]) == ("br", "gzip")
    assert len(gzip.decompress(zipped.body)) > 2000 > len(zipped.body)
    assert [one.headers["content-encoding"] for one in (plain, unasked, already, events)] == [None, None, "gzip", None]
    assert "fill" in json.loads(gzip.decompress(already.body))
    assert sent.status == 200
    assert large.seen[-1][2]["content-encoding"] == "gzip"


@pytest.mark.spec("Fetch §3.2")
def test_cors_answers_for_named_origins_and_their_subdomains_only(gateway: Live) -> None:
    told = Cors(("https://*.shop.example",), ("if-match",), ("etag",), credentials=True)
    deliver(
        gateway,
        route("read", "exact", "/c", methods=("GET",), cors=told, cookies=True),
        route("write", "exact", "/c", methods=("PUT",), cors=told, public=False, audience=API),
    )

    def preflight(origin: str, method: str = "PUT") -> object:
        asking = {"Origin": origin, "Access-Control-Request-Method": method}
        return gateway.request("OPTIONS", "/c", headers=asking).headers["access-control-allow-origin"]

    fine = gateway.request(
        "OPTIONS", "/c", headers={"Origin": "https://a.shop.example", "Access-Control-Request-Method": "PUT"}
    )
    read = gateway.get("/c", headers={"Origin": "https://a.b.shop.example"})
    foreign = [preflight(one) for one in ("https://shop.example", "https://evilshop.example", "http://a.shop.example")]

    assert (fine.status, fine.headers["access-control-allow-methods"]) == (200, "PUT")
    assert "if-match" in fine.headers["access-control-allow-headers"]
    assert fine.headers["access-control-allow-credentials"] == "true"
    assert fine.headers["access-control-max-age"] == "600"
    assert "etag" in read.headers["access-control-expose-headers"]
    assert foreign == [None, None, None]
    assert preflight("https://a.shop.example.evil.example") is None
    assert preflight("https://a.shop.example", "DELETE") is None


def test_a_canary_gets_who_asks_for_it_and_its_share_and_asks_for_the_same_token(gateway: Live) -> None:
    with second() as next_:
        deliver(
            gateway,
            route(
                "api",
                "prefix",
                "/api",
                public=False,
                audience=API,
                canary=(Canary("next", header="canary", value="yes"), Canary("next", cookie="canary")),
            ),
            route("half", "prefix", "/half", split=(Share("next", 50),)),
            services=(Service("next", (next_.url,)),),
        )
        token = gateway.token()

        def port(path: str, **headers: str) -> bool:
            return "port" in gateway.get(path, token=token, headers=headers).json()

        by_header, by_cookie = port("/api", canary="yes"), port("/api", cookie="a=b; canary=1")
        others = [port("/api"), port("/api", canary="no"), port("/api", cookie="xcanary=1")]
        refused = gateway.get("/api", headers={"canary": "yes"})
        halves = [port("/half") for _ in range(60)]
        seen = next_.seen[0]

    assert (by_header, by_cookie, others, refused.status) == (True, True, [False] * 3, 401)
    assert 5 < sum(halves) < 55
    assert "cookie" not in seen[2]


def test_a_mirror_gets_no_credentials_and_nothing_that_changes_something(gateway: Live) -> None:
    with second() as shadow:
        deliver(
            gateway,
            route("api", "prefix", "/api", public=False, audience=API, mirror=Mirror("shadow"), cookies=True),
            route("open", "prefix", "/told", mirror=Mirror("shadow", unsafe=True, credentials=True), cookies=True),
            services=(Service("shadow", (shadow.url,)),),
        )
        token = gateway.token()
        held = {"Cookie": "session=secret", "DPoP": "proof"}

        first = gateway.get("/api/a", token=token, headers=held)
        wait_until(lambda: len(shadow.seen) == 1)
        posted = gateway.request("POST", "/api/b", token=token, body=b"{}")
        gateway.request("POST", "/told", headers=held, body=b"{}")
        wait_until(lambda: len(shadow.seen) == 2)

    assert (first.status, posted.status) == (200, 200)
    assert first.seen("authorization") != []
    method, path, headers = shadow.seen[0]
    assert (method, path) == ("GET", "/api/a")
    assert {"authorization", "cookie", "dpop"} & set(headers) == set()
    assert [(one[0], one[1]) for one in shadow.seen[1:]] == [("POST", "/told")]
    assert shadow.seen[1][2]["cookie"] == "session=secret"


def test_a_caller_stays_with_one_replica(gateway: Live) -> None:
    with second() as one, second() as two:
        twins = Service("twins", (one.url, two.url))
        deliver(
            gateway,
            replace(
                route("cookie", "prefix", "/cookie", cookies=True, sticky=Sticky("cookie", "stay")), service="twins"
            ),
            replace(route("header", "prefix", "/header", sticky=Sticky("header", "shard")), service="twins"),
            services=(twins,),
        )
        first = gateway.get("/cookie")
        set_cookie = first.headers["set-cookie"]
        cookie = set_cookie.partition(";")[0]

        again = {gateway.get("/cookie", headers={"cookie": cookie}).json()["port"] for _ in range(12)}
        shards = {
            shard: {gateway.get("/header", headers={"shard": shard}).json()["port"] for _ in range(4)}
            for shard in "abcdefghij"
        }

    assert again == {first.json()["port"]}
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= {part.strip() for part in set_cookie.split(";")}
    assert "127.0.0.1" not in set_cookie
    assert all(len(ports) == 1 for ports in shards.values())
    assert len({port for ports in shards.values() for port in ports}) == 2
