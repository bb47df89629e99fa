"""What is asked of the traffic that passed, and what each store answers: the seam between the pages and the stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from kronborg.traffic.row_model import Row, seq_of

By = Literal["route", "service", "client", "status", "reason"]
"""What counts may be kept apart by."""

Kind = Literal[0, 1, 2]
TOTAL: Kind = 0
UPSTREAM: Kind = 1
GATEWAY: Kind = 2
"""Kinds of latency: of the whole request, of the service, and what is left: the gateway's own part."""

EXACT = (
    *("id", "client", "subject", "token", "session", "grant_id", "key_id", "address", "route", "service", "reason"),
    *("method", "node", "decision", "trace", "host", "path"),
)
"""Columns that a search compares for equality."""


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment, included, to a moment, excluded."""

    start: datetime
    end: datetime

    @property
    def seqs(self) -> tuple[int, int]:
        """Its places."""
        return seq_of(self.start), seq_of(self.end)

    @property
    def minutes(self) -> tuple[int, int]:
        """Its whole minutes since 1970: the one it starts in, and the one after the last."""
        return int(self.start.timestamp()) // 60, -(-int(self.end.timestamp()) // 60)


@dataclass(frozen=True, slots=True)
class Search:
    """Records of a span, newest first; `equal` is columns of `EXACT` with their values.

    `status` is one (403) or a class of them (4 for 4xx). `before` is the `seq` that the page before ended with.
    """

    span: Span
    equal: tuple[tuple[str, str], ...] = ()
    status: int | None = None
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Count:
    """How many requests, of which the gateway refused or failed some, and their bytes and microseconds.

    `reported`: what would have refused them, parted by commas, and only reports; they have no reason.
    """

    keys: tuple[str, ...]
    slot: int
    status: int
    reason: str
    n: int
    sent: int
    duration_us: int
    upstream_us: int
    reported: str = ""


@dataclass(frozen=True, slots=True)
class Latency:
    """How many requests were in a bucket of `histogram`."""

    slot: int
    kind: int
    bucket: int
    n: int


@dataclass(frozen=True, slots=True)
class Person:
    """How often a verified subject called, and was refused."""

    subject: str
    n: int
    refused: int


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long records and roll-ups are kept, and how large all may grow: the oldest days go first."""

    records: timedelta = timedelta(days=7)
    rollups: timedelta = timedelta(days=90)
    most_bytes: int = 10 * 1024**3


class RecordStore(Protocol):
    """Where a reader of logs brings records: a store, or (`uploaded.py`) the way to one elsewhere."""

    def write(self, rows: Sequence[Row]) -> int:
        """Keep rows that are not there yet, and count them; how many were new. Blocks: call it on a thread."""


class TrafficStore(RecordStore, Protocol):
    """Where records and their roll-ups are. Every method blocks: call it on a thread."""

    def write(self, rows: Sequence[Row]) -> int:
        """Keep rows that are not there yet, and count them; how many were new. All or nothing for each day."""

    def search(self, search: Search) -> list[Row]:
        """Rows, newest first."""

    def counts(self, span: Span, by: Sequence[By] = (), *, step: int = 0) -> list[Count]:
        """Counts from the roll-ups, apart by `by`, status and reason; with `step` by so many minutes too."""

    def latencies(self, span: Span, *, step: int = 0, route: str | None = None) -> list[Latency]:
        """Counts by bucket and kind; with `step` by so many minutes too."""

    def people(self, span: Span, *, limit: int) -> list[Person]:
        """Who called most, by whole hours."""

    def tend(self, keeping: Keeping, *, now: datetime) -> int:
        """Drop whole days that are too old or too much, and make room for those to come; how many days went."""

    def size(self) -> int:
        """Bytes on disk."""

    def close(self) -> None:
        """Close what is open."""
