"""What a gateway elsewhere needs to know of failing services: orders for breakers, and announced endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from kronborg.core.db import Database, from_micros, to_micros
from kronborg.core.json import JsonObject, JsonValue
from kronborg.fleet.link import Away, Link
from kronborg.gateway.breaker_model import Order, Phase
from kronborg.gateway.breaker_orders import keep_stand
from kronborg.gateway.breakers_store import Stand, orders_now
from kronborg.gateway.registration_model import Announced
from kronborg.gateway.registration_store import living
from kronborg.gateway.store import find_service

EVERY_SECONDS = 1.0
_ORDERS: dict[str, Order] = {"open": "open", "closed": "closed"}
_PHASES: dict[str, Phase] = {"closed": "closed", "open": "open", "half_open": "half_open"}
_LONGEST = 500


async def write_known(database: Database, *, now: datetime) -> bytes:
    """What holds at this moment, for every gateway."""
    orders = dict(await orders_now(database))
    announced = [_plain(one) for group in (await living(database, now=now)).values() for one in group]
    return orjson.dumps({"orders": orders, "announced": announced})


async def take_stand(database: Database, node: str, body: bytes, *, now: datetime) -> None:
    """Write down where a breaker of a gateway stands; nothing of a service that has none. Raises `ValueError`.

    That is no error: a gateway may be a version behind, and would tell it again for ever.
    """
    told = orjson.loads(body)
    if not isinstance(told, dict) or told.get("phase") not in _PHASES:
        raise ValueError("a breaker's stand is not as written")
    service, why = told.get("service"), told.get("why")
    if not isinstance(service, str) or not isinstance(why, str) or max(len(service), len(why)) > _LONGEST:
        raise ValueError("a breaker's stand is not as written")
    async with database.read() as session:
        found = await find_service(session, service)
    if found is not None and found.breaker is not None:
        await keep_stand(database, Stand(node, service, _PHASES[told["phase"]], now), why)


@dataclass(slots=True)
class Known:
    """What the control plane said last. While it is away that goes on to hold: nothing else could be better."""

    link: Link
    _orders: Mapping[str, Order] = field(default_factory=dict, init=False)
    _announced: Mapping[str, Sequence[Announced]] = field(default_factory=dict, init=False)

    async def ask(self) -> None:
        """Ask once. Raises `Away`, `ValueError`."""
        told = await self.link.call("GET", "/resilience")
        if told.status != 200:
            raise Away(f"status {told.status}")
        plain = orjson.loads(told.body)
        groups: dict[str, list[Announced]] = {}
        for one in plain["announced"]:
            found = _announced(one)
            groups.setdefault(found.service, []).append(found)
        self._orders = {service: _ORDERS[order] for service, order in plain["orders"].items()}
        self._announced = groups

    async def orders(self) -> Mapping[str, Order]:
        """What operators ordered."""
        return self._orders

    async def living(self, _now: datetime) -> Mapping[str, Sequence[Announced]]:
        """Which endpoints services announced."""
        return self._announced

    async def tell(self, stand: Stand, why: str) -> None:
        """Bring a breaker's change to the control plane. Raises `Away`: it is told again."""
        body = orjson.dumps({"service": stand.service, "phase": stand.phase, "why": why[:_LONGEST]})
        told = await self.link.call("POST", "/breakers", body)
        if told.status != 204:
            raise Away(f"status {told.status}")


def _plain(one: Announced) -> JsonObject:
    return {
        "service": one.service,
        "id": one.id,
        "address": one.address,
        "port": one.port,
        "weight": one.weight,
        "client_id": one.client_id,
        "since": to_micros(one.since),
        "expires_at": to_micros(one.expires_at),
    }


def _announced(told: Mapping[str, JsonValue]) -> Announced:
    return Announced(
        str(told["service"]),
        str(told["id"]),
        str(told["address"]),
        int(str(told["port"])),
        int(str(told["weight"])),
        str(told["client_id"]),
        from_micros(int(str(told["since"]))),
        from_micros(int(str(told["expires_at"]))),
    )
