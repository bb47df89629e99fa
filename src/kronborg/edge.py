"""The edge process: what keeps a gateway on another machine up to date, without a database and without secrets.

It asks its control plane over mutual TLS for what to run and what was revoked, answers what the proxy beside it asks,
and tells how the gateway is. Every connection leads from here to there. While the control plane is away the proxy goes
on with what lies on this disk, and access records wait here.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import orjson
from prometheus_client import Gauge
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kronborg.config import Settings
from kronborg.core import clock
from kronborg.core.db import from_micros
from kronborg.core.errors import Refusal
from kronborg.core.health import metrics
from kronborg.core.log import get_logger
from kronborg.fleet.door_api import RELAYED, SECRET, TooLarge, answer, body_of, largest
from kronborg.fleet.link import FOLDER, Away, Link, Rejected, read_listeners, read_settings
from kronborg.fleet.observe import EVERY_SECONDS, observe
from kronborg.fleet.remote import RemoteSource, pause, revocations_over
from kronborg.fleet.report_model import encode
from kronborg.fleet.resilience import EVERY_SECONDS as ASK_SECONDS
from kronborg.fleet.resilience import Known
from kronborg.fleet_listener import age_of
from kronborg.gateway.breakers import Breakers
from kronborg.gateway.deliver import Deliverer, make_folder, prepare
from kronborg.gateway.envoy import admin
from kronborg.gateway.envoy.access_log import path_of
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.tls import shown_to_services
from kronborg.gateway.follow import follow, show, take_over
from kronborg.gateway.ledger import Ledger
from kronborg.gateway.listener_model import ACME_PATH
from kronborg.gateway.model import Snapshot
from kronborg.gateway.quota_answers import TELL, Answers, Tell
from kronborg.gateway.registration import Announcements
from kronborg.gateway.secret_files import from_folder, keep
from kronborg.gateway.watch import read_offer
from kronborg.server import serve
from kronborg.traffic.reader import LogReader
from kronborg.traffic.uploaded import RemoteRecords

log = get_logger("kronborg.edge")

connected = Gauge("kronborg_edge_connected", "1 while the control plane answers")
skew = Gauge("kronborg_edge_clock_skew_seconds", "How far our clock is ahead of the control plane's")
certificate_ends = Gauge("kronborg_edge_certificate_expiry_timestamp_seconds", "When the certificate ends")

GOOD = "good.json"
_RENEW_SECONDS = 600.0


def proxy_at(data: Path) -> Proxy:
    """The proxy of a joined gateway."""
    joined = read_settings(data)
    return Proxy(
        folder=data.absolute() / "gateway",
        name=joined.name,
        host=joined.host,
        port=joined.port,
        exchange_port=joined.control_port,
        listeners=read_listeners(data),
        challenges=True,
    )


async def first_files(data: Path) -> int:
    """Fetch what to run and write what Envoy starts from; the version. Raises `Away`, `Rejected`, `Refused`."""
    link = Link(data)
    try:
        told = await link.call("GET", "/config?have=", seconds=30)
    finally:
        await link.close()
    if told.status != 200:
        raise Rejected("the control plane does not say what to run")
    offer = read_offer(told.body)
    await prepare(offer.snapshot, offer.keys, proxy_at(data))
    return offer.snapshot.version


async def edge(settings: Settings, stop: asyncio.Event) -> None:
    """Keep the gateway in the data folder up to date until `stop` is set."""
    data = settings.data
    joined, link, proxy = read_settings(data), Link(data), proxy_at(data)
    secret = await asyncio.to_thread(make_folder, proxy)
    source = RemoteSource(link, data / "edge" / GOOD)
    deliverer = Deliverer(source, proxy, clock.now)

    async def send(rows: bytes) -> bool:
        try:
            return (await link.call("POST", "/records", rows)).status == 204
        except Away:
            return False

    records = RemoteRecords(send, asyncio.get_running_loop())
    reader = LogReader(path_of(proxy), joined.name, records, partial(admin.reopen_logs, proxy.admin))
    ledger = await take_over(proxy.ledger, stop)
    if ledger is None:
        return
    show(ledger, joined.name, clock=clock.now)
    try:
        async with asyncio.TaskGroup() as tasks:
            app = edge_app(link, secret, Answers(proxy.answers))
            tasks.create_task(serve(app, host="127.0.0.1", port=joined.control_port, stop=stop))
            tasks.create_task(source.run(stop))
            tasks.create_task(deliverer.run(stop))
            tasks.create_task(follow(ledger, revocations_over(link), clock=clock.now, stop=stop))
            tasks.create_task(_report(link, source, deliverer, reader, ledger, stop))
            tasks.create_task(_renew(link, stop))
            tasks.create_task(_keep_resilient(Known(link), deliverer, stop))
            tasks.create_task(reader.run(stop))
            own = from_folder(data / FOLDER / "certificates")
            tasks.create_task(keep(partial(_wanted, deliverer), own, proxy, clock=clock.now, stop=stop))
    finally:
        ledger.close()
        await link.close()


def edge_app(link: Link, secret: str, answers: Answers) -> ASGIApp:
    """What the proxy beside us asks, passed on to the control plane; health and metrics for the operator."""
    rest = Starlette(
        routes=[
            Route("/healthz", _fine),
            Route("/readyz", _fine),
            Route("/metrics", metrics),
        ]
    )
    known = secret.encode()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in RELAYED:
            await _relay(link, known, answers, scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith(ACME_PATH):
            await _relay_challenge(link, scope, send)
        else:
            await rest(scope, receive, send)

    return app


async def _relay(link: Link, secret: bytes, answers: Answers, scope: Scope, receive: Receive, send: Send) -> None:
    """One question of the proxy; 503 while the control plane is away, so that what is new waits and nothing passes."""
    shown = [value for name, value in scope["headers"] if name == SECRET]
    if scope["method"] != "POST" or len(shown) != 1 or not hmac.compare_digest(shown[0], secret):
        await answer(send, 403)
        return
    passed = tuple((n, v) for n, v in scope["headers"] if n == b"content-type" or _is_ours(n))
    try:
        body = await body_of(receive, largest(scope["path"]))
        told = await link.call("POST", scope["path"], body, headers=passed, seconds=5)
    except TooLarge:
        await answer(send, 413)
        return
    except Away:
        await answer(send, 503)
        return
    tell = Tell.parse(dict(scope["headers"]).get(TELL, b"").decode("latin-1"))
    if told.status == 200 and tell is not None and tell.by_file:
        # Nobody waits for this: the worker of the proxy that told of its quotas looks for it here.
        answers.leave(tell, told.body)
    back = [(name.lower(), value) for name, value in told.headers]
    # 403 says that the control plane does not know this gateway, not that the token is wrong.
    status = 503 if told.status == 403 else told.status
    await answer(send, status, told.body, *((n, v) for n, v in back if n == b"content-type" or _is_ours(n)))


async def _relay_challenge(link: Link, scope: Scope, send: Send) -> None:
    """What an ACME server asks: the proxy has looked at the path, and nothing else goes along."""
    if scope["method"] != "GET":
        await answer(send, 404)
        return
    try:
        told = await link.call("GET", scope["path"], seconds=3)
    except Away:
        await answer(send, 503)
        return
    found = told.status == 200
    await answer(send, 200 if found else 404, told.body if found else b"")


def _is_ours(name: bytes) -> bool:
    return name.startswith(b"x-kronborg-") and name != SECRET


async def _report(
    link: Link, source: RemoteSource, deliverer: Deliverer, reader: LogReader, ledger: Ledger, stop: asyncio.Event
) -> None:
    """Tell how the gateway is: every few seconds, and at once when it said something to a version."""
    while not stop.is_set():
        source.recorded.clear()
        now = clock.now()
        standing = await observe(deliverer, now=now, revocation_ms=partial(age_of, ledger), buffered=reader.unread)
        try:
            told = await link.call("POST", "/standing", orjson.dumps(encode(standing)))
            connected.set(told.status == 200)
            if told.status == 200:
                skew.set((now - from_micros(_at(told.body))).total_seconds())
            else:
                log.warning("standing_refused", status=told.status)
        except Away:
            connected.set(0)
        try:
            async with asyncio.timeout(EVERY_SECONDS):
                await source.recorded.wait()
        except TimeoutError:
            continue


async def _keep_resilient(known: Known, deliverer: Deliverer, stop: asyncio.Event) -> None:
    """Keep the breakers and the announced endpoints of this gateway."""

    def snapshot() -> Snapshot | None:
        return deliverer.snapshot

    async def ask() -> None:
        while not stop.is_set():
            try:
                await known.ask()
            except Away:
                log.debug("control_plane_away")
            except (ValueError, KeyError, TypeError):
                log.exception("resilience_unreadable")
            await pause(stop, ASK_SECONDS)

    breakers = Breakers(deliverer.proxy, snapshot, known.orders, known.tell, clock.now)
    announcements = Announcements(deliverer.proxy, snapshot, known.living, clock.now)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ask())
        tasks.create_task(breakers.run(stop))
        tasks.create_task(announcements.run(stop))


def _wanted(deliverer: Deliverer) -> Sequence[str]:
    """The certificates that the proxy shows to somebody, as far as is known."""
    shown = () if deliverer.snapshot is None else shown_to_services(deliverer.snapshot)
    listening = (name for one in deliverer.proxy.listening if one.tls for name in one.tls.certificates)
    return sorted({*shown, *listening})


async def _renew(link: Link, stop: asyncio.Event) -> None:
    """Get the next certificate long before this one ends."""
    while not stop.is_set():
        try:
            if await link.renew_when_due(now=clock.now()):
                log.info("certificate_renewed")
        except (Away, Refusal) as failure:
            log.warning("certificate_not_renewed", reason=str(failure))
        ends = link.expires_at()
        if ends is not None:
            certificate_ends.set(ends.timestamp())
        await pause(stop, _RENEW_SECONDS)


def _at(body: bytes) -> int:
    return int(orjson.loads(body)["at"])


async def _fine(_: Request) -> Response:
    return PlainTextResponse("ready\n")
