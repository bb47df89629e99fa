"""When a window starts and when it ends: pure arithmetic of clocks, calendars and time zones.

All moments that go in and come out are aware and in UTC. What is added to a wall clock is added there: a day is from
midnight to midnight of the time zone, be it 23 or 25 hours long; minutes and hours are always sixty of the smaller.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from kronborg.limits.model import Quota, Unit

_FIXED: dict[Unit, timedelta] = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
_SLICES = 3600
_SHORTEST_SLICE = timedelta(milliseconds=100)
_MONDAY = datetime(1970, 1, 5)  # noqa: DTZ001  # a wall clock's
_YEAR_ONE = 1970


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to, not including, `end`."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a call is counted now, and when it counts no more. `joins`: whatever slot is open is used instead."""

    start: datetime
    ends: datetime
    joins: bool = False


def slot_at(quota: Quota, now: datetime) -> Slot:
    """The slot of a call at `now`. A rolling window has many, each for a small part of the interval."""
    if quota.window == "flexi":
        return Slot(now, add(quota, now), joins=True)
    if quota.window == "rolling":
        length = max((add(quota, now) - now) / _SLICES, _SHORTEST_SLICE)
        start = datetime.fromtimestamp(now.timestamp() // length.total_seconds() * length.total_seconds(), UTC)
        # The youngest call of a slice decides when the slice ages out: never a call too many.
        return Slot(start, add(quota, start + length))
    window = window_at(quota, now)
    return Slot(window.start, window.end)


def window_at(quota: Quota, now: datetime) -> Window:
    """The window of a `default` or `calendar` quota that `now` falls into."""
    zone = _zone(quota.time_zone)
    if quota.window == "calendar":
        return _calendar(quota, datetime.fromisoformat(quota.start), zone, now)
    wall = now.astimezone(zone)
    if quota.unit in _FIXED:
        # By the offset of the moment, so that half-hour zones have their own hours; exact through any change of clocks.
        offset = (wall.utcoffset() or timedelta()) % _FIXED[quota.unit]
        length = _FIXED[quota.unit] * quota.interval
        since = now - datetime.fromtimestamp(0, UTC) + offset
        start = now - since % length
        return Window(start, start + length)
    first = _first(quota, wall.replace(tzinfo=None))
    return Window(_utc(first, zone), _utc(_later(first, quota.unit, quota.interval), zone))


def add(quota: Quota, moment: datetime, times: int = 1) -> datetime:
    """`moment` and so many intervals."""
    if quota.unit in _FIXED:
        return moment + _FIXED[quota.unit] * quota.interval * times
    zone = _zone(quota.time_zone)
    wall = moment.astimezone(zone).replace(tzinfo=None)
    return _utc(_later(wall, quota.unit, quota.interval * times), zone)


def seconds_of(quota: Quota) -> int:
    """The length of a window in seconds as headers tell it; of months the usual 30 days."""
    days = {"day": 1, "week": 7, "month": 30}
    unit = _FIXED.get(quota.unit) or timedelta(days=days[quota.unit])
    return int((unit * quota.interval).total_seconds())


def _calendar(quota: Quota, start: datetime, zone: ZoneInfo, now: datetime) -> Window:
    """The k-th window from `start`. Each is counted from the start itself: the 31st comes back after a short month."""
    wall_start = start.astimezone(zone).replace(tzinfo=None) if start.tzinfo else start
    if quota.unit in _FIXED:
        length, begun = _FIXED[quota.unit] * quota.interval, _utc(wall_start, zone)
        first = begun + (now - begun) // length * length
        return Window(first, first + length)
    wall = now.astimezone(zone).replace(tzinfo=None)
    if quota.unit == "month":
        k = ((wall.year - wall_start.year) * 12 + wall.month - wall_start.month) // quota.interval
    else:
        k = (wall - wall_start) // (timedelta(days=7 if quota.unit == "week" else 1) * quota.interval)

    def edge(number: int) -> datetime:
        return _utc(_later(wall_start, quota.unit, quota.interval * number), zone)

    while edge(k) > now:
        k -= 1
    while edge(k + 1) <= now:
        k += 1
    return Window(edge(k), edge(k + 1))


def _first(quota: Quota, wall: datetime) -> datetime:
    """The start of the clock's own window of days, weeks or months; several units are counted from 1970."""
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    if quota.unit == "month":
        months = (wall.year - _YEAR_ONE) * 12 + wall.month - 1
        months -= months % quota.interval
        return midnight.replace(year=_YEAR_ONE + months // 12, month=months % 12 + 1, day=1)
    length = timedelta(days=7 if quota.unit == "week" else 1) * quota.interval
    return midnight - (midnight - _MONDAY) % length


def _later(wall: datetime, unit: Unit, units: int) -> datetime:
    """So many days, weeks or months later by the calendar; the last of the month where a day is missing."""
    if unit != "month":
        return wall + timedelta(days=7 if unit == "week" else 1) * units
    months = wall.year * 12 + wall.month - 1 + units
    year, month = divmod(months, 12)
    day = min(wall.day, calendar.monthrange(year, month + 1)[1])
    return wall.replace(year=year, month=month + 1, day=day)


def _utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """A wall clock's moment in UTC. One that comes twice is the first; one that is skipped is moved on by the gap."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
