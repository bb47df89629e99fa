"""Billing periods: calendar months, quarters and years in a time zone, and how many of their days a part covers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from kronborg.products.price_model import Period, PeriodUnit

_MONTHS: dict[PeriodUnit, int] = {"month": 1, "quarter": 3, "year": 12}
_DAY = timedelta(days=1)


def period_at(unit: PeriodUnit, time_zone: str, now: datetime) -> Period:
    """The period that `now` falls into, in UTC."""
    zone, months = ZoneInfo(time_zone), _MONTHS[unit]
    wall = now.astimezone(zone)
    first = (wall.year * 12 + wall.month - 1) // months * months
    return Period(_moment(first, zone), _moment(first + months, zone))


def period_after(unit: PeriodUnit, time_zone: str, period: Period) -> Period:
    """The one that follows."""
    return period_at(unit, time_zone, period.end)


def share_of(part: Period, period: Period, time_zone: str) -> Decimal:
    """How much of a period's days a part covers: the day it begins in counts, that it ends in does not."""
    zone = ZoneInfo(time_zone)
    whole = _days(period.start, period.end, zone)
    return Decimal(_days(part.start, part.end, zone)) / Decimal(whole)


def _days(start: datetime, end: datetime, zone: ZoneInfo) -> int:
    """Days by the calendar, from the one that `start` is in up to, not including, that of `end`."""
    return (end.astimezone(zone).date() - start.astimezone(zone).date()) // _DAY


def _moment(months: int, zone: ZoneInfo) -> datetime:
    year, month = divmod(months, 12)
    return datetime(year, month + 1, 1, tzinfo=zone).astimezone(UTC)
