"""Latencies as counts in fixed buckets, which add up over minutes, routes and gateways, and give percentiles."""

from __future__ import annotations

import bisect
from collections.abc import Mapping

_FIRST_US = 50
_GROWTH = 1.25
_LAST_US = 600_000_000


def _edges() -> tuple[int, ...]:
    edges, edge = [], float(_FIRST_US)
    while edge < _LAST_US:
        edges.append(round(edge))
        edge *= _GROWTH
    return tuple(edges)


EDGES = _edges()
"""Upper ends of the buckets in microseconds, each a quarter above the one before: a percentile errs by 12 % at most."""


def bucket_of(microseconds: int) -> int:
    """The number of the bucket of a duration; what is longer than the last edge is in one of its own."""
    return bisect.bisect_left(EDGES, microseconds)


def percentile(counts: Mapping[int, int], share: float) -> float:
    """The duration in milliseconds that `share` of the counted stay below, in the middle of its bucket; 0 of none."""
    wanted = sum(counts.values()) * share
    if wanted <= 0:
        return 0.0
    passed = 0
    for bucket in sorted(counts):
        passed += counts[bucket]
        if passed >= wanted:
            return _middle(bucket) / 1000
    return _middle(max(counts)) / 1000


def _middle(bucket: int) -> float:
    if bucket >= len(EDGES):
        return float(EDGES[-1])
    below = EDGES[bucket - 1] if bucket else 0
    return (below + EDGES[bucket]) / 2
