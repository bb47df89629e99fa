"""Charts of the score and of alerts over time: geometry computed here, drawn by templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from kronborg.traffic.alerts_model import Alert
from kronborg.traffic.surface_model import Day

WIDTH, BOTTOM, TOP = 560, 134, 16
_HEIGHT = BOTTOM - TOP
_SCORES = 90
_DAYS = 14


@dataclass(frozen=True, slots=True)
class Trend:
    """The score of some days as one line; `told` is the same in words."""

    points: str
    dots: tuple[tuple[float, float, str], ...]
    first: str
    last: str
    told: str


@dataclass(frozen=True, slots=True)
class Bar:
    """How many alerts fired on a day."""

    x: int
    y: int
    width: int
    height: int
    told: str
    label: str


def trend_of(days: Sequence[Day]) -> Trend | None:
    """The line of the last 90 days, the newest of `days` first; None for none."""
    some = list(reversed(days[:_SCORES]))
    if not some:
        return None
    begin, end = (date.fromisoformat(one.day) for one in (some[0], some[-1]))
    length = max((end - begin).days, 1)

    def place(one: Day) -> tuple[float, float]:
        along = (date.fromisoformat(one.day) - begin).days / length if len(some) > 1 else 1.0
        return round(8 + along * (WIDTH - 16), 1), round(BOTTOM - one.score * _HEIGHT / 100, 1)

    dots = tuple((*place(one), f"{one.day}: {one.score}") for one in some)
    points = " ".join(f"{x},{y}" for x, y, _ in dots)
    told = f"From {some[0].score} on {some[0].day} to {some[-1].score} on {some[-1].day}"
    return Trend(points, dots, some[0].day, some[-1].day, told)


def bars_of(alerts: Sequence[Alert], now: datetime) -> tuple[tuple[Bar, ...], int]:
    """How many alerts fired at some time of each of the last fourteen days, and the highest."""
    days = [(now - timedelta(days=back)).date() for back in reversed(range(_DAYS))]
    counts = [
        sum(one.fired_at.date() <= day and (one.resolved_at is None or one.resolved_at.date() >= day) for one in alerts)
        for day in days
    ]
    highest, width = max(counts, default=0), WIDTH // _DAYS
    bars = []
    for place, (day, count) in enumerate(zip(days, counts, strict=True)):
        height = round(_HEIGHT * count / highest) if highest else 0
        label = f"{day:%d %b}" if place % 3 == 0 else ""
        bars.append(Bar(place * width + 6, BOTTOM - height, width - 12, height, f"{day.isoformat()}: {count}", label))
    return tuple(bars), highest
