"""All or nothing: a write transaction that a refusal rolls back too.

`Database.write` commits on a refusal, because counters and revocations must survive a "no". A change that takes
several steps wants the opposite: when the last step is refused, the first must not stand.

Such changes are made one after the other, on PostgreSQL as on SQLite: each is judged beside everything else that is
configured (clashing routes, an `If-Match`, the next version), which must not change between the look and the commit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kronborg.core.db import Database, Session
from kronborg.core.errors import Refusal


class _Undo(Exception):
    """Carries a refusal out of the transaction."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


@asynccontextmanager
async def whole(database: Database) -> AsyncIterator[Session]:
    """A write transaction that commits at its end and rolls back on anything raised; refusals come out as they are."""
    try:
        async with database.alone, database.write() as session:
            await session.wait_to_be_alone()
            try:
                yield session
            except Refusal as refusal:
                raise _Undo(refusal) from None
    except _Undo as undo:
        raise undo.refusal from None
