"""What a gateway is like at this moment: asked of its proxy, and of who delivers to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version

from kronborg.fleet.model import Standing
from kronborg.gateway.deliver import Deliverer
from kronborg.gateway.envoy import admin

EVERY_SECONDS = 5.0
"""Between two reports of a gateway."""

Measure = Callable[[], int]
"""A number of this moment; -1 when it is not known."""


def unknown() -> int:
    """The number of what nobody measures."""
    return -1


async def observe(
    deliverer: Deliverer, *, now: datetime, revocation_ms: Measure = unknown, buffered: Measure = unknown
) -> Standing:
    """The standing of the gateway that `deliverer` keeps up to date."""
    facts = await admin.facts(deliverer.proxy.admin)
    said = deliverer.current
    serving, digest = deliverer.serving
    return Standing(
        at=now,
        kronborg=version("kronborg"),
        envoy=facts.version,
        version=serving,
        digest=digest,
        offered=0 if said is None else said.version,
        took="none" if said is None else said.status,
        reason="" if said is None else said.reason,
        live=facts.live,
        uptime=facts.uptime,
        connections=facts.connections,
        requests=facts.requests,
        revocation_ms=revocation_ms(),
        buffered=max(0, buffered()),
    )
