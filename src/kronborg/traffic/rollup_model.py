"""Roll-ups of a batch: counts by minute, hour and day, latencies by bucket, people. They add up over batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeVar, cast

from kronborg.core.collecting import without_collecting
from kronborg.traffic.histogram_model import bucket_of
from kronborg.traffic.model import SHADOW
from kronborg.traffic.row_model import COLUMNS, PLACES, Row
from kronborg.traffic.search_model import GATEWAY, TOTAL, UPSTREAM

REPORTED = "reported:"
"""How what roll-ups keep in place of a reason begins for what passed and would have been refused."""

MINUTES, HOURS, DAYS = "traffic_minutes", "traffic_hours", "traffic_days"
TOTALS, LATENCY, TIMES = "traffic_totals", "traffic_latency", "traffic_times"
PEOPLE, PEOPLE_DAYS = "traffic_people", "traffic_daily_people"

WHO, _SUMS = ("route", "service", "client", "status", "reason"), ("n", "sent", "duration_us", "upstream_us")
ROLLUPS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # Busy gateways have nearly as many combinations in a minute as requests, so a week is asked by days and hours, and
    # by minutes only at its ends.
    MINUTES: (("minute", *WHO), _SUMS),
    HOURS: (("hour", *WHO), _SUMS),
    DAYS: (("day", *WHO), _SUMS),
    # What charts draw, where it does not matter who called what.
    TOTALS: (("minute", "status", "reason"), _SUMS),
    LATENCY: (("minute", "route", "kind", "bucket"), ("n",)),
    TIMES: (("minute", "kind", "bucket"), ("n",)),
    PEOPLE: (("hour", "subject"), ("n", "refused")),
    PEOPLE_DAYS: (("day", "subject"), ("n", "refused")),
}
"""By table: its key, the unit of time first, and what adds up."""
UNITS: Mapping[str, int] = {"minute": 1, "hour": 60, "day": 1440}
"""Minutes of each unit of time."""


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
            LATENCY: sorted((*key, n) for key, n in self.latency.items()),
            TIMES: sorted((*key, n) for key, n in times.items()),
            MINUTES: _rows(self.minutes),
            HOURS: _rows(hours),
            DAYS: _rows(days),
            TOTALS: _rows(totals),
            PEOPLE: _rows(self.people),
            PEOPLE_DAYS: _rows(daily),
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


def cause_of(detail: str) -> str:
    """What roll-ups keep in place of a reason for a request that passed and would have been refused; else nothing."""
    _, mark, names = detail.rpartition(SHADOW)
    return REPORTED + names if mark else ""


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
        key = (minute, route, service, client, status, cause_of(detail) if decision == "reported" else reason)
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
