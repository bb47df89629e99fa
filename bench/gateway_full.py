"""The gateways that `bench/gateway.py` measures: from a minimal protected route to everything the issue asks for.

Everything means: JWT and scope, a ledger of 10,000 revocations that is kept fresh, spike arrest, a quota whose calls
are told to a real authority, an access record for each request, a breaker and a fallback, and all hardening.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.context import ForkProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import cast

from bench.gateway_world import API, CART, ENDING, ISSUER, World, envoy_file, free_port, plain_cluster
from kronborg.gateway.deliver import make_folder, prepare
from kronborg.gateway.envoy.process import envoy_argv
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.ledger import Ledger
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Audience, Limits, Route, Service, Snapshot
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.quota_answers import Answers, Tell
from kronborg.gateway.quota_endpoint import once_by, quotas_of
from kronborg.gateway.resilience_model import Breaker, Fallback
from kronborg.limits.authority import Authority
from kronborg.limits.counters_model import ProcessCounters
from kronborg.limits.model import Quota
from kronborg.tokens.feed import Page
from kronborg.tokens.feed_store import Revocation

ENTRIES = 10_000
ROOMY = SpikeArrest("1000000ps", burst=100_000)
WIDE = 10**11
_BEAT_SECONDS = 0.5
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Variant:
    """One gateway: its snapshot, what is asked of it, and how much of raw Envoy's CPU it may take."""

    snapshot: Snapshot
    path: str
    reference: bool = False
    bar: float | None = None
    entries: int = 0


def variants(upstream: int, routes: int) -> dict[str, Variant]:
    """Everything measured, by name."""
    plain = Service("service", (f"http://127.0.0.1:{upstream}",))
    safe = replace(plain, breaker=Breaker(), fallback=Fallback(status=503, body="{}"))
    minimal = Route("catalogue", RoutePath("prefix", "/catalogue"), "service", audience=API)
    scoped = replace(minimal, methods=("GET",), scopes=("catalogue:read",))
    full = replace(scoped, spike_arrest=ROOMY, quotas=(Quota("day", WIDE),))
    leased = replace(full, quotas=(Quota("day", WIDE, mode="leased"),))
    cart = replace(full, name="cart", path=RoutePath("prefix", "/cart"), audience=CART, scopes=("cart:read",))
    others = tuple(
        Route(f"other-{number}", RoutePath("prefix", f"/other-{number}"), "service", audience=API)
        for number in range(routes - 1)
    )

    def snapshot(service: Service, route: Route) -> Snapshot:
        return Snapshot(
            issuer=ISSUER,
            services=(service,),
            routes=(route, *others),
            audiences=(Audience(API, ("catalogue:read",)), Audience(CART, ("cart:read",), reference=True)),
            limits=Limits(),
        )

    modern = replace(safe, http2=True)
    everything = {
        "minimal": Variant(snapshot(plain, minimal), "/catalogue", bar=1.3),
        "minimal, h2 up": Variant(snapshot(replace(plain, http2=True), minimal), "/catalogue", bar=1.3),
        "JWT, scope, spike arrest": Variant(snapshot(plain, replace(scoped, spike_arrest=ROOMY)), "/catalogue"),
        "full": Variant(snapshot(safe, full), "/catalogue", bar=1.7),
        "full, leased quota": Variant(snapshot(safe, leased), "/catalogue", bar=1.7),
        "full, reference tokens": Variant(snapshot(safe, cart), "/cart", reference=True, bar=1.8),
        "full, h2 up": Variant(snapshot(modern, full), "/catalogue", bar=1.7),
        "full, leased, h2 up": Variant(snapshot(modern, leased), "/catalogue", bar=1.7),
        "full, reference, h2 up": Variant(snapshot(modern, cart), "/cart", reference=True, bar=1.8),
    }
    return {name: replace(one, entries=ENTRIES) for name, one in everything.items()}


class FullWorld(World):
    """Raw Envoy, and a gateway of its own for each variant, so that none lives in another's caches."""

    def __init__(self, folder: Path, *, tokens: int, clients: int, routes: int, only: tuple[str, ...] = ()) -> None:
        super().__init__(folder, tokens=tokens, clients=clients, routes=routes)
        known = variants(self.upstream, routes)
        self.variants = {name: one for name, one in known.items() if not only or name in only}
        self.folders: dict[str, Path] = {}
        self.desks: list[ForkProcess] = []
        self.exchanges = cast("Synchronized[int]", _FORK.Value("q", 0))
        self._over = threading.Event()

    def start(self) -> None:
        """Start all and wait until each answers."""
        answer = {"status": 200, "body": {"inline_string": ENDING.decode()}}
        self._envoy("upstream", self.upstream, envoy_file(self.upstream, {"direct_response": answer}, []))
        raw = free_port()
        self._envoy("envoy", raw, envoy_file(raw, {"route": {"cluster": "service"}}, [plain_cluster(self.upstream)]))
        ledgers = [self._variant(name, one) for name, one in self.variants.items()]
        threading.Thread(target=self._beat, args=(ledgers,), daemon=True).start()
        self._nginx()
        for port in self.ports.values():
            self.wait(port)

    def _variant(self, name: str, variant: Variant) -> Ledger:
        folder = self.folder / str(len(self.folders))
        self.folders[name] = folder
        proxy = Proxy(folder=folder, port=free_port(), exchange_port=free_port())
        secret = make_folder(proxy)
        traded = dict(zip(self.references, self.internal, strict=True)) if variant.reference else {}
        helper = _FORK.Process(target=desk, args=(proxy, secret, variant.snapshot, traded, self.exchanges), daemon=True)
        helper.start()
        self.desks.append(helper)
        keys = json.dumps({"keys": [self.key.as_dict(private=False)]})
        asyncio.run(prepare(variant.snapshot, keys, proxy))
        ledger = filled(proxy.ledger, variant.entries)
        self._start(name, proxy.port, envoy_argv(proxy.folder, concurrency=1, log_level="error"))
        return ledger

    def _beat(self, ledgers: list[Ledger]) -> None:
        """News that there is no news, as often as a gateway hears it."""
        while not self._over.wait(_BEAT_SECONDS):
            for ledger in ledgers:
                ledger.apply(Page((), ledger.after, reset=False, more=False), now=datetime.now(UTC))

    def stop(self) -> None:
        """End what was started."""
        self._over.set()
        for one in self.desks:
            one.kill()
        super().stop()


def filled(path: Path, entries: int) -> Ledger:
    """A ledger with revocations of other people's tokens, in the mix of a busy day."""
    now = datetime.now(UTC)
    kinds = ("token", "token", "token", "grant", "session")
    made = tuple(
        Revocation(n, kinds[n % 5], f"0192f0c4-7a1e-7cc1-9f00-{n:012x}", None, now + timedelta(hours=9), now)  # type: ignore[arg-type]
        for n in range(1, entries + 1)
    )
    ledger = Ledger.open(path)
    ledger.apply(Page(made, entries, reset=True, more=False), now=now)
    return ledger


def desk(proxy: Proxy, secret: str, snapshot: Snapshot, traded: Mapping[str, str], asked: Synchronized[int]) -> None:
    """What the control process does for a gateway: trades reference tokens, and counts calls against quotas."""
    known = quotas_of(snapshot)

    async def quotas(_: str) -> Mapping[str, Quota]:
        return known

    once, answers = once_by(Authority(ProcessCounters(), quotas, "bench")), Answers(proxy.answers)
    lock, loop = threading.Lock(), asyncio.new_event_loop()

    def settle(tell: Tell, body: bytes) -> bytes:
        with lock:
            told = loop.run_until_complete(once.settle(tell, body, now=datetime.now(UTC)))
        if tell.by_file:
            answers.leave(tell, told)
        return told

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            tell, told = Tell.parse(self.headers.get("x-kronborg-tell", "")), b""
            if self.headers["x-kronborg-exchange"] == secret:
                if tell is not None:
                    told = settle(tell, body)
                else:
                    asked.value += 1
                    told = traded.get(body.decode(), "").encode()
            self.send_response(200 if told else 404)
            self.send_header("x-kronborg-lifetime", "60")
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    ThreadingHTTPServer(("127.0.0.1", proxy.exchange_port), Handler).serve_forever()


def recorded(folder: Path, least: int, seconds: float = 5.0) -> int:
    """How many access records a gateway wrote, once they are as many as there were answers, or time is over."""
    deadline = time.monotonic() + seconds
    while True:
        with (folder / "log" / "access.log").open("rb") as file:
            found = sum(1 for _ in file)
        if found >= least or time.monotonic() > deadline:
            return found
        time.sleep(0.1)
