"""Delete what has expired, in batches small enough that nobody notices, however much there is.

A batch holds the write lock of SQLite, so its size follows the time it takes; between batches the lock is free for as
long as it was held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from kronborg.core.group_writer import Execute
from kronborg.tokens import feed_store, status_store, store
from kronborg.tokens.engine import Engine

Batch = Callable[[Execute, int], int]
"""Deletes at most so many rows; how many it did."""

BATCH_TAKES = 0.015
"""Seconds that a batch should take."""
SMALLEST, LARGEST = 50, 5000
REST = 1.0
"""Rest after a batch, in times of what it took."""
VACUUM_PAGES = 128


class BatchSize:
    """How many rows the next batch may hold."""

    def __init__(self, rows: int = 500) -> None:
        self.rows = rows

    def took(self, rows: int, seconds: float) -> None:
        """Learn from a batch: towards the size that takes as long as it should, by half of it at most."""
        if rows and seconds > 0:
            fitting = rows * BATCH_TAKES / seconds
            self.rows = round(min(LARGEST, max(SMALLEST, self.rows / 2, min(fitting, self.rows * 1.5))))


def batches(*, before: datetime) -> tuple[Batch, ...]:
    """One for each kind of row. Grants come after codes and refresh tokens, which they would take along."""

    def clean(what: store.Cleanable) -> Batch:
        return lambda execute, limit: store.clean(execute, what, before=before, limit=limit)

    def places(execute: Execute, limit: int) -> int:
        return status_store.clean_places(execute, before=before, limit=limit)

    def entries(execute: Execute, limit: int) -> int:
        return feed_store.drop_entries(execute, before=before, limit=limit)

    return (*(clean(what) for what in store.CLEANABLE), places, entries)


async def purge(engine: Engine, *, now: datetime) -> int:
    """Delete every row that expired before `now`, and give the room back to the disk; how many rows. For the worker."""
    deleted = 0
    for batch in batches(before=now):
        size = BatchSize()
        while rows := await _paced(engine, batch, size):
            deleted += rows
    while await _paced(engine, None, BatchSize(VACUUM_PAGES)):
        pass
    return deleted


async def _paced(engine: Engine, batch: Batch | None, size: BatchSize) -> int:
    """One batch (a step of vacuum without one) and the rest after it; how many rows or pages."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    if batch is None:
        done = await engine.database.shrink(pages=size.rows)
    else:
        limit = size.rows
        done = await engine.database.writer.run(lambda execute: batch(execute, limit))
    took = loop.time() - began
    size.took(done, took)
    await asyncio.sleep(took * REST)
    return done
