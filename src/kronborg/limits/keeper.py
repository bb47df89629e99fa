"""Keeps counters beyond a process: stores what changed each second, and does the resets that operators ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kronborg.core.db import Database
from kronborg.core.log import get_logger
from kronborg.limits.authority import Authority, Quotas
from kronborg.limits.counters_model import Ask, Away, Counters, Guarded, Kept, ProcessCounters, Standing, Storable
from kronborg.limits.policy import QuotaPolicy
from kronborg.limits.store import DatabaseCounters, forget_old, last_reset, open_slots, resets_after, save
from kronborg.limits.valkey_store import ValkeyCounters

log = get_logger("kronborg.limits")

EVERY_SECONDS = 1.0
"""What a crash of the control process forgets at most, of counters that it keeps itself."""

_SWEEP = timedelta(minutes=1)
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


class Mirrored(Counters, Storable):
    """Counters kept elsewhere, with a copy of the last standings for whoever looks."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._seen: dict[tuple[str, str], Kept] = {}

    async def settle(self, asks: Sequence[Ask], *, now: datetime) -> list[Standing]:
        """Ask who keeps them."""
        standings = await self._counters.settle(asks, now=now)
        for ask, one in zip(asks, standings, strict=True):
            kept = Kept(ask.quota, ask.identity, _FIRST, one.resets, one.used, ask.count)
            self._seen[ask.quota, ask.identity] = kept
        return standings

    async def reset(self, quota: str, identity: str) -> None:
        """Forget there and here."""
        self._seen.pop((quota, identity), None)
        await self._counters.reset(quota, identity)

    def changed(self) -> list[Kept]:
        """The standings since this was last asked."""
        seen, self._seen = list(self._seen.values()), {}
        return seen

    def unsaved(self, slots: Sequence[Kept]) -> None:
        """The next change is stored again in any case."""

    def sweep(self, *, now: datetime) -> None:
        """Nothing is kept here for long."""


class Keeper:
    """The counters of a control process as its policy wants them, and the authority over them."""

    def __init__(self, database: Database, policy: QuotaPolicy, quotas: Quotas, *, node: str) -> None:
        self._database, self._policy = database, policy
        self._own = ProcessCounters()
        self._valkey: ValkeyCounters | None = None
        self._kept: Storable | None = self._own
        self._swept: datetime | None = None
        self._reset = 0
        counters: Counters = self._own
        if policy.counters == "database":
            counters, self._kept = DatabaseCounters(database), None
        elif policy.counters == "valkey":
            self._valkey = ValkeyCounters.at(policy.valkey, _password(policy))
            spare = self._own if policy.when_away == "process" else None
            mirrored = Mirrored(Guarded(self._valkey, spare))
            counters, self._kept = mirrored, mirrored
        self.counters = counters
        self.authority = Authority(counters, quotas, node, apart=policy.counters == "process")

    async def start(self, *, now: datetime) -> None:
        """Take over what was stored before this process began."""
        async with self._database.read() as session:
            self._reset = await last_reset(session)
            if self._policy.counters == "process":
                # Those of gateways elsewhere too, which count here: each under its own name.
                self._own.restore(await open_slots(session, now=now))

    async def turn(self, *, now: datetime) -> None:
        """Do the resets, store what changed."""
        async with self._database.read() as session:
            resets = await resets_after(session, self._reset)
        for number, quota, identity in resets:
            await self.counters.reset(quota, identity)
            self._reset = number
        changed = [] if self._kept is None else self._kept.changed()
        sweeps = self._swept is None or abs(now - self._swept) >= _SWEEP
        if not changed and not sweeps:
            return
        try:
            async with self._database.write() as session:
                await save(session, changed)
                if sweeps:
                    await forget_old(session, now=now)
        except Exception:
            if self._kept is not None:
                self._kept.unsaved(changed)
            raise
        if sweeps:
            self._swept = now
            self._own.sweep(now=now)

    async def run(self, stop: asyncio.Event, clock: Callable[[], datetime]) -> None:
        """Keep until `stop` is set, and store once more."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(EVERY_SECONDS):
                    await stop.wait()
            except TimeoutError:
                pass
            try:
                await self.turn(now=clock())
            except Away:
                log.warning("counters_away")
            except Exception:  # the edge of a process: the next turn tries again
                log.exception("counters_not_stored")
        if self._valkey is not None:
            await self._valkey.close()


def _password(policy: QuotaPolicy) -> str | None:
    """The password in its file, if there is one."""
    return Path(policy.valkey_password_file).read_text().strip() if policy.valkey_password_file else None
