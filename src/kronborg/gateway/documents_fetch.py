"""Fetches the OpenAPI documents that services tell themselves, through the one way out, on their schedule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from kronborg.core.db import Database
from kronborg.core.errors import Invalid, NotFound
from kronborg.core.fetch import Fetcher, Unreachable
from kronborg.core.log import get_logger
from kronborg.gateway import documents_store as store
from kronborg.gateway.documents import checked, set_document
from kronborg.gateway.model import Service
from kronborg.gateway.store import list_services

log = get_logger("kronborg.gateway.documents")

ACCEPT = ("application/json", "application/vnd.oai.openapi+json", "application/yaml", "application/x-yaml", "text/yaml")
LOOK_SECONDS = 30.0
ACTOR = "system:documents"


async def fetch_due(database: Database, fetcher: Fetcher, *, now: datetime) -> None:
    """Ask each service whose time has come; what cannot stand leaves the document before in force, and is told."""
    async with database.read() as session:
        services = [service for service in await list_services(session) if service.openapi and service.openapi.url]
    for service in services:
        await _fetch(database, fetcher, service, now=now)


async def keep_documents(
    database: Database, fetcher: Fetcher, stop: asyncio.Event, *, clock: Callable[[], datetime]
) -> None:
    """Look again and again until `stop` is set."""
    while not stop.is_set():
        try:
            await fetch_due(database, fetcher, now=clock())
        except Exception:  # the edge of a process: the next turn tries again
            log.exception("documents_not_fetched")
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue


async def _fetch(database: Database, fetcher: Fetcher, service: Service, *, now: datetime) -> None:
    told = service.openapi
    if told is None or not told.url:
        return
    async with database.write() as session:
        if not await store.claim_turn(session, service.name, every=told.every, now=now):
            return
    try:
        fetched = await fetcher.get(told.url, accept=ACCEPT)
        await asyncio.to_thread(checked, fetched.body)
        async with database.write() as session:
            await set_document(session, service.name, fetched.body, actor=ACTOR, now=now, source=told.url)
    except (Unreachable, Invalid, NotFound) as failure:
        why = failure.problems[0].detail if isinstance(failure, Invalid) else str(failure)
        log.warning("document_not_taken", service=service.name, reason=why)
        async with database.write() as session:
            await store.note_problem(session, service.name, why[:200], source=told.url, now=now)
