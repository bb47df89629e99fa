"""Hot writes: units of work from many requests share one transaction, and are answered after its commit.

One commit per token costs an fsync each; gathering what arrives in the same turn of the event loop costs one
fsync for all. A unit is a plain function over `Execute`: it may read, decide and write, and does no other I/O.
It may be run a second time from the start (when another unit of its batch is a bug), so it keeps no state outside
the database.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from kronborg.core.errors import Overloaded, Refusal

Value = None | bool | int | float | str | bytes
Row = tuple[Any, ...]
"""A row; the store that wrote the statement knows its columns."""
T = TypeVar("T")

MAX_PENDING = 4096
MAX_BATCH = 256


class Execute(Protocol):
    """Run one statement with `?` placeholders; the rows it returns, if any."""

    def __call__(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]: ...


Unit = Callable[[Execute], T]


@dataclass(slots=True)
class Pending:
    unit: Unit[object]
    future: asyncio.Future[object]
    value: object = None
    error: BaseException | None = field(default=None)
    alone: bool = False
    """Whether it gets a transaction of its own: it asked for it, or its batch held a bug."""
    context: Context = field(default_factory=copy_context)
    """That of its own request: what a unit records carries the request id of its caller, not of its batch."""

    def run(self, execute: Execute) -> None:
        """Run the unit and keep its value or its refusal; a bug is raised on."""
        try:
            self.value, self.error = self.context.run(self.unit, execute), None
        except Refusal as refusal:
            self.error = refusal

    def settle(self) -> None:
        if self.future.done():
            return
        if isinstance(self.error, StopIteration):
            # A future does not take this one, and the others of the batch would never be answered.
            bug = RuntimeError("a unit raised StopIteration")
            bug.__cause__ = self.error
            self.future.set_exception(bug)
        elif self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)


class GroupWriter(ABC):
    """What both databases share: gather, run as a batch, fall back to one by one after a bug."""

    locks_rows = False
    """Whether transactions run side by side and lock rows, not the database."""

    def __init__(self) -> None:
        self._pending: list[Pending] = []
        self._closed = False

    async def run(self, unit: Unit[T], *, alone: bool = False) -> T:
        """The unit's value, once its writes are committed.

        `alone` is for a unit that locks rows which others lock too: among other units in one transaction they would be
        locked in any order, and two transactions could wait for each other. Where a writer has the whole database to
        itself (SQLite) there is nothing to wait for, and it changes nothing.

        Raises the unit's own `Refusal` (its writes are kept), any other exception it raised (its writes
        are undone, the other units of the batch are not touched), or `Overloaded` before anything ran.
        """
        if self._closed or len(self._pending) >= MAX_PENDING:
            raise Overloaded("too many writes are waiting")
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._pending.append(Pending(unit, future, alone=alone and self.locks_rows))
        self._schedule()
        return await future  # type: ignore[return-value]  # the future carries what `unit` returned

    @abstractmethod
    def _schedule(self) -> None: ...

    @abstractmethod
    async def close(self) -> None:
        """Finish what is waiting, then close."""

    def _take(self) -> list[Pending]:
        size = next((at for at, waiting in enumerate(self._pending[:MAX_BATCH]) if waiting.alone), MAX_BATCH) or 1
        batch, self._pending = self._pending[:size], self._pending[size:]
        return batch

    def _shed(self, reason: str) -> None:
        """Refuse everything that waits; nothing of it has run."""
        waiting, self._pending = self._pending, []
        for each in waiting:
            each.error = Overloaded(reason)
            each.settle()


class Lookup(ABC):
    """Single-statement reads of committed rows, cheap enough for the hot path."""

    @abstractmethod
    async def first(self, sql: str, parameters: Sequence[Value] = ()) -> Row | None:
        """The first row, or None."""

    @abstractmethod
    async def all(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """All rows."""

    @abstractmethod
    async def close(self) -> None:
        """Give back what it holds."""
