"""What the worker watches: the attack surface and alerts, over the settings of the installation."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from kronborg.config import Settings
from kronborg.core.letters import Letters
from kronborg.duties import Job
from kronborg.tokens.engine import Engine
from kronborg.traffic import alerts, surface_refresh
from kronborg.traffic.opened import open_traffic
from kronborg.traffic.parts import Traffic
from kronborg.traffic.surface_model import Listener

PROBED = timedelta(hours=6)


def traffic_of(settings: Settings) -> Traffic:
    """The store of access records, opened when it is first asked."""
    return Traffic(partial(open_traffic, settings.traffic.store, settings.database_url, settings.data.absolute()))


def listeners_of(settings: Settings) -> tuple[Listener, ...]:
    """Everywhere the installation listens, by its settings."""
    return tuple(_listeners(settings))


def _listeners(settings: Settings) -> Iterator[Listener]:
    for one in settings.listeners:
        asks = "" if one.tls is None or one.tls.client_certificates == "none" else "client certificates"
        serves = f"APIs, {one.kind}" if one.redirect is None else f"redirects to port {one.redirect}"
        tls = one.tls is not None
        yield Listener(f"gateway {one.name}", f"{one.host}:{one.port}", serves, tls, _beyond(one.host), asks)
    if not settings.listeners:
        gateway = settings.gateway
        yield Listener("gateway", f"{gateway.host}:{gateway.port}", "APIs", False, _beyond(gateway.host))
    address = settings.identity
    serves = "sign-in, tokens, console, admin API"
    yield Listener("identity", f"{address.host}:{address.port}", serves, False, _beyond(address.host))
    if settings.tls is not None:
        yield Listener(
            "identity, TLS", f"{settings.tls.host}:{settings.tls.port}", serves, True, _beyond(settings.tls.host)
        )
    asking = None if settings.mtls is None else settings.mtls.listener
    if asking is not None:
        host, where = asking.host, f"{asking.host}:{asking.port}"
        yield Listener("identity, mTLS", where, "tokens", True, _beyond(host), "client certificates")
    for name, private in (("control", settings.control), ("worker", settings.worker)):
        serves = "what the gateway asks" if name == "control" else "health and metrics"
        yield Listener(name, f"{private.host}:{private.port}", serves, False, _beyond(private.host))
    fleet = settings.fleet
    if fleet is not None:
        where = f"{fleet.host}:{fleet.port}"
        yield Listener("fleet", where, "gateways elsewhere", True, _beyond(fleet.host), "certificates of the fleet")


def _beyond(host: str) -> bool:
    """Whether other machines can reach it."""
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def watching(settings: Settings) -> tuple[Job, ...]:
    """Judge the surface after each publishing and when gateways followed, and every hour; probe; evaluate alerts."""
    traffic, listeners = traffic_of(settings), listeners_of(settings)
    wants_probes = settings.surface.probe

    async def judge(engine: Engine, now: datetime) -> None:
        async with engine.database.read() as session:
            wanted = await surface_refresh.due(session, now=now)
        if wanted:
            await surface_refresh.refresh(engine.database, traffic, settings.surface, listeners, now=now)

    async def probe(engine: Engine, now: datetime) -> None:
        if await surface_refresh.probe_services(engine.database, everywhere=wants_probes, now=now):
            await surface_refresh.refresh(engine.database, traffic, settings.surface, listeners, now=now)

    async def evaluate(engine: Engine, now: datetime) -> None:
        letters = Letters(engine.vault, engine.issuer, settings.brand)
        await alerts.evaluate(engine.database, traffic, letters, settings.alerts, now=now)

    return (
        Job("judge_surface", timedelta(seconds=30), judge),
        Job("probe_services", PROBED, probe),
        Job("evaluate_alerts", alerts.EVERY, evaluate),
    )
