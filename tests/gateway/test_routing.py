"""Which route a request meets: hosts, templates, regular expressions, conditions, and the order between them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path as FilePath
from urllib.parse import unquote

import pytest

from gateway.live import API, OTHER_API, Answer, Live
from kronborg.gateway.envoy.process import objection
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.translate import translate
from kronborg.gateway.model import Cors, Path, Route, Service
from kronborg.gateway.traffic_model import (
    Canary,
    Condition,
    HeaderEdits,
    HeaderLine,
    Mirror,
    Redirect,
    Rewrite,
    Share,
    Sticky,
)
from kronborg.gateway.validate import problems_of


def route(name: str, kind: str, path: str, **more: object) -> Route:
    return Route(name, Path(kind, path), "echo", **({"public": True} | more))  # type: ignore[arg-type]


def edits(**lines: str) -> HeaderEdits:
    return HeaderEdits(set=tuple(HeaderLine(name.replace("_", "-"), value) for name, value in lines.items()))


def marked(name: str, kind: str, path: str, **more: object) -> Route:
    """A public route whose answers say its name."""
    return route(name, kind, path, response_headers=edits(routed=name), **more)


def asked(answer: Answer) -> str:
    return answer.headers["routed"] or str(answer.status)


ROUTES = (
    marked("all", "prefix", "/"),
    marked("order", "template", "/orders/{id}"),
    marked("item", "template", "/orders/{id}/items/{item=**}"),
    marked("mine", "exact", "/orders/mine"),
    marked("number", "regex", r"/orders/[0-9]{1,9}"),
    marked("parts", "regex", r"/parts/(?:red|blue)\.json"),
    marked("below", "prefix", "/orders/archive"),
    marked("get-only", "template", "/get/{id}", methods=("GET",)),
    route("vault", "template", "/vault/{id}", public=False, audience=API),
    route("safe", "regex", r"/safe/[a-z:]+", public=False, audience=API),
    marked("vaults", "prefix", "/vault"),
    marked("v2", "exact", "/api", headers=(Condition("accept-version", exact="2"),)),
    marked("beta", "exact", "/api", headers=(Condition("accept-version", exact="2"), Condition("beta", present=True))),
    marked("v1", "exact", "/api"),
    marked("strict", "exact", "/strict", headers=(Condition("tier", exact="gold"),)),
    marked("plain", "exact", "/absent", headers=(Condition("old", present=False),)),
    marked("unlike", "exact", "/unlike", headers=(Condition("kind", exact="old", inverted=True),)),
    marked("begins", "exact", "/begins", headers=(Condition("accept", prefix="text/"),)),
    marked("fits", "exact", "/fits", headers=(Condition("region", regex="[a-z]{2,8}"),)),
    marked("page", "exact", "/list", query=(Condition("page", regex="[0-9]+"),)),
    marked("no-page", "exact", "/list", query=(Condition("page", present=False),)),
    marked("mixed-get", "exact", "/mixed", methods=("GET",), headers=(Condition("tier", exact="gold"),)),
    marked("mixed-put", "exact", "/mixed", methods=("PUT",)),
    marked("wild", "prefix", "/", host="*.shop.example"),
    marked("own", "exact", "/own", host="api.shop.example"),
)


standing: dict[str, int] = {}


@pytest.fixture
def edge(gateway: Live) -> Live:
    if standing.get("version") != gateway.version:
        snapshot = gateway.snapshot(*ROUTES)
        assert problems_of(snapshot) == ()
        gateway.deliver(snapshot)
        standing["version"] = gateway.version
    return gateway


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/elsewhere", "all"),
        ("/orders/mine", "mine"),
        ("/orders/mine?x=/orders/7", "mine"),
        ("/orders/12", "number"),
        ("/orders/a-b=c@d", "order"),
        ("/orders/a%20b", "order"),
        ("/orders/%6dine", "mine"),
        ("/orders/archive", "below"),
        ("/orders/archive/1", "below"),
        ("/orders/7/items/a", "item"),
        ("/orders/7/items/a/b/c", "item"),
        ("/orders/7/items/", "all"),
        ("/orders//12", "number"),
        ("/parts/red.json", "parts"),
        ("/parts/redxjson", "all"),
        ("/get/1", "get-only"),
        ("/begins/x/../../orders/12", "number"),
    ],
)
def test_the_most_specific_path_decides(edge: Live, path: str, name: str) -> None:
    assert asked(edge.get(path)) == name


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/api", {}, "v1"),
        ("/api", {"Accept-Version": "2"}, "v2"),
        ("/api", {"accept-version": "2", "beta": "no"}, "beta"),
        ("/api", {"accept-version": "22"}, "v1"),
        ("/strict", {"tier": "gold"}, "strict"),
        ("/strict", {}, "404"),
        ("/strict", {"tier": "GOLD"}, "404"),
        ("/absent", {}, "plain"),
        ("/absent", {"old": ""}, "404"),
        ("/unlike", {}, "unlike"),
        ("/unlike", {"kind": "new"}, "unlike"),
        ("/unlike", {"kind": "old"}, "404"),
        ("/begins", {"accept": "text/html"}, "begins"),
        ("/fits", {"region": "acme"}, "fits"),
        ("/fits", {"region": "acme/../x"}, "404"),
        ("/list?page=2", {}, "page"),
        ("/list?page=two", {}, "404"),
        ("/list", {}, "no-page"),
        ("/list?pages=1", {}, "no-page"),
        ("/mixed", {"tier": "gold"}, "mixed-get"),
        ("/mixed", {}, "404"),
    ],
)
def test_conditions_pick_among_the_routes_of_a_path_and_never_beyond_it(
    edge: Live, path: str, headers: dict[str, str], name: str
) -> None:
    assert asked(edge.get(path, headers=headers)) == name


@pytest.mark.parametrize("values", [("old", "new"), ("new", "old")])
def test_a_second_header_hides_no_value(edge: Live, values: tuple[str, str]) -> None:
    twice = edge.get("/unlike", headers=[("kind", values[0]), ("Kind", values[1])])
    fitting = edge.get("/strict", headers=[("tier", values[0]), ("TIER", "gold")])
    joined = edge.get("/strict", headers={"tier": "none, gold"})

    assert (asked(twice), asked(fitting), asked(joined)) == ("404", "strict", "404")


@pytest.mark.spec("RFC 9110 §15.5.6")
def test_rfc9110_15_5_6__a_path_without_a_route_for_the_method_says_what_it_takes(edge: Live) -> None:
    answer, mixed = edge.request("POST", "/get/1", body=b""), edge.request("POST", "/mixed", body=b"")
    overridden = edge.request("POST", "/get/1", headers={"X-HTTP-Method-Override": "GET"}, body=b"")

    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert (mixed.status, mixed.headers["allow"]) == (405, "GET, PUT")
    assert overridden.status == 405


@pytest.mark.parametrize(
    "path",
    [
        "/vault/1",
        "/vault/1/",
        "/vault/x/../1",
        "/vault//1",
        "/vault/%31",
        "/vault/1%2f",
        "/vault/..%2fvault/1",
        "/vault/1%3bx",
        "/vault/1;x=2",
        "/vault/a=b",
        "/vault/a%20b",
        "/vault/a,b",
        "/vault/~!$&'()*+:@",
        "/vault/%e2%82%ac",
        "/vault/%252e%252e",
        "/vault/1%00",
        "/vault\\1",
        "/vault/%5c1",
        "/safe/a",
        "/safe/a/",
        "/safe/a:b",
        "/safe/a%3ab",
        "/safe/%61",
        "/x/..//safe/./a",
    ],
)
def test_no_spelling_of_a_path_gets_past_a_template_or_an_expression_that_guards_it(edge: Live, path: str) -> None:
    answer = edge.get(path)

    assert answer.status in (400, 401, 404), unquote(path)
    assert answer.headers["routed"] is None


@pytest.mark.parametrize(
    ("host", "path", "name"),
    [
        ("a.shop.example", "/", "wild"),
        ("a.b.shop.example:8080", "/orders/mine", "wild"),
        ("api.shop.example", "/own", "own"),
        ("api.shop.example", "/", "404"),
        ("shop.example", "/", "421"),
        ("evilshop.example", "/", "421"),
        ("a.shop.example.evil.example", "/", "421"),
        (".shop.example", "/", "421"),
    ],
)
def test_the_most_specific_host_decides_alone(edge: Live, host: str, path: str, name: str) -> None:
    assert asked(edge.get(path, host=host)) == name


def test_many_routes_of_a_host_are_decided_and_guarded_like_few(gateway: Live) -> None:
    many = [route(f"many-{n}", "prefix", f"/area/{n}", public=False, audience=API) for n in range(200)]
    page = Cors(("https://app.example",))
    gateway.publish(
        *many,
        marked("all", "prefix", "/area"),
        marked("exact", "exact", "/area/17"),
        route("shared", "template", "/area/{n}/shared", public=False, audience=API, cors=page),
        route("other", "prefix", "/area/18/other", public=False, audience=OTHER_API),
        route("large", "prefix", "/area/19/large", public=False, audience=API, max_body=10),
    )
    token = gateway.token()

    def preflight(origin: str) -> object:
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        answer = gateway.request("OPTIONS", "/area/x/shared", headers=headers)
        return answer.status, answer.headers["access-control-allow-origin"]

    statuses = {
        path: (gateway.get(path).status, gateway.get(path, token=token).status)
        for path in ("/area/17/x", "/area/199?q=/area/17", "/area/x/shared", "/area/18/other/1", "/areas", "/area/1%3b")
    }
    # What is asked in front of all routes looks at the path alone, and at the method and the host of every request.
    queried = [gateway.get(f"/area/1?{query}", token=token).status for query in ("a=;b", "a=%3b", "a=?;", "%5c")]
    odd = [
        gateway.request("TRACE", "/area/1", token=token).status,
        gateway.get("/area/1", token=token, host="localhost:x").status,
        gateway.get("/healthz?x").status,
        gateway.get("/healthz/x").status,
        gateway.get("/area/1;/x?a", token=token).status,
    ]
    open_ = [asked(gateway.get(path)) for path in ("/area/17", "/area/200", "/area/x", "/area")]
    large = gateway.request("POST", "/area/19/large", token=token, body=b"x" * 11)

    assert statuses == {
        "/area/17/x": (401, 200),
        "/area/199?q=/area/17": (401, 200),
        "/area/x/shared": (401, 200),
        "/area/18/other/1": (401, 401),
        "/areas": (404, 404),
        "/area/1%3b": (400, 400),
    }
    assert queried == [200, 200, 200, 200]
    assert odd == [405, 400, 200, 404, 400]
    assert open_ == ["exact", "all", "all", "all"]
    assert (large.status, preflight("https://app.example")) == (413, (200, "https://app.example"))
    assert preflight("https://evil.example") == (403, None)


@pytest.mark.anyio
async def test_envoy_takes_every_setting_at_once(gateway: Live, tmp_path: FilePath) -> None:
    other = Service("other", ("http://127.0.0.1:9",), http2=True)
    rich = Route(
        "rich",
        Path("template", "/a/{b}/{c=**}"),
        "grpc",
        public=True,
        rewrite=Rewrite(path="/z/{c}/{b}", host="inside.example"),
        request_headers=HeaderEdits((HeaderLine("a", "100%"),), (HeaderLine("b", "c"),), ("d",)),
        cors=Cors(("https://*.shop.example",), ("etag",), ("etag",), credentials=True),
        grpc=True,
        split=(Share("other", 10),),
        canary=(Canary("other", header="canary"), Canary("other", cookie="canary", value="a.b")),
        cookies=True,
        sticky=Sticky("cookie"),
    )
    plain = route("plain", "prefix", "/p", rewrite=Rewrite("/"), mirror=Mirror("other", 5), websocket=True, stream=True)
    away = Route("away", Path("prefix", "/r"), "", public=True, redirect=Redirect("https", prefix="/s", code=301))
    plain = replace(plain, mirror=None, compress=False)
    copied = route("copied", "prefix", "/m", mirror=Mirror("other", 5), compress=True, sticky=Sticky("header", "shard"))
    grpc = Service("grpc", ("http://127.0.0.1:9",), http2=True)
    snapshot = gateway.snapshot(rich, plain, away, copied)
    snapshot = replace(snapshot, services=(*snapshot.services, other, grpc))

    assert problems_of(snapshot) == ()
    assert await objection(translate(snapshot, gateway.keys, Proxy(folder=tmp_path)).trial, tmp_path) is None
    assert "100%%" in json.dumps(json.loads(translate(snapshot, gateway.keys, Proxy(folder=tmp_path)).rds))
