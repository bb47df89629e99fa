"""A log with events in it, sealed by the worker's own turn, and a hand that can write past the triggers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import create_engine, text

from kronborg.audit.chain import seal_waiting
from kronborg.audit.checkpoints import make_checkpoint
from kronborg.audit.export import export_lines
from kronborg.audit.model import Checkpoint, Verified
from kronborg.audit.verify import Scope, verify
from kronborg.core import events
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.json import JsonObject
from kronborg.core.migrate import sync_url

TRIGGERS = {
    "core_events": ("core_events_no_update", "core_events_no_delete", "core_events_recorded"),
    "audit_chain": ("audit_chain_no_update", "audit_chain_no_delete"),
    "audit_checkpoints": ("audit_checkpoints_no_update", "audit_checkpoints_no_delete"),
}


@dataclass
class Log:
    """The log of one database."""

    database: Database
    vault: Vault
    url: str
    now: datetime

    async def happen(self, count: int, *, name: str = "thing.happened", actor: str = "ophelia") -> None:
        async with self.database.write() as session:
            for number in range(count):
                detail: JsonObject = {"number": number, "text": 'æ\u2028 "quoted"'}
                at = self.now + timedelta(seconds=number)
                await events.record(session, name, actor=actor, subject=f"s{number}", now=at, detail=detail)

    async def seal(self) -> int:
        sealed = 0
        while (turn := await seal_waiting(self.database, {}, now=self.now)).events:
            sealed += turn.events
        return sealed

    async def checkpoint(self) -> Checkpoint:
        made = await make_checkpoint(self.database, self.vault, now=self.now)
        assert made is not None
        return made

    async def verify(self, against: Checkpoint | None = None) -> Verified:
        return await verify(self.database, self.vault, Scope(against=against))

    async def export(self) -> list[bytes]:
        return [line async for line in export_lines(self.database, self.vault)]

    def meddle(self, *statements: str) -> None:
        """Write as somebody who has the whole database in hand: without the triggers."""
        engine = create_engine(sync_url(self.url))
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            kept = self._triggers_off(connection) if engine.dialect.name == "sqlite" else []
            for statement in statements:
                connection.execute(text(statement))
            for statement in kept:
                connection.exec_driver_sql(statement)
        engine.dispose()

    @staticmethod
    def _triggers_off(connection: object) -> list[str]:
        kept = []
        for names in TRIGGERS.values():
            for name in names:
                found = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = :n").bindparams(n=name))  # type: ignore[attr-defined]  # a connection
                kept.append(str(found.scalar()))
                connection.execute(text(f"DROP TRIGGER {name}"))  # type: ignore[attr-defined]  # a connection
        return kept


@pytest.fixture
async def log(database: Database, database_url: str, vault: Vault, now: datetime) -> Log:
    database.vault = vault
    return Log(database, vault, database_url, now)


@pytest.fixture
async def full(log: Log) -> Log:
    """Forty events, sealed, with a checkpoint after 10, 25 and 38 (the making of the key is an event too)."""
    await log.happen(10)
    await log.seal()
    await log.checkpoint()
    await log.happen(14)
    await log.seal()
    await log.checkpoint()
    await log.happen(13)
    await log.seal()
    await log.checkpoint()
    await log.happen(2)
    await log.seal()
    return log


def seqs(lines: Sequence[bytes]) -> int:
    """How many lines are events."""
    return sum(b'"seq"' in line for line in lines)
