"""The outbox: news is sealed into the chain of the audit log, and handed to those who want to hear of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from prometheus_client import Counter

from kronborg.audit import tasks_store as store
from kronborg.audit.chain import Turn, seal_waiting
from kronborg.audit.model import detail_of
from kronborg.audit.tasks_store import Task
from kronborg.core.db import Database, from_micros
from kronborg.core.events import Event
from kronborg.core.log import get_logger

log = get_logger("kronborg.outbox")
E = TypeVar("E")

ATTEMPTS = 20
"""Times an event is handed to a handler that fails, over about ten minutes, before it is given up."""
LONGEST_WAIT = timedelta(minutes=1)
AT_ONCE = 100
LEASE = timedelta(minutes=1)
"""How long a worker has for what it took; then another one takes it."""

events_handled = Counter("kronborg_events_handled", "Events taken from the outbox", ("result",))


class Outbox(Generic[E]):
    """Seals events, and hands them on, oldest first; `engine` is what the handlers work with.

    What a handler has to do is a row of its own: one that fails is tried again later and holds up nothing else.
    """

    def __init__(
        self,
        database: Database,
        engine: E,
        handlers: Mapping[str, tuple[Callable[[E, Event, datetime], Awaitable[object]], ...]],
    ) -> None:
        self._database, self._engine = database, engine
        self._handlers = {_name(handler): handler for each in handlers.values() for handler in each}
        self._wanted = {name: tuple(map(_name, each)) for name, each in handlers.items()}
        if any(self._handlers[_name(one)] is not one for each in handlers.values() for one in each):
            raise ValueError("two handlers have one name")

    async def turn(self, *, now: datetime) -> int:
        """Seal what happened and do what is due, both in bounded batches; how much was settled."""
        sealed = await self._seal(now=now)
        settled = sealed.events - sealed.wanted
        if not await store.is_due(self._database.lookup, now=now):
            return settled
        due = await self._database.writer.run(
            lambda execute: store.claim_tasks(execute, until=now + LEASE, limit=AT_ONCE, now=now), alone=True
        )
        done = [task for task in due if await self._hand_on(task, now)]
        if done:
            await self._database.writer.run(lambda execute: store.finish_tasks(execute, done))
        return settled + len(done)

    async def seal(self, *, now: datetime) -> int:
        """Seal what happened, a batch; how many events."""
        return (await self._seal(now=now)).events

    async def _seal(self, *, now: datetime) -> Turn:
        return await seal_waiting(self._database, self._wanted, now=now)

    async def _hand_on(self, task: Task, now: datetime) -> bool:
        """Whether the task is settled: the handler ran, failed too often, or is known no more."""
        handler, failures = self._handlers.get(task.handler), task.attempts
        try:
            if handler is not None:
                await handler(self._engine, _event(task), now)
        except Exception:  # the edge of a process: a failing handler must not stop the others
            one = task.event
            log.exception("handler_failed", name=one.name, event_id=one.id, handler=task.handler, attempt=failures)
            if failures < ATTEMPTS:
                wait = min(LONGEST_WAIT, timedelta(seconds=0.1 * 2.0**failures))
                until = now + wait
                await self._database.writer.run(lambda execute: store.postpone_task(execute, task, until=until))
                return False
            events_handled.labels("given_up").inc()
        else:
            events_handled.labels("done").inc()
        return True


def _name(handler: object) -> str:
    """What a handler is called in the table of tasks."""
    return str(getattr(handler, "__name__", ""))


def _event(task: Task) -> Event:
    one = task.event
    at, detail = from_micros(one.at), detail_of(one.detail)
    return Event(one.seq, one.id, one.name, one.actor, one.subject, at, detail, one.request_id)
