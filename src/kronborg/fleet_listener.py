"""The control process towards the fleet: its listener over mutual TLS, and the report of the gateway beside it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from prometheus_client import Gauge
from starlette.types import ASGIApp

from kronborg.config import Settings
from kronborg.core import clock
from kronborg.core.log import get_logger
from kronborg.core.tls import ServerContext, TlsListener
from kronborg.fleet import nodes
from kronborg.fleet.authority import Authority, open_authority
from kronborg.fleet.door_api import Door, Records
from kronborg.fleet.link import write_private
from kronborg.fleet.model import Node
from kronborg.fleet.observe import EVERY_SECONDS, Measure, observe, unknown
from kronborg.fleet.remote import pause
from kronborg.fleet.store import list_nodes
from kronborg.gateway.deliver import Deliverer
from kronborg.gateway.follow import from_database
from kronborg.gateway.ledger import Ledger
from kronborg.gateway.model import Delivery
from kronborg.gateway.source import Source
from kronborg.gateway.store import record_delivery
from kronborg.gateway.watch import Watch
from kronborg.server import serve
from kronborg.tokens.engine import Engine
from kronborg.traffic.search_model import TrafficStore
from kronborg.traffic.uploaded import read_rows

log = get_logger("kronborg.fleet")

_LABELS = ("node",)
served_version = Gauge("kronborg_fleet_version", "Snapshot version that a gateway serves", _LABELS)
seen_seconds = Gauge("kronborg_fleet_seen_timestamp_seconds", "When a gateway was last heard of", _LABELS)
skew_seconds = Gauge("kronborg_fleet_clock_skew_seconds", "How far a gateway's clock is ahead of ours", _LABELS)
lag_seconds = Gauge("kronborg_fleet_revocation_lag_seconds", "How old the revocations of a gateway are", _LABELS)
ends_seconds = Gauge("kronborg_fleet_certificate_expiry_timestamp_seconds", "When its certificate ends", _LABELS)
rejected = Gauge("kronborg_fleet_rejected", "1 while a gateway refuses what was offered last", _LABELS)
connections = Gauge("kronborg_fleet_connections", "Open connections of callers to a gateway", _LABELS)
buffered = Gauge(
    "kronborg_fleet_unread_bytes", "Bytes of access records that the control plane has not got yet", _LABELS
)
_GAUGES = (served_version, seen_seconds, skew_seconds, lag_seconds, ends_seconds, rejected, connections, buffered)

_RENEW_BEFORE = timedelta(days=10)
_LOOK_SECONDS = 3600.0


async def serve_fleet(
    settings: Settings,
    engine: Engine,
    source: Source,
    inner: ASGIApp,
    secret: str,
    stop: asyncio.Event,
    records: Records | None = None,
) -> None:
    """Answer gateways on other machines until `stop` is set; nothing when the settings say of no listener."""
    fleet = settings.fleet
    if fleet is None:
        return
    database = engine.database
    authority = await open_authority(database, engine.vault, now=clock.now())
    context, ends = await asyncio.to_thread(_context, settings, authority)
    watch = Watch(source)

    async def deliver(said: Delivery, now: datetime) -> None:
        async with database.write() as session:
            await record_delivery(session, said, now=now)

    feed = from_database(database.lookup)
    door = Door(
        database, engine.vault, authority, watch, inner, secret, clock.now, records=records, feed=feed, deliver=deliver
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch.run(stop))
        tasks.create_task(_renew(settings, authority, context, ends, stop))
        await serve(door, host=fleet.host, port=fleet.port, stop=stop, tls=context.context)


def records_into(store: TrafficStore) -> Records:
    """Keeps what gateways elsewhere saw beside what ours saw."""

    async def records(node: str, body: bytes, now: datetime) -> None:
        rows = await asyncio.to_thread(read_rows, body, node, now=now)
        await asyncio.to_thread(store.write, rows)

    return records


def age_of(ledger: Ledger | None) -> int:
    """How many milliseconds old the news of a ledger is; -1 before the first."""
    beat = None if ledger is None else ledger.read_at
    return -1 if beat is None else max(0, int((clock.now() - beat).total_seconds() * 1000))


async def report_own(
    settings: Settings, engine: Engine, deliverer: Deliverer, stop: asyncio.Event, lag: Measure = unknown
) -> None:
    """Tell how the gateway of this machine is, and show the fleet in the metrics, until `stop` is set."""
    while not stop.is_set():
        try:
            now = clock.now()
            standing = await observe(deliverer, now=now, revocation_ms=lag)
            await nodes.report_local(engine.database, settings.gateway_name, standing, now=now)
            async with engine.database.read() as session:
                show(await list_nodes(session))
        except Exception:  # the edge of a process: the next turn tries again
            log.exception("standing_not_kept")
        await pause(stop, EVERY_SECONDS)


def show(fleet: Sequence[Node]) -> None:
    """The fleet as metrics; of a node that is gone nothing stays."""
    for gauge in _GAUGES:
        gauge.clear()
    for node in fleet:
        said = node.standing
        if said is None or node.seen_at is None:
            continue
        served_version.labels(node.name).set(said.version)
        seen_seconds.labels(node.name).set(node.seen_at.timestamp())
        skew_seconds.labels(node.name).set(node.skew.total_seconds())
        rejected.labels(node.name).set(said.took == "rejected")
        connections.labels(node.name).set(said.connections)
        buffered.labels(node.name).set(said.buffered)
        if said.revocation_ms >= 0:
            lag_seconds.labels(node.name).set(said.revocation_ms / 1000)
        if node.expires_at is not None:
            ends_seconds.labels(node.name).set(node.expires_at.timestamp())


def _context(settings: Settings, authority: Authority) -> tuple[ServerContext, datetime]:
    """The context of the listener; who has no certificate gets as far as `Door`, which lets him join at most."""
    assert settings.fleet is not None  # noqa: S101  # the caller has looked
    folder = settings.data / "fleet"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / "authority.pem", authority.pem)
    ends = _write_certificate(settings, authority)
    files = (str(folder / "server.pem"), str(folder / "server.key"))
    listener = TlsListener(settings.fleet.host, settings.fleet.port, *files)
    context = ServerContext(listener, authorities=str(folder / "authority.pem"), ask=True)
    context.context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context, ends


def _write_certificate(settings: Settings, authority: Authority) -> datetime:
    assert settings.fleet is not None  # noqa: S101  # the caller has looked
    issued, key = authority.serve(settings.fleet.url, now=clock.now())
    write_private(settings.data / "fleet" / "server.key", key)
    write_private(settings.data / "fleet" / "server.pem", issued.certificate)
    return issued.expires_at


async def _renew(
    settings: Settings, authority: Authority, context: ServerContext, ends: datetime, stop: asyncio.Event
) -> None:
    """Keep the listener's own certificate fresh."""
    renewed = partial(_write_certificate, settings, authority)
    while not stop.is_set():
        if ends - clock.now() < _RENEW_BEFORE:
            ends = await asyncio.to_thread(renewed)
            context.refresh()
        await pause(stop, _LOOK_SECONDS)
