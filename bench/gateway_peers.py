"""The gateway next to Traefik and Caddy that ask an auth service about every request, for the same decisions.

    python -m bench.gateway_peers [--rounds 16] [--seconds 0.5] [--json FILE]

One worker each (GOMAXPROCS=1 for the peers), the same requests, the same upstream, rounds in a new order each time. The
CPU of a peer is its own and that of the auth service it asks; see `gateway_auth.py` for how lean that one is.
The bar: the gateway needs less than half of either.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.gateway_full import FullWorld
from bench.gateway_load import Round, cpu_seconds, load
from bench.gateway_world import ENDING, World, free_port

BAR = 0.5
OURS = "full"
"""Everything at once; see `gateway_full.py`."""

TRAEFIK_STATIC = """
entryPoints: {{ web: {{ address: "127.0.0.1:{port}" }} }}
providers: {{ file: {{ filename: "{dynamic}" }} }}
log: {{ level: ERROR }}
"""
TRAEFIK = """
http:
  routers:
    all: {{ rule: "PathPrefix(`/catalogue`)", service: service, middlewares: [auth], entryPoints: [web] }}
  middlewares:
    auth: {{ forwardAuth: {{ address: "http://127.0.0.1:{auth}/", authResponseHeaders: [X-Client] }} }}
  services:
    service: {{ loadBalancer: {{ servers: [{{ url: "http://127.0.0.1:{upstream}" }}] }} }}
"""
CADDY = """
{{
  admin off
  auto_https off
  persist_config off
  log {{
    level ERROR
  }}
}}
http://127.0.0.1:{port}, http://localhost:{port} {{
  bind 127.0.0.1
  forward_auth 127.0.0.1:{auth} {{
    uri /
    copy_headers X-Client
  }}
  reverse_proxy 127.0.0.1:{upstream}
}}
"""


def _peers(everything: World) -> dict[str, tuple[int, list[int]]]:
    """Port, and the processes whose CPU counts, of each peer."""
    folder, binaries = everything.folder, Path(sys.executable).parent
    keys = folder / "keys.json"
    keys.write_text(json.dumps({"keys": [everything.key.as_dict(private=False)]}))
    found: dict[str, tuple[int, list[int]]] = {}
    for name in ("traefik", "caddy"):
        if not (binaries / name).exists():
            print(f"{name} is not installed: make setup-bench")
            continue
        auth, port = free_port(), free_port()
        asked = _start(
            everything, f"auth for {name}", auth, [sys.executable, "-m", "bench.gateway_auth", str(auth), str(keys)]
        )
        if name == "traefik":
            dynamic = folder / "traefik-dynamic.yaml"
            dynamic.write_text(TRAEFIK.format(auth=auth, upstream=everything.upstream))
            config = folder / "traefik.yaml"
            config.write_text(TRAEFIK_STATIC.format(port=port, dynamic=dynamic))
            argv = [str(binaries / name), f"--configfile={config}"]
        else:
            config = folder / "Caddyfile"
            config.write_text(CADDY.format(auth=auth, upstream=everything.upstream, port=port))
            argv = [str(binaries / name), "run", "--config", str(config), "--adapter", "caddyfile"]
        found[name] = (port, [_start(everything, name, port, argv), asked])
    return found


def _start(everything: World, name: str, port: int, argv: list[str]) -> int:
    with (everything.folder / f"{name}.log").open("wb") as log:
        environ = {**os.environ, "GOMAXPROCS": "1", "HOME": str(everything.folder)}
        child = subprocess.Popen(argv, stdout=log, stderr=log, env=environ)
    everything.children.append(child)
    everything.ports[name] = port
    everything.wait(port)
    return _binary_below(child.pid)


def _binary_below(pid: int) -> int:
    """The process that does the work: a wheel's script may have started it as its child."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else pid


async def _rounds(everything: World, rounds: int, seconds: float) -> list[dict[str, Round]]:
    requests = everything.requests("/catalogue", everything.jwts)
    variants = {OURS: (everything.ports[OURS], [everything.pids[OURS]]), **_peers(everything)}
    results: list[dict[str, Round]] = []
    for number in range(-2, rounds):
        seen: dict[str, Round] = {}
        for name in random.sample(list(variants), len(variants)):
            port, pids = variants[name]
            others = pids[1:]
            before = sum(map(cpu_seconds, others))
            found = await load(port, requests, ending=ENDING, pid=pids[0], seconds=seconds if number >= 0 else 2.0)
            seen[name] = replace(found, cpu=found.cpu + sum(map(cpu_seconds, others)) - before)
        if number >= 0:
            results.append(seen)
    return results


def measure(rounds: int, seconds: float) -> dict[str, object]:
    """The figures of every variant; `met` says whether ours is below half of each peer."""
    with tempfile.TemporaryDirectory(prefix="kb") as folder:
        everything = FullWorld(Path(folder), tokens=2000, clients=200, routes=20, only=(OURS,))
        try:
            everything.start()
            results = asyncio.run(_rounds(everything, rounds, seconds))
        finally:
            everything.stop()
    lines: list[dict[str, object]] = []
    print(f"{'variant':<12}{'CPU µs/request':>16}{'ours ÷ it':>12}{'requests/s':>12}{'failed':>8}  bar")
    for name in results[0]:
        ratio = statistics.median(seen[OURS].micros / seen[name].micros for seen in results)
        micros = statistics.median(seen[name].micros for seen in results)
        rate = statistics.median(seen[name].rate for seen in results)
        failures = sum(seen[name].failures for seen in results)
        met = None if name == OURS else ratio < BAR and not failures
        lines.append(
            {"variant": name, "cpu_micros": micros, "ratio": ratio, "rate": rate, "failures": failures, "met": met}
        )
        bar = "" if met is None else f"< {BAR} {'met' if met else 'MISSED'}"
        print(f"{name:<12}{micros:>16.1f}{ratio:>12.3f}{rate:>12.0f}{failures:>8}  {bar}")
    return {"variants": lines, "met": all(line["met"] is not False for line in lines)}


def main() -> int:
    """0 when the bar is met, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway_peers", description="The gateway next to its peers.")
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(given.rounds, given.seconds)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if found["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
