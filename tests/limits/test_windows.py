"""Windows: the field's vectors, calendars, time zones, and what holds for all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.limits.model import Quota, Unit, WindowKind
from kronborg.limits.window_model import Window, add, seconds_of, slot_at, window_at


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_a_flexi_window_starts_with_the_first_call() -> None:
    slot = slot_at(Quota("q", 1, unit="hour", window="flexi"), at("2026-11-23T10:07:13"))

    assert (slot.start, slot.ends, slot.joins) == (at("2026-11-23T10:07:13"), at("2026-11-23T11:07:13"), True)


def test_a_default_window_follows_the_clock() -> None:
    window = window_at(Quota("q", 1, unit="hour"), at("2026-11-23T10:07:13"))

    assert window == Window(at("2026-11-23T10:00:00"), at("2026-11-23T11:00:00"))


@pytest.mark.parametrize(
    ("call", "reset"),
    [
        ("2026-11-23T10:30:00", "2026-11-23T15:30:00"),
        ("2026-11-23T15:30:00", "2026-11-23T20:30:00"),
        ("2026-11-23T20:30:00", "2026-11-24T01:30:00"),
        ("2026-11-23T10:29:59", "2026-11-23T10:30:00"),
    ],
)
def test_a_calendar_window_counts_from_its_start(call: str, reset: str) -> None:
    quota = Quota("q", 1, interval=5, unit="hour", window="calendar", start="2026-11-23T10:30:00")

    assert window_at(quota, at(call)).end == at(reset)


@pytest.mark.parametrize(
    ("unit", "start", "end"),
    [
        ("minute", "2026-11-25T10:07:00", "2026-11-25T10:08:00"),
        ("day", "2026-11-25T00:00:00", "2026-11-26T00:00:00"),
        ("week", "2026-11-23T00:00:00", "2026-11-30T00:00:00"),
        ("month", "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
    ],
)
def test_every_unit_has_its_own_start(unit: Unit, start: str, end: str) -> None:
    assert window_at(Quota("q", 1, unit=unit), at("2026-11-25T10:07:13")) == Window(at(start), at(end))


@pytest.mark.parametrize(
    ("call", "end"),
    [
        ("2027-01-31T12:00:00", "2027-02-28T12:00:00"),
        ("2027-02-28T12:00:00", "2027-03-31T12:00:00"),
        ("2027-03-31T11:59:59", "2027-03-31T12:00:00"),
        ("2028-02-10T00:00:00", "2028-02-29T12:00:00"),
    ],
)
def test_months_are_true_months_and_the_31st_comes_back(call: str, end: str) -> None:
    quota = Quota("q", 1, unit="month", window="calendar", start="2026-12-31T12:00:00")

    assert window_at(quota, at(call)).end == at(end)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29T12:00:00", 23), ("2026-10-25T12:00:00", 25), ("2026-11-23T12:00:00", 24)]
)
def test_a_day_is_from_midnight_to_midnight_where_clocks_change(day: str, hours: int) -> None:
    quota = Quota("q", 1, unit="day", time_zone="Europe/Copenhagen")

    window = window_at(quota, at(day, "Europe/Copenhagen"))

    assert window.end - window.start == timedelta(hours=hours)
    assert window.start.astimezone(ZoneInfo("Europe/Copenhagen")).hour == 0


def test_an_hour_of_a_half_hour_zone_is_its_own() -> None:
    quota = Quota("q", 1, unit="hour", time_zone="Asia/Kolkata")

    assert window_at(quota, at("2026-11-23T10:07:13")).end == at("2026-11-23T10:30:00")


def test_calls_of_a_rolling_window_age_out_one_interval_later() -> None:
    quota = Quota("q", 100, unit="hour", window="rolling")

    slot = slot_at(quota, at("2026-11-23T10:00:00"))

    assert at("2026-11-23T10:59:59") < slot.ends <= at("2026-11-23T11:00:01")


def test_the_length_that_headers_tell() -> None:
    assert seconds_of(Quota("q", 1, interval=2, unit="day")) == 172_800


MOMENTS = st.datetimes(datetime(1999, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
ZONES = st.sampled_from(
    ["UTC", "Europe/Copenhagen", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana"]
)
UNITS: st.SearchStrategy[Unit] = st.sampled_from(["minute", "hour", "day", "week", "month"])
KINDS: st.SearchStrategy[WindowKind] = st.sampled_from(["default", "calendar"])


@given(MOMENTS, ZONES, UNITS, KINDS, st.integers(1, 12))
def test_every_moment_is_in_its_window_and_windows_touch(
    now: datetime, zone: str, unit: Unit, kind: WindowKind, interval: int
) -> None:
    start = "2024-01-31T02:30:00" if kind == "calendar" else ""
    quota = Quota("q", 1, interval=interval, unit=unit, window=kind, start=start, time_zone=zone)

    window = window_at(quota, now)

    assert window.start <= now < window.end
    assert window_at(quota, window.start).start == window.start
    assert window_at(quota, window.end - timedelta(microseconds=1)).end == window.end


@given(MOMENTS, ZONES, UNITS, st.integers(1, 12))
def test_a_rolling_slot_never_forgets_a_call_too_early(now: datetime, zone: str, unit: Unit, interval: int) -> None:
    quota = Quota("q", 1, interval=interval, unit=unit, window="rolling", time_zone=zone)

    slot = slot_at(quota, now)

    assert slot.start <= now
    if unit in ("minute", "hour"):
        assert slot.ends >= add(quota, now)
        assert slot.ends - add(quota, now) <= max((add(quota, now) - now) / 3600, timedelta(milliseconds=100))
