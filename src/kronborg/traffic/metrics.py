"""What passed as Prometheus metrics of the control process: by route and client, with a bound on both.

They are counted from the access records, so they cost the proxy nothing and agree with what the console shows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from kronborg.traffic.model import SHADOW
from kronborg.traffic.row_model import COLUMNS, Row

MOST_NAMES = 300
"""Routes, and clients, that are told apart; what comes after is `other`."""
OTHER = "other"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PARTS = ("total", "upstream", "gateway")

_AT = {name: index for index, name in enumerate(COLUMNS)}
_ROUTE, _CLIENT, _STATUS, _REASON = (_AT[name] for name in ("route", "client", "status", "reason"))
_DETAIL = _AT["detail"]
_DURATION, _UPSTREAM, _IN, _OUT = (_AT[name] for name in ("duration_us", "upstream_us", "bytes_in", "bytes_out"))
_BOUNDS = tuple(round(second * 1_000_000) for second in SECONDS)


class GatewayMetrics(Collector):
    """Counts of one gateway since this process started."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._requests: dict[tuple[str, str, str, str], int] = defaultdict(int)
        self._bytes: dict[tuple[str, str], int] = defaultdict(int)
        self._buckets: dict[tuple[str, str], list[int]] = {}
        self._sums: dict[tuple[str, str], int] = defaultdict(int)
        self._shadows: dict[tuple[str, str], int] = defaultdict(int)
        self._routes: set[str] = set()
        self._limits: set[str] = set()
        self._clients: set[str] = set()

    def add(self, rows: Sequence[Row]) -> None:
        """Count rows."""
        for row in rows:
            route = _bounded(self._routes, str(row[_ROUTE]))
            client = _bounded(self._clients, str(row[_CLIENT]))
            self._requests[route, client, str(row[_STATUS]), str(row[_REASON])] += 1
            _, _, names = str(row[_DETAIL]).rpartition(SHADOW) if SHADOW in str(row[_DETAIL]) else ("", "", "")
            for limit in names.split(",") if names else ():
                self._shadows[route, _bounded(self._limits, limit)] += 1
            self._bytes[route, "in"] += int(row[_IN])
            self._bytes[route, "out"] += int(row[_OUT])
            total, upstream = int(row[_DURATION]), int(row[_UPSTREAM])
            self._time(route, "total", total)
            self._time(route, "gateway", max(total - upstream, 0))
            if upstream:
                self._time(route, "upstream", upstream)

    def collect(self) -> Iterator[Metric]:
        """The families, for a scrape."""
        requests = CounterMetricFamily(
            "kronborg_gateway_requests",
            "Requests by route, client, status and reason",
            labels=("node", "route", "client", "status", "reason"),
        )
        for key, n in list(self._requests.items()):
            requests.add_metric((self._node, *key), n)
        sizes = CounterMetricFamily(
            "kronborg_gateway_bytes", "Bytes of bodies by route", labels=("node", "route", "direction")
        )
        for place, n in list(self._bytes.items()):
            sizes.add_metric((self._node, *place), n)
        times = HistogramMetricFamily(
            "kronborg_gateway_request_seconds",
            "Seconds of a request: in total, in the service, and in the gateway",
            labels=("node", "route", "part"),
        )
        for place, counts in list(self._buckets.items()):
            passed, buckets = 0, []
            for edge, n in zip((*(str(second) for second in SECONDS), "+Inf"), counts, strict=True):
                passed += n
                buckets.append((edge, float(passed)))
            times.add_metric((self._node, *place), buckets, self._sums[place] / 1_000_000)
        shadows = CounterMetricFamily(
            "kronborg_gateway_shadow_refusals",
            "Requests that something which only reports would have refused",
            labels=("node", "route", "limit"),
        )
        for place, n in list(self._shadows.items()):
            shadows.add_metric((self._node, *place), n)
        yield from (requests, sizes, shadows, times)

    def _time(self, route: str, part: str, microseconds: int) -> None:
        key = (route, part)
        counts = self._buckets.get(key)
        if counts is None:
            counts = self._buckets[key] = [0] * (len(_BOUNDS) + 1)
        counts[bisect_left(_BOUNDS, microseconds)] += 1
        self._sums[key] += microseconds


def _bounded(known: set[str], name: str) -> str:
    if name in known:
        return name
    if len(known) >= MOST_NAMES:
        return OTHER
    known.add(name)
    return name
