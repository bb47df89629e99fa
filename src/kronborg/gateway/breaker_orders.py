"""What operators see of breakers, and what they order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kronborg.core import events
from kronborg.core.db import Database, ReadSession, Session
from kronborg.core.errors import NotFound
from kronborg.gateway.breaker_model import Order, Phase
from kronborg.gateway.breakers_store import (
    Ordered,
    Stand,
    drop_order,
    list_orders,
    list_stands,
    put_order,
    put_stand,
    stands_of,
)
from kronborg.gateway.resilience_model import Fallback
from kronborg.gateway.store import list_services

_WORST: tuple[Phase, ...] = ("open", "half_open")


@dataclass(frozen=True, slots=True)
class Guarded:
    """A service with a breaker: what was ordered, and where it stands on each gateway that has opened it once."""

    service: str
    order: Ordered | None
    stands: tuple[Stand, ...]
    fallback: Fallback | None = None

    @property
    def phase(self) -> Phase:
        """The worst of all gateways."""
        phases = {stand.phase for stand in self.stands}
        return next((phase for phase in _WORST if phase in phases), "closed")


async def list_breakers(session: ReadSession) -> tuple[Guarded, ...]:
    """Every service that has a breaker, by name."""
    orders = {one.service: one for one in await list_orders(session)}
    stands: dict[str, list[Stand]] = {}
    for stand in await list_stands(session):
        stands.setdefault(stand.service, []).append(stand)
    return tuple(
        Guarded(one.name, orders.get(one.name), tuple(stands.get(one.name, ())), one.fallback)
        for one in await list_services(session)
        if one.breaker is not None
    )


async def force(session: Session, service: str, wanted: Order | None, *, actor: str, now: datetime) -> None:
    """Order a breaker open or closed on every gateway; None lets it decide itself again. Raises `NotFound`."""
    guarded = {one.service: one for one in await list_breakers(session)}
    if service not in guarded:
        raise NotFound("there is no service with this name that has a breaker")
    before = guarded[service].order
    if wanted is None:
        await drop_order(session, service)
    else:
        await put_order(session, Ordered(service, wanted, actor, now))
    was = "automatic" if before is None else before.wanted
    detail = {"changed": {"order": [was, wanted or "automatic"]}}
    await events.record(session, "breaker.forced", actor=actor, subject=service, now=now, detail=detail)


async def keep_stand(database: Database, stand: Stand, why: str) -> None:
    """Write down that a breaker changed: where it stands, and that it opened or closed. To say it again is no news."""
    async with database.write() as session:
        known = {one.service: one.phase for one in await stands_of(session, stand.proxy)}
        await put_stand(session, stand)
        if stand.phase in ("half_open", known.get(stand.service, "closed")):
            return
        name = "breaker.opened" if stand.phase == "open" else "breaker.closed"
        await events.record(
            session,
            name,
            actor="system",
            subject=stand.service,
            now=stand.since,
            detail={"gateway": stand.proxy, "why": why},
        )
