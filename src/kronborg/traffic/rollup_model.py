"""Roll-ups of a batch: counts by minute, latencies by bucket, people by hour. They add up over batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from kronborg.traffic.histogram_model import bucket_of
from kronborg.traffic.row_model import COLUMNS, PLACES, Row
from kronborg.traffic.search_model import GATEWAY, TOTAL, UPSTREAM

_MINUTE = 60_000_000 * PLACES
_AT = {name: index for index, name in enumerate(COLUMNS)}
_ROUTE, _SERVICE, _CLIENT, _STATUS, _REASON = (_AT[n] for n in ("route", "service", "client", "status", "reason"))
_SUBJECT, _DURATION, _UPSTREAM, _SENT = (_AT[n] for n in ("subject", "duration_us", "upstream_us", "bytes_out"))

MinuteKey = tuple[int, str, str, str, int, str]


@dataclass(slots=True)
class Tally:
    """What a batch adds to the roll-ups."""

    minutes: dict[MinuteKey, list[int]] = field(default_factory=dict)
    latency: Counter[tuple[int, str, int, int]] = field(default_factory=Counter)
    people: dict[tuple[int, str], list[int]] = field(default_factory=dict)

    def minute_rows(self) -> list[tuple[int | str, ...]]:
        """minute, route, service, client, status, reason, n, sent, duration_us, upstream_us."""
        return [(*key, *sums) for key, sums in self.minutes.items()]

    def latency_rows(self) -> list[tuple[int | str, ...]]:
        """minute, route, kind, bucket, n."""
        return [(*key, n) for key, n in self.latency.items()]

    def people_rows(self) -> list[tuple[int | str, ...]]:
        """hour, subject, n, refused."""
        return [(*key, *sums) for key, sums in self.people.items()]


def tally(rows: Sequence[Row]) -> Tally:
    """The roll-ups of `rows`, each of which is new."""
    made = Tally()
    minutes, latency, people = made.minutes, made.latency, made.people
    for row in rows:
        minute, route, reason = int(row[0]) // _MINUTE, str(row[_ROUTE]), str(row[_REASON])
        duration, upstream = int(row[_DURATION]), int(row[_UPSTREAM])
        key = (minute, route, str(row[_SERVICE]), str(row[_CLIENT]), int(row[_STATUS]), reason)
        sums = minutes.get(key)
        if sums is None:
            sums = minutes[key] = [0, 0, 0, 0]
        sums[0] += 1
        sums[1] += int(row[_SENT])
        sums[2] += duration
        sums[3] += upstream
        latency[minute, route, TOTAL, bucket_of(duration)] += 1
        latency[minute, route, GATEWAY, bucket_of(max(duration - upstream, 0))] += 1
        if upstream:
            latency[minute, route, UPSTREAM, bucket_of(upstream)] += 1
        if row[_SUBJECT]:
            hour = (minute // 60, str(row[_SUBJECT]))
            person = people.get(hour)
            if person is None:
                person = people[hour] = [0, 0]
            person[0] += 1
            person[1] += bool(reason)
    return made
