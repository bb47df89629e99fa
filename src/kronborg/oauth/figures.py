"""What matters today, gathered for the dashboard: figures of the last days, and what needs somebody's attention.

Nothing here counts a big table: each count is bounded and on an index, and the whole is kept for half a minute in each
process, so that a wall of screens costs one reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from kronborg.clients.legacy import legacy_of
from kronborg.clients.store import find_client
from kronborg.oauth import figures_store as store
from kronborg.tokens.engine import Engine

KEPT = timedelta(seconds=30)
DAYS = 7
SOON = timedelta(days=30)
PATIENCE = timedelta(minutes=1)
"""Longer than this nothing should wait for the worker."""
LISTED = 20
BURST = 20
"""So many failed sign-ins in an hour are worth a word if they are five times what is usual."""


@dataclass(frozen=True, slots=True)
class Day:
    """Sign-ins of one day (UTC)."""

    at: datetime
    signed_in: int
    refused: int


@dataclass(frozen=True, slots=True)
class Attention:
    """Something to look at: `kind` is `danger`, `warn` or `info`."""

    kind: str
    text: str
    href: str
    link: str


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it, as of `at`. A count that reached its bound says so: `people_exact`, `bounded`."""

    at: datetime
    people: int
    people_exact: bool
    sessions: int
    created: int
    days: tuple[Day, ...]
    attention: tuple[Attention, ...]

    @property
    def week(self) -> int:
        """Sign-ins of seven days."""
        return sum(day.signed_in for day in self.days)

    @property
    def refused(self) -> int:
        """Failed sign-ins of seven days."""
        return sum(day.refused for day in self.days)

    @property
    def highest(self) -> int:
        """What the chart's axis ends at."""
        return max(1, *(max(day.signed_in, day.refused) for day in self.days))


class Board:
    """The figures of one process, read again when they are half a minute old."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: Figures | None = None

    async def figures(self, *, now: datetime) -> Figures:
        """As they were at most half a minute ago."""
        if self._kept is None or now - self._kept.at >= KEPT:
            self._kept = await _read(self._engine, now=now)
        return self._kept


async def _read(engine: Engine, *, now: datetime) -> Figures:
    lookup = engine.database.lookup
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]
    marks = [await store.first_event_since(lookup, start) for start in starts]
    end = await store.first_event_since(lookup, now + timedelta(days=1))
    days = []
    for start, first, before in zip(starts, marks, [*marks[1:], end], strict=True):
        counts = [
            await store.count_events(lookup, name, first=first, before=before)
            for name in ("session.begun", "signin.refused")
        ]
        days.append(Day(start, *counts))
    people, exact = await store.count_people(lookup)
    sessions = await store.count_sessions(lookup, since=now - engine.session_idle)
    created = await store.count_events(lookup, "user.created", first=marks[0], before=end)
    attention = [
        *await _bursts(engine, days, end, now=now),
        *await _health(engine, now=now),
        *await _keys(engine, now=now),
        *await _secrets(engine, now=now),
        *await _legacy(engine),
    ]
    return Figures(now, people, exact, sessions, created, tuple(days), tuple(attention))


async def _bursts(engine: Engine, days: list[Day], end: int, *, now: datetime) -> list[Attention]:
    first = await store.first_event_since(engine.database.lookup, now - timedelta(hours=1))
    last_hour = await store.count_events(engine.database.lookup, "signin.refused", first=first, before=end)
    usual = sum(day.refused for day in days[:-1]) / (24 * (DAYS - 1))
    if last_hour < max(BURST, 5 * usual):
        return []
    text = f"{last_hour} sign-ins failed in the last hour, against {usual:.0f} in a usual one."
    return [Attention("danger", text, "/console/audit?q=signin.refused", "See them")]


async def _health(engine: Engine, *, now: datetime) -> list[Attention]:
    found = []
    since = await store.oldest_waiting_event(engine.database.lookup)
    if since is not None and now - since > PATIENCE:
        minutes = int((now - since).total_seconds() // 60)
        text = f"The worker is behind: the oldest event has waited for {minutes} minutes. Is it running?"
        found.append(Attention("danger", text, "/console/audit", "Audit log"))
    letters = [at for at in await store.waiting_letters(engine.database.lookup, limit=100) if now - at > PATIENCE]
    if letters:
        number = "100 or more letters wait" if len(letters) == 100 else f"{len(letters)} letters wait"
        found.append(
            Attention("danger", f"{number} to be sent. Does the mail server answer?", "/console/settings", "Mail")
        )
    return found


async def _keys(engine: Engine, *, now: datetime) -> list[Attention]:
    found = []
    for key in await engine.keys.stored():
        if key.state == "active" and key.activated_at is not None and now - key.activated_at > timedelta(days=120):
            text = f"The {key.line} key has signed for {(now - key.activated_at).days} days: it should have rotated."
            found.append(Attention("warn", text, "/console/keys", "Keys"))
    return found


async def _secrets(engine: Engine, *, now: datetime) -> list[Attention]:
    found = []
    for client_id, name, at in await store.ending_secrets(engine.database.lookup, before=now + SOON, limit=LISTED):
        left = (at - now).days
        when = "has ended" if at <= now else "ends today" if left == 0 else f"ends in {left} days"
        kind = "danger" if at <= now else "warn"
        href = f"/console/clients/{quote(client_id, safe='')}/secrets"
        found.append(Attention(kind, f"A secret of {name} {when}.", href, "Its secrets"))
    return found


async def _legacy(engine: Engine) -> list[Attention]:
    found = []
    ids = await store.maybe_legacy(engine.database.lookup, limit=LISTED)
    async with engine.database.read() as session:
        for client_id in ids:
            client = await find_client(session, client_id)
            words = [] if client is None else sorted({one.word for one in legacy_of(client)})
            if client is not None and words:
                text = f"{client.name} is allowed what is legacy: {', '.join(words)}."
                href = f"/console/clients/{quote(client_id, safe='')}"
                found.append(Attention("warn", text, href, "What instead"))
    return found
