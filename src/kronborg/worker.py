"""The worker: hands events to the slices that want them, and runs what must run now and then (`duties.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import replace

from starlette.applications import Starlette

from kronborg.accounts.people import People
from kronborg.audit import outbox
from kronborg.audit.checkpoints import make_checkpoint
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.core.health import health_routes
from kronborg.core.log import get_logger
from kronborg.core.told_settings import tell_settings
from kronborg.duties import HANDLERS, JOBS, Handler, Job, delivery, ordering
from kronborg.opening import engine_for
from kronborg.server import serve
from kronborg.tokens.engine import Engine
from kronborg.watching import watching

log = get_logger("kronborg.worker")

POLL = 0.2
"""Seconds between looks at the outbox when it was empty."""


class Outbox(outbox.Outbox[Engine]):
    """The outbox of an installation, with those who hear of its news."""

    def __init__(self, engine: Engine, handlers: Mapping[str, tuple[Handler, ...]] = HANDLERS) -> None:
        super().__init__(engine.database, engine, handlers)


async def worker(settings: Settings, stop: asyncio.Event) -> None:
    """Handle events and run jobs until `stop` is set; health and metrics on the worker's own port."""
    database = await Database.open(settings.database_url)
    try:
        engine = await engine_for(settings, database, now=clock.now())
        people = People.make(engine.vault, engine.issuer, settings.people, settings.brand)
        engine = replace(engine, people=people)
        await tell_settings(database, settings, now=clock.now())
        app = Starlette(routes=health_routes(database))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(app, host=settings.worker.host, port=settings.worker.port, stop=stop))
            tasks.create_task(_handle(Outbox(engine), stop))
            for job in (*JOBS, delivery(settings), *ordering(settings), *watching(settings)):
                tasks.create_task(repeat(job, engine, stop))
        await sign_off(engine)
    finally:
        await database.close()


async def sign_off(engine: Engine) -> None:
    """At the end of a run the audit log is sealed and signed as far as it goes."""
    try:
        while await Outbox(engine).seal(now=clock.now()):
            pass
        await make_checkpoint(engine.database, engine.vault, now=clock.now())
    except Exception:  # the edge of a process: the next start does it
        log.exception("sign_off_failed")


async def _handle(outbox: Outbox, stop: asyncio.Event) -> None:
    while not stop.is_set():
        settled = 0
        try:
            settled = await outbox.turn(now=clock.now())
        except Exception:  # the edge of a process: the database may be away for a while
            log.exception("outbox_failed")
        if not settled:
            await _pause(stop, POLL)


async def repeat(job: Job, engine: Engine, stop: asyncio.Event) -> None:
    """Run a job now and then until `stop`; one that fails is tried again at its next turn."""
    while not stop.is_set():
        more: bool | None = False
        try:
            more = await _unless_stopped(job.run(engine, clock.now()), stop)
        except Exception:  # the edge of a process: the next turn tries again
            log.exception("job_failed", job=job.name)
        if not more:
            await _pause(stop, job.every.total_seconds())


async def _unless_stopped(work: Awaitable[bool | None], stop: asyncio.Event) -> bool | None:
    """Wait for it, but no longer than until `stop`: what it has committed stands, the rest is for the next start."""
    running, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return running.result() if running.done() else None
    finally:
        for task in (running, stopped):
            task.cancel()
        await asyncio.gather(running, stopped, return_exceptions=True)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
