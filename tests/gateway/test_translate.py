"""The translation: golden files that Envoy itself accepts, equal bytes for equal input, one order of filters.

`KRONBORG_WRITE_GOLDEN=1 pytest tests/gateway/test_translate.py` writes the golden files anew.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path as FilePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.gateway.envoy.hygiene import PASSED, unwanted
from kronborg.gateway.envoy.listener import FILTERS
from kronborg.gateway.envoy.process import envoy_argv, objection
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.translate import Files, translate
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Audience, Cors, Path, Route, Service, Snapshot
from kronborg.gateway.validate import problems_of

GOLDEN = FilePath(__file__).parent / "golden"
KEYS = json.dumps(
    {
        "keys": [
            {
                "kty": "EC",
                "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
                "kid": "1",
                "alg": "ES256",
                "use": "sig",
            }
        ]
    }
)
API = "https://shop.example/catalogue"
CART = "https://shop.example/cart"
SNAPSHOT = Snapshot(
    issuer="http://localhost:8081",
    services=(
        Service("catalogue", ("http://127.0.0.1:8091", "http://127.0.0.1:8191"), http2=True),
        Service("far", ("https://far.example",), connect_timeout=timedelta(milliseconds=300)),
    ),
    routes=(
        Route(
            "shop", Path("prefix", "/shop/"), "catalogue", public=True, spike_arrest=SpikeArrest("30ps", 5, "address")
        ),
        Route(
            "read",
            Path("prefix", "/catalogue"),
            "catalogue",
            methods=("GET", "HEAD"),
            audience=API,
            scopes=("catalogue:read",),
            spike_arrest=SpikeArrest("5ps"),
        ),
        Route("write", Path("prefix", "/catalogue"), "catalogue", methods=("POST",), audience=API, roles=("clerk",)),
        Route("one", Path("exact", "/catalogue/one"), "far", audience=API, cors=Cors(("https://app.example",))),
        Route("api", Path("prefix", "/"), "far", host="api.example", audience=CART, cookies=True),
    ),
    audiences=(Audience(API, ("catalogue:read",)), Audience(CART, reference=True)),
    version=3,
)
PROXY = Proxy(folder=FilePath("/var/lib/kronborg/gateway"))


def contents(files: Files) -> dict[str, bytes]:
    return {"bootstrap": files.bootstrap, "cds": files.cds, "rds": files.rds, "lds": files.lds}


@pytest.mark.parametrize("name", ["bootstrap", "cds", "rds", "lds"])
def test_the_files_are_the_golden_ones(name: str) -> None:
    content = contents(translate(SNAPSHOT, KEYS, PROXY))[name]

    golden = GOLDEN / f"{name}.json"
    if os.environ.get("KRONBORG_WRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_bytes(content)
    assert content.decode() == golden.read_text()


@pytest.mark.anyio
async def test_envoy_accepts_what_is_golden(tmp_path: FilePath) -> None:
    assert problems_of(SNAPSHOT) == ()

    assert await objection(translate(SNAPSHOT, KEYS, PROXY).trial, tmp_path) is None


@pytest.mark.anyio
async def test_envoy_says_why_it_objects(tmp_path: FilePath) -> None:
    reason = await objection(translate(SNAPSHOT, "not keys", PROXY).trial, tmp_path)

    assert reason is not None
    assert "jwks" in reason.lower()


def test_equal_input_gives_equal_bytes_whatever_the_order() -> None:
    shuffled = replace(SNAPSHOT, routes=SNAPSHOT.routes[::-1], services=SNAPSHOT.services[::-1])

    assert translate(shuffled, KEYS, PROXY) == translate(SNAPSHOT, KEYS, PROXY)


def test_new_routes_leave_the_listener_alone() -> None:
    before = translate(SNAPSHOT, KEYS, PROXY)
    more = Route("more", Path("prefix", "/more"), "far", audience=CART, scopes=("cart:read",))

    after = translate(replace(SNAPSHOT, routes=(*SNAPSHOT.routes, more), version=4), KEYS, PROXY)

    assert (after.lds, after.cds, after.bootstrap) == (before.lds, before.cds, before.bootstrap)
    assert after.rds != before.rds


def test_a_request_is_authenticated_before_it_is_counted_and_counted_before_it_is_read() -> None:
    assert FILTERS == (
        "hsts",
        "misdirected",
        "blocked",
        "addresses",
        "cors",
        "bots",
        "spike_arrest_before",
        "phantom",
        "jwt",
        "access",
        "inspect",
        "spike_arrest",
        "rate_limit",
        "concurrency",
        "body",
        "guard",
        "compressor_gzip",
        "compressor_brotli",
        "grpc_web",
        "trailers",
        "router",
    )


def test_each_protected_route_has_its_checks_and_nothing_else_is_left_open() -> None:
    routes = json.loads(translate(SNAPSHOT, KEYS, PROXY).rds)["resources"][0]

    for host in routes["virtual_hosts"]:
        for route in host["routes"]:
            configs = route["typed_per_filter_config"]
            off = {name for name, config in configs.items() if config.get("disabled")}
            if "cluster" in route.get("route", {}) and route.get("name") not in ("shop", None):
                assert not off
                assert "rbac" in configs["access"]
            elif "route" in route and route.get("name") is None:
                assert configs["access"]["rbac"] == {"rules": {"action": "ALLOW"}}


def test_the_command_line_names_the_binary_of_the_wheel(tmp_path: FilePath) -> None:
    argv = envoy_argv(tmp_path, concurrency=3, log_level="info")

    assert os.access(argv[0], os.X_OK)
    assert argv[argv.index("--concurrency") + 1] == "3"
    assert "--disable-hot-restart" in argv
    with pytest.raises(ValueError, match="log level"):
        envoy_argv(tmp_path, log_level="loud")


@pytest.mark.parametrize("name", ["/short", "/" + "deep/" * 40])
def test_the_admin_socket_is_short_enough_for_a_socket_address(name: str) -> None:
    assert len(str(Proxy(folder=FilePath(name)).admin)) <= 107


@given(st.from_regex(r"x-[a-z-]{0,24}", fullmatch=True) | st.sampled_from(PASSED))
def test_of_the_x_headers_only_the_listed_pass(name: str) -> None:
    assert (re.fullmatch(unwanted(), name) is None) == (name in PASSED)


@pytest.mark.parametrize(
    "name",
    ["host", "accept", "user-agent", "authorization", "cookie", "content-type", "idempotency-key", "traceparent"],
)
def test_ordinary_headers_are_wanted(name: str) -> None:
    assert re.fullmatch(unwanted(cookies=True), name) is None
    assert (re.fullmatch(unwanted(cookies=False), name) is None) == (name != "cookie")
