"""What limits cost: CPU microseconds of the proxy per request, each kind on a route of its own of one gateway.

    python -m bench.gateway_limits [--seconds 0.5] [--rounds 16]

Raw Envoy runs beside it in the same rounds; `added` is the difference to the same route without limits, scaled so that
raw is 120 µs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.gateway_load import Round, load
from bench.gateway_world import API, ENDING, World, envoy_file, free_port, plain_cluster
from kronborg.gateway.deliver import make_folder, prepare
from kronborg.gateway.envoy.process import envoy_argv
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Audience, Route, Service, Snapshot
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.quota_answers import Answers, Tell
from kronborg.gateway.quota_endpoint import once_by, quotas_of
from kronborg.limits.authority import Authority
from kronborg.limits.counters_model import ProcessCounters
from kronborg.limits.model import Quota

RAW = "raw Envoy"
PLAIN = "no limits"
SCALE = 120
WIDE = 10**11
ROOMY = SpikeArrest("1000000ps", burst=100_000)


def routes() -> dict[str, Route]:
    """A route for each kind of limit, all of them too wide to refuse anything."""
    plain = Route("plain", RoutePath("prefix", "/plain"), "service", methods=("GET",), audience=API)
    leased, counted = Quota("leased", WIDE, mode="leased"), Quota("counted", WIDE)
    kinds = {
        PLAIN: plain,
        "spike arrest": replace(plain, spike_arrest=ROOMY),
        "spike arrest, weight in a header": replace(plain, spike_arrest=replace(ROOMY, weight_header="cost")),
        "two rates": replace(plain, spike_arrest=ROOMY, rate_limit=ROOMY),
        "leased quota, headers": replace(plain, quotas=(leased,)),
        "counted quota, headers": replace(plain, quotas=(counted,)),
        "counted quota in shadow, no headers": replace(plain, quotas=(Quota("shadow", WIDE, effect="shadow"),)),
        "two quotas and spike arrest": replace(
            plain, spike_arrest=ROOMY, quotas=(replace(leased, name="l2"), replace(counted, name="c2"))
        ),
    }
    return {
        kind: replace(route, name=f"r{at}", path=RoutePath("prefix", f"/r{at}"))
        for at, (kind, route) in enumerate(kinds.items())
    }


class LimitsWorld(World):
    """Raw Envoy and one gateway with all the routes."""

    def start(self) -> None:
        """Start both and wait until they answer."""
        answer = {"status": 200, "body": {"inline_string": ENDING.decode()}}
        self._envoy("upstream", self.upstream, envoy_file(self.upstream, {"direct_response": answer}, []))
        raw = free_port()
        self._envoy("envoy", raw, envoy_file(raw, {"route": {"cluster": "service"}}, [plain_cluster(self.upstream)]))
        self._limited()
        for port in self.ports.values():
            self.wait(port)

    def _limited(self) -> None:
        proxy = Proxy(folder=self.folder / "limited", port=free_port(), exchange_port=free_port())
        secret = make_folder(proxy)
        snapshot = Snapshot(
            issuer="http://localhost:8081",
            services=(Service("service", (f"http://127.0.0.1:{self.upstream}",)),),
            routes=tuple(routes().values()),
            audiences=(Audience(API, ("catalogue:read",)),),
        )
        desk(proxy, secret, snapshot)
        keys = json.dumps({"keys": [self.key.as_dict(private=False)]})
        asyncio.run(prepare(snapshot, keys, proxy))
        self._start("limited", proxy.port, envoy_argv(proxy.folder, concurrency=1, log_level="error"))


def desk(proxy: Proxy, secret: str, snapshot: Snapshot) -> None:
    """An authority over the quotas, as the control process has one."""
    known = quotas_of(snapshot)

    async def quotas(_: str) -> Mapping[str, Quota]:
        return known

    once, answers = once_by(Authority(ProcessCounters(), quotas, "bench")), Answers(proxy.answers)
    lock, loop = threading.Lock(), asyncio.new_event_loop()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            tell = Tell.parse(self.headers.get("x-kronborg-tell", ""))
            trusted = tell is not None and self.headers["x-kronborg-exchange"] == secret
            told = b""
            if tell is not None and trusted:
                with lock:
                    told = loop.run_until_complete(once.settle(tell, body, now=datetime.now(UTC)))
                if tell.by_file:
                    answers.leave(tell, told)
            self.send_response(200 if trusted else 403)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", proxy.exchange_port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


async def measure(
    world: World, clients: Mapping[str, list[str]], rounds: int, seconds: float
) -> dict[str, list[Round]]:
    """Rounds of every variant, in a new order each time; the first of each fills caches."""
    variants = {RAW: ("envoy", world.requests("/r0", clients["200 clients"]))}
    for kind, route in routes().items():
        for whose, tokens in clients.items():
            variants[f"{kind} · {whose}"] = ("limited", world.requests(route.path.value, tokens))
    found: dict[str, list[Round]] = {name: [] for name in variants}
    for number in range(-1, rounds):
        for name in random.sample(list(variants), len(variants)):
            process, requests = variants[name]
            port, pid = world.ports[process], world.pids[process]
            one = await load(port, requests, ending=ENDING, pid=pid, seconds=seconds if number >= 0 else 1.0)
            if number >= 0:
                found[name].append(one)
    return found


def report(found: dict[str, list[Round]]) -> bool:
    """Print the table; whether nothing failed."""
    raw = statistics.median(one.micros for one in found[RAW])
    print(f"{'variant':<52}{'CPU µs':>8}{'× raw':>8}{'added µs at raw = 120':>24}{'failed':>8}")
    for name, rounds in found.items():
        ratio = statistics.median(one.micros / beside.micros for one, beside in zip(rounds, found[RAW], strict=True))
        whose = name.partition(" · ")[2]
        base = found.get(f"{PLAIN} · {whose}", found[RAW])
        added = statistics.median((a.micros - b.micros) for a, b in zip(rounds, base, strict=True)) / raw * SCALE
        micros = statistics.median(one.micros for one in rounds)
        failed = sum(one.failures for one in rounds)
        print(f"{name:<52}{micros:>8.1f}{ratio:>8.2f}{added:>24.1f}{failed:>8}")
    return all(one.failures == 0 for rounds in found.values() for one in rounds)


def main() -> int:
    """0 when nothing failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway_limits", description="What limits cost.")
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=0.5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kb") as folder:
        world = LimitsWorld(Path(folder), tokens=2000, clients=200, routes=2)
        try:
            world.start()
            clients = {
                "1 client": [one for at, one in enumerate(world.jwts) if at % 200 == 0],
                "200 clients": world.jwts,
            }
            found = asyncio.run(measure(world, clients, given.rounds, given.seconds))
        finally:
            world.stop()
    return 0 if report(found) else 1


if __name__ == "__main__":
    sys.exit(main())
