"""What Envoy counted of its calls to services, read from its admin socket.

Failed and good calls are kept by Envoy for each replica and go with it, so they are added up here by what is new.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import quote

from kronborg.gateway.breaker_model import Counts
from kronborg.gateway.envoy import admin
from kronborg.gateway.envoy.target import cluster_name, replicas_name
from kronborg.gateway.model import Service

_Json = Mapping[str, object]
_READ = "upstream_(rq_time|rq_rx_reset|cx_destroy_remote_with_active_rq)$"
_BROKEN = ("upstream_rq_rx_reset", "upstream_cx_destroy_remote_with_active_rq")


@dataclass(slots=True)
class Tally:
    """Adds up the counts of services; a proxy that started again begins at nothing, and is not taken for less."""

    _seen: dict[tuple[str, str], int] = field(default_factory=dict)
    _sums: dict[str, Counts] = field(default_factory=dict)

    async def read(self, proxy: Path, services: Mapping[str, Service]) -> Mapping[str, Counts]:
        """The counts of these services, by name. Raises `admin.ProxyAway`."""
        clusters = {replicas_name(service): name for name, service in services.items()}
        names = "|".join(re.escape(name) for name in sorted({*clusters, *map(cluster_name, services)}))
        told = await admin.read_json(proxy, f"/clusters?format=json&filter={quote(f'^({names})$')}")
        wanted = quote(rf"^cluster\.({names})\.{_READ}")
        more = await admin.read_json(proxy, f"/stats?format=json&histogram_buckets=detailed&filter={wanted}")
        broken = _values(more)
        slow = {str(one.get("name")): one for one in _histograms(more)}
        for cluster in _list(told, "cluster_statuses"):
            name = clusters.get(str(cluster.get("name")))
            if name is None:
                continue
            new = self._hosts(name, _list(cluster, "host_statuses"))
            torn = sum(broken.get(f"cluster.{cluster.get('name')}.{stat}", 0) for stat in _BROKEN)
            resets = self._new(name, "resets", torn)
            breaker = services[name].breaker
            slower = 0
            if breaker is not None and breaker.slow_after is not None:
                timed = slow.get(f"cluster.{cluster_name(name)}.upstream_rq_time", {})
                slower = self._new(name, "slow", sum(_count_above(timed, breaker.slow_after.total_seconds() * 1000)))
            sums = self._sums.get(name, Counts())
            # An answer that breaks off in the middle was counted as good when it began.
            failed = min(max(new.failed, resets), max(new.calls, new.failed))
            self._sums[name] = Counts(
                sums.calls + new.calls, sums.failed + failed, sums.slow + slower, active=new.active
            )
        return {name: self._sums.get(name, Counts()) for name in services}

    def _hosts(self, service: str, hosts: list[_Json]) -> Counts:
        """What is new of all replicas."""
        calls = failed = active = 0
        there = set()
        for host in hosts:
            stats = {str(one.get("name")): int(str(one.get("value", "0"))) for one in _list(host, "stats")}
            at = str(host.get("address"))
            there.add(at)
            bad = self._new(service, f"bad {at}", stats.get("rq_error", 0))
            late = self._new(service, f"late {at}", stats.get("rq_timeout", 0))
            good = self._new(service, f"good {at}", stats.get("rq_success", 0))
            calls += good + bad
            failed += max(bad, late)
            active += stats.get("rq_active", 0)
        for key in [key for key in self._seen if key[0] == service and " " in key[1]]:
            if key[1].partition(" ")[2] not in there:
                del self._seen[key]
        return Counts(calls, failed, 0, active)

    def _new(self, service: str, what: str, value: int) -> int:
        """By how much a counter grew."""
        before = self._seen.get((service, what), 0)
        self._seen[service, what] = value
        return value - before if value >= before else value


def _values(told: object) -> dict[str, int]:
    return {
        str(one["name"]): int(str(one["value"])) for one in _list(told, "stats") if "name" in one and "value" in one
    }


def _histograms(told: object) -> Iterator[_Json]:
    for one in _list(told, "stats"):
        histograms = one.get("histograms")
        if isinstance(histograms, dict):
            yield from _list(histograms, "details")


def _count_above(details: _Json, limit: float) -> Iterator[int]:
    for bucket in _list(details, "totals"):
        if float(str(bucket.get("lower_bound", 0))) >= limit:
            yield int(float(str(bucket.get("count", 0))))


def _list(told: object, name: str) -> list[_Json]:
    value = told.get(name) if isinstance(told, dict) else None
    return [cast("_Json", one) for one in value if isinstance(one, dict)] if isinstance(value, list) else []
