"""The control process: delivers what is published to the proxy, and trades reference tokens for it.

The gateway does not depend on it from moment to moment. While it is away, JWTs and reference tokens seen in
the last minute pass as before; only what is new waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from prometheus_client import Gauge
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from kronborg.api_keys.exchange import Uses, exchange_key
from kronborg.certificates.challenge_api import PREFIX, ChallengeApp
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.core.health import health_routes
from kronborg.core.log import get_logger
from kronborg.fleet_listener import age_of, records_into, report_own, serve_fleet
from kronborg.gateway.binding import PATH as BINDING_PATH
from kronborg.gateway.binding import BindingApp, by_engine
from kronborg.gateway.canary import from_engine, watch
from kronborg.gateway.certificate_endpoint import PATH as CERTIFICATE_PATH
from kronborg.gateway.certificate_endpoint import CertificateApp
from kronborg.gateway.deliver import Deliverer, Refused, make_folder, prepare
from kronborg.gateway.documents_fetch import keep_documents
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.tls import needed
from kronborg.gateway.exchange import ExchangeApp, Phantom, ShownKey
from kronborg.gateway.follow import follow_apart, show, take_over
from kronborg.gateway.guard_endpoint import GuardApp, PublishedRules
from kronborg.gateway.guard_model import PATH as GUARD_PATH
from kronborg.gateway.listener_names import note_listeners
from kronborg.gateway.model import Snapshot
from kronborg.gateway.publish import hosts_of
from kronborg.gateway.quota_answers import Answers
from kronborg.gateway.quota_endpoint import PATH as QUOTA_PATH
from kronborg.gateway.quota_endpoint import PublishedQuotas, quota_app
from kronborg.gateway.resilience import keep_resilient
from kronborg.gateway.secret_files import from_database, keep, refresh
from kronborg.gateway.source import DatabaseSource, Keys
from kronborg.gateway.store import last_acked, latest_published
from kronborg.gateway.token_issuers import keep_fresh
from kronborg.gateway.token_issuers_store import fetched_keys
from kronborg.limits.keeper import Keeper
from kronborg.opening import engine_for
from kronborg.server import serve
from kronborg.tokens.engine import Engine
from kronborg.tokens.exchange import exchange
from kronborg.traffic.follow import follow_traffic
from kronborg.traffic.opened import open_traffic
from kronborg.traffic.search_model import Keeping

log = get_logger("kronborg.control")

delivered_version = Gauge("kronborg_gateway_version", "Snapshot version last delivered", ("proxy", "status"))


def proxy_of(settings: Settings) -> Proxy:
    """The proxy of this installation."""
    return Proxy(
        folder=settings.data.absolute() / "gateway",
        name=settings.gateway_name,
        host=_numeric(settings.gateway.host),
        port=settings.gateway.port,
        exchange_host=_numeric(settings.control.host),
        exchange_port=settings.control.port,
        revocation=settings.revocation,
        tracing=settings.tracing,
        metrics=settings.metrics,
        legacy_limit_headers=settings.quotas.legacy_headers,
        listeners=tuple(replace(one, host=_numeric(one.host)) for one in settings.listeners),
        challenges=settings.acme is not None,
    )


async def prepare_files(settings: Settings) -> None:
    """Write what Envoy starts from: the current keys, and the last published snapshot, or if it would not take that
    one the last it took, or a closed gateway. Raises `Refused` when it takes none of them.
    """
    database = await Database.open(settings.database_url)
    try:
        engine = await engine_for(settings, database, now=clock.now())
        proxy, keys = proxy_of(settings), _keys(engine)
        shown = from_database(database, engine.vault)
        async with database.read() as session:
            known = (await latest_published(session), await last_acked(session, proxy.name))
            others = await fetched_keys(session)
        for published in known:
            if published is None:
                continue
            try:
                snapshot = source_of(settings, database, keys, proxy).completed(published.snapshot, others)
                await refresh(needed(snapshot, proxy), shown, proxy, now=clock.now())
                return await prepare(snapshot, await keys(), proxy)
            except Refused as refused:
                log.warning("refused_at_start", version=published.snapshot.version, reason=str(refused))
        await refresh(needed(_empty(settings), proxy), shown, proxy, now=clock.now())
        await prepare(source_of(settings, database, keys, proxy).completed(_empty(settings), {}), await keys(), proxy)
    finally:
        await database.close()


def source_of(settings: Settings, database: Database, keys: Keys, proxy: Proxy) -> DatabaseSource:
    """Where the proxy of this installation hears what it should run."""
    return DatabaseSource(
        database,
        keys,
        _empty(settings),
        proxy.name,
        settings.revocation,
        addresses=settings.addresses,
        trusted_proxies=settings.gateway_proxies,
        certificate_header=settings.gateway_certificate_header,
        bots=settings.bots,
        legacy_headers=settings.quotas.legacy_headers,
    )


async def control(settings: Settings, stop: asyncio.Event) -> None:
    """Deliver and exchange until `stop` is set; health and metrics on the same loopback port."""
    database = await Database.open(settings.database_url)
    try:
        engine = await engine_for(settings, database, now=clock.now())
        proxy = proxy_of(settings)
        secret = await asyncio.to_thread(make_folder, proxy)
        source = source_of(settings, database, _keys(engine), proxy)
        deliverer = Deliverer(source, proxy, clock.now)
        traffic = open_traffic(settings.traffic.store, settings.database_url, settings.data.absolute())
        ledger = await take_over(proxy.ledger, stop)
        show(ledger, proxy.name, clock=clock.now)
        uses = Uses()
        keeper = Keeper(database, settings.quotas, PublishedQuotas(database, clock.now), node=proxy.name)
        await keeper.start(now=clock.now())
        async with database.write() as session:
            await note_listeners(session, [one.name for one in settings.listeners], now=clock.now())
        app = control_app(engine, secret, uses, keeper, Answers(proxy.answers), settings.gateway_url)
        delivered_version.labels(proxy.name, "acked").set_function(lambda: _version(deliverer, "acked"))
        delivered_version.labels(proxy.name, "rejected").set_function(lambda: _version(deliverer, "rejected"))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(app, host=settings.control.host, port=settings.control.port, stop=stop))
            tasks.create_task(deliverer.run(stop))
            tasks.create_task(keep_resilient(database, proxy, lambda: deliverer.snapshot, clock=clock.now, stop=stop))
            tasks.create_task(keeper.run(stop, clock.now))
            tasks.create_task(uses.run(database, stop))
            tasks.create_task(keep_documents(database, engine.fetcher, stop, clock=clock.now))
            tasks.create_task(keep_fresh(database, engine.fetcher, stop, clock=clock.now))
            tasks.create_task(report_own(settings, engine, deliverer, stop, partial(age_of, ledger)))
            tasks.create_task(serve_fleet(settings, engine, source, app, secret, stop, records_into(traffic)))
            tasks.create_task(follow_traffic(proxy, traffic, keeping_of(settings), clock=clock.now, stop=stop))
            certificates = from_database(database, engine.vault)
            wanted = partial(_wanted, deliverer, _empty(settings))
            tasks.create_task(keep(wanted, certificates, proxy, clock=clock.now, stop=stop))
            breed = from_engine(engine, clock.now)
            tasks.create_task(watch(database, breed, proxy, clock=clock.now, stop=stop))
            tasks.create_task(follow_apart(ledger, settings.database_url, clock=clock.now, stop=stop))
        ledger.close()
    finally:
        await database.close()


def keeping_of(settings: Settings) -> Keeping:
    """How long records of the traffic are kept here."""
    told = settings.traffic
    return Keeping(records=told.keep, rollups=told.keep_counts, most_bytes=told.most)


def control_app(engine: Engine, secret: str, uses: Uses, keeper: Keeper, answers: Answers, gateway_url: str) -> ASGIApp:
    """`/exchange` and what else Envoy asks for the proxy; `/healthz`, `/readyz` and `/metrics` for the operator."""

    async def phantom(token: str, now: datetime) -> Phantom | None:
        internal = await exchange(engine, token, now=now)
        return None if internal is None else Phantom(internal.token, internal.expires_at - now)

    async def by_key(shown: ShownKey, now: datetime) -> Phantom | None:
        found = await exchange_key(engine, uses, shown.text, audience=shown.audience, address=shown.address, now=now)
        return None if found is None else Phantom(found[0].token, found[0].expires_at - now, bound=found[1])

    trade = ExchangeApp(phantom, by_key, secret=secret, clock=clock.now)
    quotas = quota_app(keeper.authority, answers, secret=secret, clock=clock.now)
    guard = GuardApp(PublishedRules(engine.database, clock.now), secret=secret)
    binding = BindingApp(by_engine(engine, gateway_url), secret=secret, clock=clock.now)
    certificates = CertificateApp(secret=secret)
    challenges = ChallengeApp(engine.database, clock.now)
    rest = Starlette(routes=health_routes(engine.database))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        chosen: ASGIApp = rest
        if scope["type"] == "http":
            known: dict[str, ASGIApp] = {"/exchange": trade, BINDING_PATH: binding}
            known |= {QUOTA_PATH: quotas, GUARD_PATH: guard, CERTIFICATE_PATH: certificates}
            chosen = challenges if scope["path"].startswith(PREFIX) else known.get(scope["path"], rest)
        await chosen(scope, receive, send)

    return app


def _keys(engine: Engine) -> Keys:
    async def keys() -> str:
        return (await engine.keys.current(now=clock.now())).signing_jwks.decode()

    return keys


def _empty(settings: Settings) -> Snapshot:
    """Before anything is published nothing is open."""
    return Snapshot(issuer=settings.issuer, hosts=hosts_of(settings.gateway_url), url=settings.gateway_url)


def _wanted(deliverer: Deliverer, empty: Snapshot) -> Sequence[str]:
    """The certificates that the proxy shows to somebody."""
    return needed(deliverer.snapshot or empty, deliverer.proxy)


def _version(deliverer: Deliverer, status: str) -> float:
    said = deliverer.current
    return said.version if said is not None and said.status == status else 0


def _numeric(host: str) -> str:
    """Envoy binds addresses, not names; the one name that settings allow for this machine is `localhost`."""
    return "127.0.0.1" if host == "localhost" else (urlsplit(f"//{host}").hostname or host)
