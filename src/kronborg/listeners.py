"""The listeners of the identity process: plain HTTP for this machine, HTTPS, and HTTPS that asks for certificates."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

from starlette.types import ASGIApp

from kronborg.clients.keys_of import jwks_in
from kronborg.clients.store import read_self_signed
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.core.client_certificate import NO_MUTUAL_TLS, Authorities, MutualTls
from kronborg.core.forwarded import Forwarded
from kronborg.core.log import get_logger
from kronborg.core.tls import ServerContext, TlsListener
from kronborg.oauth.mtls import registered_certificates
from kronborg.server import serve
from kronborg.tokens.engine import Engine

log = get_logger("kronborg.tls")

EVERY = 5.0
"""Seconds until a renewed certificate of ours, or one that a client registered, is known."""


def mutual_tls_of(settings: Settings) -> MutualTls:
    """Where clients with certificates call, and who vouches for them."""
    mtls = settings.mtls
    if mtls is None:
        return NO_MUTUAL_TLS
    authorities = None if mtls.authorities is None else Authorities(Path(mtls.authorities).read_bytes())
    return MutualTls(mtls.url, authorities)


async def serve_all(
    app: ASGIApp, settings: Settings, engine: Engine, stop: asyncio.Event, own: socket.socket | None = None
) -> None:
    """Answer on every listener until `stop` is set; `own` as in `server.serve`."""
    share = settings.identity_workers > 1
    if settings.trusted_proxies:
        header = None if settings.mtls is None else settings.mtls.header
        app = Forwarded(app, settings.trusted_proxies, certificates=header)
    listeners = list(_tls_listeners(settings))
    # Without the published ones: nobody waits for other hosts before the first request is answered.
    await _update([context for _, context in listeners], engine, published=False)
    async with asyncio.TaskGroup() as tasks:
        for listener, context in listeners:
            tasks.create_task(
                serve(app, host=listener.host, port=listener.port, stop=stop, tls=context.context, share=share)
            )
        keeping = None
        if listeners:
            keeping = tasks.create_task(_keep([context for _, context in listeners], engine))
        here = settings.identity
        await serve(app, host=here.host, port=here.port, stop=stop, share=share, own=own)
        if keeping is not None:
            keeping.cancel()


def _tls_listeners(settings: Settings) -> Iterator[tuple[TlsListener, ServerContext]]:
    if settings.tls is not None:
        yield settings.tls, ServerContext(settings.tls)
    mtls = settings.mtls
    if mtls is not None and mtls.listener is not None:
        yield mtls.listener, ServerContext(mtls.listener, authorities=mtls.authorities, ask=True)


async def _keep(contexts: list[ServerContext], engine: Engine) -> None:
    """Keep the contexts up to date, for as long as they are used."""
    while True:
        try:
            await _update(contexts, engine, published=True)
        except Exception:
            # Whatever it was, connections are answered as before, and it is tried again.
            log.exception("certificates cannot be read")
        await asyncio.sleep(EVERY)


async def _update(contexts: list[ServerContext], engine: Engine, *, published: bool) -> None:
    """Take renewed certificates of ours, and those that clients registered meanwhile."""
    asking = [context for context in contexts if context.asks]
    certificates = await _registered(engine, published=published) if asking else []
    for context in asking:
        context.trust(certificates)
    for context in contexts:
        context.refresh()


async def _registered(engine: Engine, *, published: bool) -> list[bytes]:
    """Every self-signed certificate that a client registered, and with `published` those at a URL of theirs."""
    found: list[bytes] = []
    for jwks, uri in await read_self_signed(engine.database.lookup):
        if uri is not None and not published:
            continue
        found += registered_certificates(await jwks_in(engine.fetcher, jwks, uri, now=clock.now()))
    return found
