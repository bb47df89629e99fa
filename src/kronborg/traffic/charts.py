"""Charts as SVG geometry: points of lines and places of boxes, computed here, drawn by a template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kronborg.traffic.questions import NOBODY, Figures, ServiceMap

WIDTH, HEIGHT = 560, 150
RATES = "All of them, those that the gateway refused, and those that ended in 5xx."
PERCENTILES = "p50: half of the requests were as fast as this; p95: 95 of 100 were; p99: 99 of 100 were."
_ROW, _BOX_WIDTH, _BOX_HEIGHT, _COLUMN = 40, 170, 28, 255


@dataclass(frozen=True, slots=True)
class Line:
    """A line through the steps of a chart, and what it is called."""

    name: str
    kind: str
    points: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over one scale; `top` is what its upper end stands for, `first` and `last` when it begins and ends."""

    title: str
    lead: str
    top: str
    first: str
    last: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """A name on the map, and how much passed."""

    name: str
    x: int
    y: int
    n: int
    kind: str
    query: str


@dataclass(frozen=True, slots=True)
class Way:
    """A connection on the map; `width` grows with what passed, `kind` says whether much of it failed."""

    path: str
    width: float
    kind: str
    told: str


@dataclass(frozen=True, slots=True)
class DrawnMap:
    """The map of services in three columns."""

    height: int
    boxes: tuple[Box, ...]
    ways: tuple[Way, ...]
    more: bool


def charts_of(found: Figures) -> tuple[Chart, Chart]:
    """Requests a second with what was refused and failed; latency percentiles."""
    seconds = found.step * 60
    rates = [
        ("All", "all", [point.n / seconds for point in found.points]),
        ("Refused", "warn", [point.refused / seconds for point in found.points]),
        ("5xx", "bad", [point.failed / seconds for point in found.points]),
    ]
    times = [
        ("p50", "all", [point.p50 for point in found.points]),
        ("p95", "warn", [point.p95 for point in found.points]),
        ("p99", "bad", [point.p99 for point in found.points]),
    ]
    when = _moments(found)
    return (
        _chart(
            "Requests a second",
            RATES,
            rates,
            _rate,
            when,
        ),
        _chart("Milliseconds until the answer", PERCENTILES, times, millis, when),
    )


def latencies_of(found: Figures) -> tuple[tuple[str, str, str, str], ...]:
    """How long requests took, and how much of it services and the gateway took: p50, p95 and p99."""
    parts = (("Until the answer", found.total), ("In services", found.upstream), ("In the gateway", found.gateway))
    return tuple((name, millis(one.p50), millis(one.p95), millis(one.p99)) for name, one in parts)


def _moments(found: Figures) -> tuple[str, str]:
    """When the first step began and the last one ends, in UTC; with the day where it is more than one."""
    if not found.points:
        return "", ""
    seconds = found.step * 60
    first, last = (
        datetime.fromtimestamp(slot * seconds, tz=UTC) for slot in (found.points[0].slot, found.points[-1].slot + 1)
    )
    form = "%d %b %H:%M UTC" if (last - first).days else "%H:%M UTC"
    return first.strftime(form), last.strftime(form)


def millis(value: float) -> str:
    """Milliseconds for people: `0.42 ms`, `139 ms`, `12.5 s`."""
    if value >= 10_000:
        return f"{value / 1000:,.4g} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.2g} ms"


def _rate(value: float) -> str:
    return f"{value:.3g}/s"


def _chart(
    title: str,
    lead: str,
    told: Sequence[tuple[str, str, Sequence[float]]],
    form: Callable[[float], str],
    when: tuple[str, str],
) -> Chart:
    top = max((max(values, default=0.0) for _, _, values in told), default=0.0)
    lines = tuple(Line(name, kind, _polyline(values, top)) for name, kind, values in told)
    return Chart(title, lead, form(top), *when, lines)


def _polyline(values: Sequence[float], top: float) -> str:
    step = WIDTH / max(len(values) - 1, 1)
    return " ".join(
        f"{index * step:.1f},{HEIGHT - (value / top if top else 0) * (HEIGHT - 16):.1f}"
        for index, value in enumerate(values)
    )


def drawn(found: ServiceMap) -> DrawnMap:
    """Places for apps, routes and services, and the ways between them."""
    columns = (
        ("client", sorted({edge.source for edge in found.calls})),
        ("route", sorted({edge.target for edge in found.calls})),
        ("service", sorted({edge.target for edge in found.serves})),
    )
    passed: dict[tuple[str, str], int] = {}
    for edge, source, target in (
        *((edge, "client", "route") for edge in found.calls),
        *((edge, "", "service") for edge in found.serves),
    ):
        for kind, name in ((source, edge.source), (target, edge.target)):
            passed[kind, name] = passed.get((kind, name), 0) + edge.n
    boxes = {
        (kind, name): Box(name, column * _COLUMN, row * _ROW, passed.get((kind, name), 0), kind, _query(kind, name))
        for column, (kind, names) in enumerate(columns)
        for row, name in enumerate(names)
    }
    most = max((edge.n for edge in (*found.calls, *found.serves)), default=1)
    ways = []
    for edge, source, target in (
        *((edge, "client", "route") for edge in found.calls),
        *((edge, "route", "service") for edge in found.serves),
    ):
        start, end = boxes.get((source, edge.source)), boxes.get((target, edge.target))
        if start is None or end is None:
            continue
        x1, y1, x2, y2 = start.x + _BOX_WIDTH, start.y + _BOX_HEIGHT // 2, end.x, end.y + _BOX_HEIGHT // 2
        middle = (x1 + x2) // 2
        kind = "bad" if edge.errors * 20 > edge.n else "warn" if edge.refused * 5 > edge.n else "all"
        told = f"{edge.source} to {edge.target}: {edge.n} requests, {edge.refused} refused, {edge.errors} with 5xx"
        path = f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"
        ways.append(Way(path, round(1 + 5 * (edge.n / most) ** 0.5, 1), kind, told))
    rows = max((len(names) for _, names in columns), default=1)
    return DrawnMap(max(rows, 1) * _ROW, tuple(boxes.values()), tuple(ways), found.more)


def _query(kind: str, name: str) -> str:
    return f"{kind}:{name}" if name != NOBODY else ""
