"""A line of the access log as a row of the store: parsed, bounded, given its reason and its place in time.

`seq` is the moment in microseconds and ten bits of the request id: it orders, partitions and identifies records, and
the same line gives the same number however often it is read.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache

import orjson

from kronborg.api_keys.model import PERSON
from kronborg.core.db import from_micros, to_micros
from kronborg.gateway.envoy.access_log import FIELDS
from kronborg.gateway.envoy.canary_host import HOST as CANARY_HOST
from kronborg.gateway.envoy.canary_host import ROUTE as CANARY_ROUTE
from kronborg.gateway.envoy.target import instead_name
from kronborg.gateway.model import HEALTH
from kronborg.gateway.reasons import REASONS, reason_of
from kronborg.traffic.model import SHADOW, AccessRecord, Decision

Row = tuple[int | str, ...]
"""The values of `COLUMNS`."""

COLUMNS = (
    *("seq", "id", "node", "listener", "host", "method", "path", "route", "service", "status", "decision", "reason"),
    *("detail", "flags", "client", "subject", "token", "session", "grant_id", "key_id", "scopes", "address", "agent"),
    *("protocol", "trace", "upstream", "attempts", "duration_us", "upstream_us", "bytes_in", "bytes_out"),
)
NUMBERS = frozenset({"seq", "status", "attempts", "duration_us", "upstream_us", "bytes_in", "bytes_out"})
PLACES = 1024
"""How many records of one microsecond have places of their own."""

LONGEST_LINE = 16_384
_LATEST_US = to_micros(datetime.fromisoformat("2200-01-01T00:00:00+00:00"))
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_NUL = b"\\u0000"
_BEGINS = b'{"a":'
"""The names come in their order; within a text its quotes would be escaped."""
_BOUNDED = "bounded."
_REPORTS = ("sh", "rp", "rb")
_NAME = re.compile(r"[a-z0-9_:-]{1,63}")
_MOST_REPORTS = 3
INSTEAD = instead_name("")
"""How the service of a record begins when something else answered in its place: its breaker was open."""
_CALLER = ("k", "u", "jt", "si", "gi", "ke", "sc")
_NOBODY = ("",) * len(_CALLER)
# Lines leave out what is not there. `i` was the request id before `j` was.
_NOTHING: dict[str, None] = dict.fromkeys((*FIELDS, "l", "i"))
_LONGEST = 256
_BIGGEST = (1 << 62) - 1


def seq_of(moment: datetime) -> int:
    """The first place of a moment."""
    return to_micros(moment) * PLACES


def moment_of(seq: int) -> datetime:
    """The moment of a place."""
    return from_micros(seq // PLACES)


def rows_of(lines: Iterable[bytes], node: str) -> tuple[list[Row], int]:
    """The rows of lines that are records, and how many lines were none."""
    rows, broken = [], 0
    for line in lines:
        try:
            row = row_of(line, node)
        except (ValueError, TypeError, KeyError):  # orjson's error is a ValueError
            broken += 1
            # A proxy that was killed in the middle of a line left its beginning; the next one wrote on behind it.
            whole = line.rfind(_BEGINS)
            row = _row_or_none(line[whole:], node) if whole > 0 else None
        if row is not None:
            rows.append(row)
    return rows, broken


def _row_or_none(line: bytes, node: str) -> Row | None:
    try:
        return row_of(line, node)
    except (ValueError, TypeError, KeyError):
        return None


def _caller(told: Mapping[str, str | None]) -> list[str]:
    """Who called. What stands in a client's place for a personal access token names its person: that is the subject."""
    found = [told[name] or "" for name in _CALLER]
    if found[0].startswith(PERSON):
        found[0] = PERSON
    return found


def _is_canary(told: Mapping[str, object]) -> bool:
    """Whether this is the canary with its own token; who tries that door without one is recorded."""
    return told["r"] == told["k"] == CANARY_ROUTE.name and told["h"] == CANARY_HOST


def row_of(line: bytes, node: str) -> Row | None:
    """One line; None for the gateway's own: health checks, and the canary of revocations.

    Raises `ValueError`, `TypeError` or `KeyError` for what is no record.
    """
    if len(line) > LONGEST_LINE or _NUL in line:
        raise ValueError("the line is too long, or holds what no database takes")
    told = _NOTHING | orjson.loads(line)
    at, status, detail, path = int(told["t"]), int(told["c"] or 0), told["d"] or "", told["p"] or ""
    if not 0 < at < _LATEST_US:
        raise ValueError("the time is out of bounds")
    if (path == HEALTH and detail == "direct_response") or _is_canary(told):
        return None
    identity = told["i"] or told["j"] or f"{at}-{zlib.crc32(node.encode() + line):08x}"
    route, flags, trace = told["r"] or "", told["f"] or "", told["tp"]
    flags = "" if flags == "-" else flags
    service, reason = _judged(told["s"] or "", reason_of(detail, flags, status, told["w"] or ""))
    reported = _reported(told)
    # What it would have been refused for stands at the end, whatever else there is no room for.
    detail = detail[: _LONGEST - len(reported)] + reported
    # A request that reached no route may have been refused before the headers of its caller were taken away.
    known = bool(route)
    found = _TRACE.fullmatch(trace) if trace and known else None
    return (
        at * PLACES + zlib.crc32(identity.encode()) % PLACES,
        identity[:_LONGEST],
        node,
        told["l"] or "",
        (told["h"] or "").lower(),
        told["m"] or "",
        path,
        route,
        service,
        status,
        _decision(reason) if reason or not reported else "reported",
        reason,
        detail,
        flags[:_LONGEST],
        *(_caller(told) if known else _NOBODY),
        told["a"] or "",
        told["ua"] or "",
        told["pr"] or "",
        found[1] if found else "",
        told["uh"] or "",
        told["n"] or 0,
        _count(told["du"]),
        _count(told["us"]),
        told["bi"] or 0,
        told["bo"] or 0,
    )


def _reported(told: Mapping[str, object]) -> str:
    """What would have refused the request and only reports, as details end with it; empty when nothing."""
    texts = [str(told[name]) for name in _REPORTS if told.get(name)]
    if not texts:
        return ""
    names = [name for name in dict.fromkeys(",".join(texts).split(",")) if _NAME.fullmatch(name)]
    return SHADOW + ",".join(names[:_MOST_REPORTS]) if names else ""


@lru_cache(maxsize=16_384)
def service_of(cluster: str) -> str:
    """The service that a cluster of the proxy stands for; `instead.NAME` is what answers for NAME."""
    if cluster.startswith(_BOUNDED):
        return cluster.rpartition("@")[2]
    kind, dot, name = cluster.partition(".")
    return name if dot and kind in ("service", "replicas") else cluster


def _judged(cluster: str, reason: str) -> tuple[str, str]:
    """The service, and the reason by what its cluster stands for."""
    if reason == "service_unhealthy" and cluster.startswith(INSTEAD):
        reason = "breaker_open"
    elif reason == "service_overflow" and cluster.startswith(_BOUNDED):
        reason = "concurrency"  # a cluster of one route, which bounds its calls: what overflows is not the service
    return service_of(cluster), reason


def record_of(row: Row) -> AccessRecord:
    """A row of the store as a record."""
    seq, identity, *rest = row
    return AccessRecord(str(identity), moment_of(int(seq)), *rest)  # type: ignore[arg-type]  # COLUMNS has its order


def row_of_record(record: AccessRecord) -> Row:
    """The row of a record that another gateway handed over."""
    at = to_micros(record.at)
    values = [getattr(record, name) for name in _FIELDS]
    return (at * PLACES + zlib.crc32(record.id.encode()) % PLACES, record.id, *values)


_FIELDS = tuple(name for name in AccessRecord.__slots__ if name not in ("id", "at"))


def _decision(reason: str) -> Decision:
    if not reason:
        return "allowed"
    return "failed" if REASONS[reason].stage == "service" or reason in _FAILED else "refused"


_FAILED = ("client_gone", "overloaded")


def _count(value: int | str | None) -> int:
    """A count of the proxy; what it does not know is 0, and nothing is below it."""
    number = int(value or 0)
    return min(max(number, 0), _BIGGEST)


def day_of(seq: int) -> str:
    """The day (UTC) of a place: `2026-06-01`."""
    return moment_of(seq).date().isoformat()


def bounds_of(day: str) -> tuple[int, int]:
    """The first place of a day, and that of the next."""
    start = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    return seq_of(start), seq_of(start + timedelta(days=1))
