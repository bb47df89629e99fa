"""Roll-ups of a batch: counts by minute, hour and day, latencies by bucket, people. They add up over batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeVar, cast

from kronborg.core.collecting import without_collecting
from kronborg.traffic import sql_store
from kronborg.traffic.histogram_model import bucket_of
from kronborg.traffic.row_model import COLUMNS, PLACES, Row
from kronborg.traffic.search_model import GATEWAY, TOTAL, UPSTREAM

_MINUTE = 60_000_000 * PLACES
_READ = cast(
    "Callable[[Row], tuple[int, str, str, str, int, str, str, int, int, int, str, str]]",
    itemgetter(
        *map(COLUMNS.index, ("seq", "route", "service", "client", "status", "reason")),
        *map(COLUMNS.index, ("subject", "duration_us", "upstream_us", "bytes_out", "decision", "detail")),
    ),
)

Key = TypeVar("Key", bound=tuple[int | str, ...])
MinuteKey = tuple[int, str, str, str, int, str]


@dataclass(slots=True)
class Tally:
    """What a batch adds to the roll-ups."""

    minutes: dict[MinuteKey, list[int]] = field(default_factory=dict)
    latency: Counter[tuple[int, str, int, int]] = field(default_factory=Counter)
    people: dict[tuple[int, str], list[int]] = field(default_factory=dict)

    def rows(self) -> dict[str, list[tuple[int | str, ...]]]:
        """What each table of roll-ups is added, in the order of its columns and of their values."""
        with without_collecting():
            return self._rows()

    def _rows(self) -> dict[str, list[tuple[int | str, ...]]]:
        hours: dict[MinuteKey, list[int]] = {}
        days: dict[MinuteKey, list[int]] = {}
        totals: dict[tuple[int, int, str], list[int]] = {}
        for (minute, route, service, client, status, reason), sums in self.minutes.items():
            _add(hours, (minute // 60, route, service, client, status, reason), sums)
            _add(totals, (minute, status, reason), sums)
        for (hour, route, service, client, status, reason), sums in hours.items():
            _add(days, (hour // 24, route, service, client, status, reason), sums)
        daily: dict[tuple[int, str], list[int]] = {}
        for (hour, subject), sums in self.people.items():
            _add(daily, (hour // 24, subject), sums)
        times: Counter[tuple[int, int, int]] = Counter()
        for (minute, _, kind, bucket), n in self.latency.items():
            times[minute, kind, bucket] += n
        return {
            sql_store.LATENCY: sorted((*key, n) for key, n in self.latency.items()),
            sql_store.TIMES: sorted((*key, n) for key, n in times.items()),
            sql_store.MINUTES: _rows(self.minutes),
            sql_store.HOURS: _rows(hours),
            sql_store.DAYS: _rows(days),
            sql_store.TOTALS: _rows(totals),
            sql_store.PEOPLE: _rows(self.people),
            sql_store.PEOPLE_DAYS: _rows(daily),
        }


def _rows(sums: Mapping[Key, list[int]]) -> list[tuple[int | str, ...]]:
    return [(*key, *sums[key]) for key in sorted(sums)]


def _add(known: dict[Key, list[int]], key: Key, more: list[int]) -> None:
    sums = known.get(key)
    if sums is None:
        known[key] = more[:]
        return
    for index, one in enumerate(more):
        sums[index] += one


def tally(rows: Sequence[Row]) -> Tally:
    """The roll-ups of `rows`, each of which is new."""
    with without_collecting():
        return _tally(rows)


def _tally(rows: Sequence[Row]) -> Tally:
    made = Tally()
    minutes, latency, people = made.minutes, made.latency, made.people
    for one in map(_READ, rows):
        seq, route, service, client, status, reason, subject, duration, upstream, sent, decision, detail = one
        minute = seq // _MINUTE
        # What would have been refused is counted by what would have refused it.
        key = (minute, route, service, client, status, sql_store.cause_of(detail) if decision == "reported" else reason)
        sums = minutes.get(key)
        if sums is None:
            minutes[key] = [1, sent, duration, upstream]
        else:
            sums[0] += 1
            sums[1] += sent
            sums[2] += duration
            sums[3] += upstream
        latency[minute, route, TOTAL, bucket_of(duration)] += 1
        latency[minute, route, GATEWAY, bucket_of(max(duration - upstream, 0))] += 1
        if upstream:
            latency[minute, route, UPSTREAM, bucket_of(upstream)] += 1
        if subject:
            person = people.get((minute // 60, subject))
            if person is None:
                people[minute // 60, subject] = [1, 1 if reason else 0]
            else:
                person[0] += 1
                person[1] += 1 if reason else 0
    return made
