"""What the dashboard shows of the traffic, of the surface and of alerts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kronborg.core.db import Database
from kronborg.sessions.model import Tile
from kronborg.traffic.alerts_store import firing
from kronborg.traffic.parts import Traffic
from kronborg.traffic.questions import span_of
from kronborg.traffic.surface_store import latest_mark


async def tiles_of(database: Database, traffic: Traffic, now: datetime) -> Sequence[Tile]:
    """The requests of the last hour, the score, and what fires."""
    counts = await traffic.ask(lambda kept: kept.counts(span_of("1h", now), ()))
    requests, errors = sum(one.n for one in counts), sum(one.n for one in counts if one.status >= 500)
    async with database.read() as session:
        day, alerts = await latest_mark(session), await firing(session)
    score, note = "–", "not judged yet"
    if day is not None:
        score, note = str(day.score), f"{day.critical} critical, {day.high} high"
        if (now - day.at).days:
            note = f"as of {day.day}"
    grave = sum(alert.severity == "critical" for alert in alerts)
    return (
        Tile("Requests", f"{requests:,}", f"in the last hour; {errors:,} ended in 5xx", "traffic"),
        Tile("Attack surface", score, note, "surface"),
        Tile("Alerts that fire", str(len(alerts)), f"{grave} critical", "alerts"),
    )
