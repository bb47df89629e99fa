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
    contexts = [context for _, context in listeners]
    await _trust(contexts, engine, published=False)
    async with asyncio.TaskGroup() as tasks:
        for listener, context in listeners:
            tasks.create_task(
                serve(app, host=listener.host, port=listener.port, stop=stop, tls=context.context, share=share)
            )
        keeping = None
        if contexts:
            keeping = tasks.create_task(_keep(contexts, engine))
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
    """Keep the contexts up to date, for as long as they are used. What goes wrong is tried again."""
    while True:
        # Our own first: they must not wait for the hosts of others.
        for context in contexts:
            try:
                context.refresh()
            except OSError:
                log.exception("certificate_not_renewed")
        try:
            await _trust(contexts, engine, published=True)
        except Exception:  # the edge of a process: connections are answered as before
            log.exception("client_certificates_not_read")
        await asyncio.sleep(EVERY)


async def _trust(contexts: list[ServerContext], engine: Engine, *, published: bool) -> None:
    """Let the certificates through that clients registered meanwhile."""
    asking = [context for context in contexts if context.asks]
    if asking:
        certificates = await _registered(engine, published=published)
        for context in asking:
            context.trust(certificates)


async def _registered(engine: Engine, *, published: bool) -> list[bytes]:
    """Every self-signed certificate that a client registered, and with `published` those at a URL of theirs."""
    now = clock.now()
    known = [one for one in await read_self_signed(engine.database.lookup) if published or one[1] is None]
    # Side by side, as many as the fetcher allows: one slow host does not hold up the next.
    sets = await asyncio.gather(*(jwks_in(engine.fetcher, jwks, uri, now=now) for jwks, uri in known))
    return [certificate for jwks in sets for certificate in registered_certificates(jwks)]
