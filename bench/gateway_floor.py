"""What the parts of any such gateway cost on their own: raw Envoy with one thing more at a time, and nothing of ours.

    python -m bench.gateway_floor [--seconds 0.25] [--rounds 24]

No configuration of Envoy that verifies a token, writes a line for each request and runs a script can cost less than the
last line of each block; `bench/gateway.py` says what ours costs. `lowest` compares the quietest fifth of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.gateway_load import Round, load
from bench.gateway_world import API, ENDING, ISSUER, World, envoy_file, free_port, plain_cluster
from kronborg.core.json import JsonObject
from kronborg.gateway.envoy import access_log
from kronborg.gateway.envoy.resource import typed

RAW = "raw Envoy"
_JWT = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
_LUA = "envoy.extensions.filters.http.lua.v3.Lua"
_LOG = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_EMPTY = "function envoy_on_request(handle) end"

VARIANTS = {
    RAW: (),
    "token": ("jwt",),
    "token, log": ("jwt", "log"),
    "token, log, empty script": ("jwt", "log", "lua"),
    "HTTP/2 up": ("http2",),
    "HTTP/2 up, token": ("http2", "jwt"),
    "HTTP/2 up, token, log": ("http2", "jwt", "log"),
    "HTTP/2 up, token, log, empty script": ("http2", "jwt", "log", "lua"),
}


class FloorWorld(World):
    """One Envoy for each variant."""

    def start(self) -> None:
        """Start all and wait until each answers."""
        answer = {"status": 200, "body": {"inline_string": ENDING.decode()}}
        self._envoy("upstream", self.upstream, envoy_file(self.upstream, {"direct_response": answer}, []))
        for name, parts in VARIANTS.items():
            port = free_port()
            self._envoy(name.replace("/", ""), port, self._with(port, parts))
            self.ports[name], self.pids[name] = port, self.children[-1].pid
        for port in self.ports.values():
            self.wait(port)

    def _with(self, port: int, parts: Sequence[str]) -> dict[str, object]:
        cluster = plain_cluster(self.upstream)
        if "http2" in parts:
            options = typed(_HTTP, explicit_http_config={"http2_protocol_options": {}})
            cluster["typed_extension_protocol_options"] = {_HTTP: options}
        made = envoy_file(port, {"route": {"cluster": "service"}}, [cluster])
        listener = json.loads(json.dumps(made["static_resources"]))["listeners"][0]
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        if "lua" in parts:
            script = typed(_LUA, default_source_code={"inline_string": _EMPTY})
            manager["http_filters"].insert(0, {"name": "script", "typed_config": script})
        if "jwt" in parts:
            manager["http_filters"].insert(0, {"name": "token", "typed_config": self._jwt_authn()})
        if "log" in parts:
            fields: JsonObject = {"json_format": {**access_log.FIELDS}, "omit_empty_values": True}
            path = str(self.folder / f"{port}.log")
            manager["access_log"] = [{"name": "log", "typed_config": typed(_LOG, path=path, log_format=fields)}]
        return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}

    def _jwt_authn(self) -> JsonObject:
        keys = json.dumps({"keys": [self.key.as_dict(private=False)]})
        provider: JsonObject = {
            "issuer": ISSUER,
            "audiences": [API],
            "local_jwks": {"inline_string": keys},
            "forward": True,
            "jwt_cache_config": {"jwt_cache_size": 4096},
            "claim_to_headers": [{"header_name": "x-client", "claim_name": "client_id"}],
        }
        rule: JsonObject = {"match": {"prefix": "/"}, "requires": {"provider_name": "token"}}
        return typed(_JWT, providers={"token": provider}, rules=[rule])


async def measure(world: FloorWorld, rounds: int, seconds: float) -> dict[str, list[Round]]:
    """Rounds of every variant, in a new order each time; the first of each fills caches."""
    requests = world.requests("/catalogue", world.jwts)
    found: dict[str, list[Round]] = {name: [] for name in VARIANTS}
    for number in range(-2, rounds):
        for name in random.sample(list(VARIANTS), len(VARIANTS)):
            took = seconds if number >= 0 else 1.0
            one = await load(world.ports[name], requests, ending=ENDING, pid=world.pids[name], seconds=took)
            if number >= 0:
                found[name].append(one)
    return found


def report(found: dict[str, list[Round]]) -> bool:
    """Print the table; whether nothing failed."""
    print(f"{'variant':<40}{'CPU µs':>8}{'× raw':>8}{'lowest':>8}{'failed':>8}")
    for name, rounds in found.items():
        ratio = statistics.median(one.micros / raw.micros for one, raw in zip(rounds, found[RAW], strict=True))
        lowest = _lowest(rounds) / _lowest(found[RAW])
        micros = statistics.median(one.micros for one in rounds)
        print(f"{name:<40}{micros:>8.1f}{ratio:>8.2f}{lowest:>8.2f}{sum(one.failures for one in rounds):>8}")
    return all(one.failures == 0 for rounds in found.values() for one in rounds)


def _lowest(rounds: Sequence[Round]) -> float:
    return sorted(one.micros for one in rounds)[len(rounds) // 5]


def main() -> int:
    """0 when nothing failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway_floor", description="What the parts cost.")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=0.25)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kb") as folder:
        world = FloorWorld(Path(folder), tokens=2000, clients=200, routes=2)
        try:
            world.start()
            found = asyncio.run(measure(world, given.rounds, given.seconds))
        finally:
            world.stop()
    return 0 if report(found) else 1


if __name__ == "__main__":
    sys.exit(main())
