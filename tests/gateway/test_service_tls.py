"""TLS to services: whom a live gateway believes, what it shows, and that it never falls back to plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from client_certificates import Certified
from gateway.live import Live, wait_until
from gateway.tls_callers import (
    AUTHORITY,
    STRANGE,
    Kept,
    caller_certificate,
    secure_service,
    server_certificate,
)
from kronborg.gateway.envoy import tls
from kronborg.gateway.envoy.access_log import path_of
from kronborg.gateway.model import Path, Route, Service
from kronborg.gateway.secret_files import refresh
from kronborg.gateway.service_tls_model import ServiceTls
from kronborg.gateway.validate import problems_of

CA = AUTHORITY.pem.decode()
STRANGE_CA = STRANGE.pem.decode()


@dataclass
class World:
    live: Live
    kept: Kept

    def serve(self, services: dict[str, Service]) -> None:
        routes = tuple(Route(name, Path("prefix", f"/{name}"), name, public=True) for name in services)
        snapshot = replace(self.live.snapshot(*routes), services=tuple(services.values()))
        assert problems_of(snapshot) == ()
        names = tls.needed(snapshot, self.live.proxy)
        asyncio.run(refresh(names, self.kept, self.live.proxy, now=datetime.now(UTC)))
        self.live.deliver(snapshot)


@pytest.fixture(scope="module")
def world(gateway: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("services")
    kept = Kept({"own": caller_certificate("gateway"), "strange": caller_certificate("gateway", by=STRANGE)})
    with contextlib.ExitStack() as stack:

        def service(name: str, own: Certified, callers: Certified | None = None) -> str:
            port = stack.enter_context(secure_service(folder / name, own, callers=callers))
            return f"https://127.0.0.1:{port}"

        plain = service("plain", server_certificate("stock.example", "127.0.0.1"))
        asking = service("asking", server_certificate("stock.example"), AUTHORITY)
        ended = service("ended", server_certificate("stock.example", days=0))
        named = ServiceTls(CA, verify_names=("stock.example",), minimum="1.3")
        world = World(gateway, kept)
        told = {
            "address": (plain, ServiceTls(CA)),
            "name": (plain, named),
            "system": (plain, ServiceTls(verify_names=("stock.example",))),
            "unsaid": (plain, None),
            "strange": (plain, ServiceTls(STRANGE_CA, verify_names=("stock.example",))),
            "misnamed": (plain, ServiceTls(CA, verify_names=("other.example",))),
            "sni": (plain, ServiceTls(CA, sni="other.example")),
            "ended": (ended, named),
            "shown": (asking, ServiceTls(CA, "own", sni="stock.example")),
            "missing": (asking, ServiceTls(CA, sni="stock.example")),
            "unknown": (asking, ServiceTls(CA, "not-there", sni="stock.example")),
            "later": (asking, ServiceTls(CA, "later", sni="stock.example")),
            "wrong": (asking, ServiceTls(CA, "strange", sni="stock.example")),
            "never": (f"https://127.0.0.1:{gateway.upstream.server_address[1]}", ServiceTls(CA)),
        }
        world.serve({name: Service(name, (url,), tls=how) for name, (url, how) in told.items()})
        yield world
        gateway.publish()


@pytest.mark.parametrize("name", ["address", "name", "shown"])
def test_a_service_that_is_believed_answers(world: World, name: str) -> None:
    assert world.live.get(f"/{name}").status == 200


@pytest.mark.spec("RFC 9525 §6")
@pytest.mark.parametrize(
    "name", ["system", "unsaid", "strange", "misnamed", "sni", "ended", "missing", "unknown", "wrong", "never"]
)
def test_a_service_that_is_not_believed_or_does_not_believe_us_is_never_called(world: World, name: str) -> None:
    answer = world.live.get(f"/{name}")

    assert answer.status == 503
    assert answer.json()["reason"] in ("service_untrusted", "service_unreachable", "service_reset")


def test_the_record_says_that_tls_failed(world: World) -> None:
    answer = world.live.get("/strange?x=record")

    asked = answer.json()["request_id"]
    wait_until(lambda: any(asked in line for line in path_of(world.live.proxy).read_text().splitlines()))
    line = next(line for line in path_of(world.live.proxy).read_text().splitlines() if asked in line)
    assert "TLS_error" in json.loads(line)["d"]
    assert answer.json()["reason"] == "service_untrusted"


def test_a_certificate_that_comes_later_is_shown_without_a_new_version(world: World) -> None:
    assert world.live.get("/later").status == 503

    world.kept.by_name["later"] = caller_certificate("gateway")
    asyncio.run(refresh(("later",), world.kept, world.live.proxy, now=datetime.now(UTC)))

    wait_until(lambda: world.live.get("/later").status == 200)


@pytest.mark.parametrize(
    ("service", "detail"),
    [
        (Service("a", ("http://127.0.0.1:1",), tls=ServiceTls()), "is said of a service with plain addresses"),
        (Service("a", ("https://127.0.0.1:1",), tls=ServiceTls("nothing")), "holds no certificates in PEM"),
        (Service("a", ("https://127.0.0.1:1",), tls=ServiceTls(client_certificate="../x")), "is not a name"),
        (Service("a", ("https://127.0.0.1:1",), tls=ServiceTls(sni="A_b")), "a name is no host name"),
    ],
)
def test_what_cannot_stand_is_not_published(gateway: Live, service: Service, detail: str) -> None:
    snapshot = replace(gateway.snapshot(), services=(service,))

    assert detail in [problem.detail for problem in problems_of(snapshot)]
