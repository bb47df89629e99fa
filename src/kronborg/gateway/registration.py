"""Services that announce their replicas: who may, from where, for how long; and the file that tells the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kronborg.core import events
from kronborg.core.db import Database, Session
from kronborg.core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from kronborg.core.log import get_logger
from kronborg.gateway.deliver import put_endpoints
from kronborg.gateway.envoy.endpoints import assignments
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.model import Snapshot
from kronborg.gateway.registration_model import Announced, allows, numeric
from kronborg.gateway.registration_store import (
    count_announced,
    drop_announced,
    find_announced,
    put_announced,
    renew,
    take_expired,
)
from kronborg.gateway.resilience_model import Registration
from kronborg.gateway.store import find_service

log = get_logger("kronborg.gateway.registration")

BATCH = 200
TURN_SECONDS = 0.2

Living = Callable[[datetime], Awaitable[Mapping[str, Sequence[Announced]]]]
"""The announcements that hold, by service."""


async def announce(
    session: Session,
    service: str,
    endpoint_id: str,
    *,
    address: str,
    port: int,
    weight: int,
    client_id: str,
    now: datetime,
) -> Announced:
    """Announce a replica, or renew its lease. Raises `NotFound`, `Forbidden`, `Conflict`, `Invalid`."""
    registration = await _allowed(session, service, client_id)
    place = numeric(address)
    if place is None:
        raise Invalid(Problem("address", "is not an IP address", "write 192.0.2.7 or 2001:db8::7"))
    if not allows(registration.networks, place):
        raise Invalid(Problem("address", "is in none of the networks of this service", "add it to registration"))
    wanted = Announced(service, endpoint_id, place, port, weight, client_id, now, now + registration.lease)
    if await renew(session, wanted, now=now):
        return wanted
    before = await find_announced(session, service, endpoint_id)
    held = before is not None and before.expires_at > now
    if held and before is not None and before.client_id != client_id:
        raise Conflict("another client announced this endpoint: use another id, or wait for its lease to end")
    if not held and await count_announced(session, service, now=now) >= registration.most:
        raise Conflict("as many endpoints are announced as this service may have")
    await put_announced(session, wanted)
    await events.record(
        session,
        "endpoint.announced",
        actor=f"client:{client_id}",
        subject=f"{service}/{endpoint_id}",
        now=now,
        detail={"address": place, "port": port, "weight": weight},
    )
    return wanted


async def withdraw(session: Session, service: str, endpoint_id: str, *, client_id: str, now: datetime) -> None:
    """Take an announcement back. Raises `NotFound`, `Forbidden`."""
    await _allowed(session, service, client_id)
    found = await find_announced(session, service, endpoint_id)
    if found is None or found.client_id != client_id:
        raise NotFound("this client announced no such endpoint")
    await drop_announced(session, service, endpoint_id)
    await _gone(session, service, endpoint_id, actor=f"client:{client_id}", why="withdrawn", now=now)


async def forget_expired(database: Database, *, now: datetime) -> int:
    """Forget announcements whose lease ended, a batch; the gateway left them out from that moment on."""
    async with database.write() as session:
        gone = await take_expired(session, now=now, limit=BATCH)
        for service, endpoint_id in gone:
            await _gone(session, service, endpoint_id, actor="system", why="expired", now=now)
    return len(gone)


async def _gone(session: Session, service: str, endpoint_id: str, *, actor: str, why: str, now: datetime) -> None:
    subject = f"{service}/{endpoint_id}"
    await events.record(session, "endpoint.gone", actor=actor, subject=subject, now=now, detail={"why": why})


async def _allowed(session: Session, service: str, client_id: str) -> Registration:
    """How replicas of this service announce themselves, if this client may. One that may not learns nothing else."""
    found = await find_service(session, service)
    if found is None or found.registration is None or client_id not in found.registration.clients:
        raise Forbidden("this client may not announce endpoints of this service")
    return found.registration


@dataclass(slots=True)
class Announcements:
    """Keeps the file of announced endpoints of one proxy: within a moment of an announcement, and of a lease's end."""

    proxy: Proxy
    snapshot: Callable[[], Snapshot | None]
    living: Living
    clock: Callable[[], datetime]
    _written: bytes = field(default=b"", init=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep it until `stop` is set. While nobody can say what holds, the gateway goes on with what it has."""
        while not stop.is_set():
            try:
                await self.turn()
            except Exception:  # the edge of a process: the next turn tries again
                log.exception("announcements_failed", proxy=self.proxy.name)
            try:
                async with asyncio.timeout(TURN_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def turn(self) -> None:
        """Write the file, if it should say something else."""
        snapshot = self.snapshot()
        if snapshot is None or not any(service.registration for service in snapshot.services):
            return
        content = assignments(snapshot, await self.living(self.clock()))
        if content != self._written:
            await asyncio.to_thread(put_endpoints, content, self.proxy)
            self._written = content
