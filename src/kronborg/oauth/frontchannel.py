"""Front-channel logout (OpenID Connect Front-Channel Logout 1.0): hidden frames of the browser tell the clients."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from kronborg.core.html import redirect_source
from kronborg.oauth.redirects import with_answer
from kronborg.tokens.engine import Engine
from kronborg.tokens.sessions_store import clients_in_session

MAX_FRAMES = 20
WAIT = 3
"""Seconds that the page stays, so that the frames load; whether they did is not known, and not waited for."""


@dataclass(frozen=True, slots=True)
class SignedOutPage:
    """What `oauth/signed_out.html` shows: frames to load, and where to go on."""

    frames: tuple[str, ...]
    onward: str
    client_name: str | None


async def frames(engine: Engine, session_id: str, *, now: datetime) -> tuple[str, ...]:
    """What a browser loads when this session is over: the address of each client of the session that wants it."""
    found = []
    for client_id in await clients_in_session(engine.database.lookup, session_id):
        client = await engine.directory.client(client_id, now=now)
        uri = None if client is None or client.disabled else client.settings.frontchannel_logout_uri
        if uri is not None:
            # Front-Channel Logout §3: iss and sid, always both, so that nobody else can sign a session out by a link.
            found.append(with_answer(uri, {"iss": engine.issuer, "sid": session_id}))
    return tuple(found[:MAX_FRAMES])


def sources(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """The source expressions of these frames, for the content security policy: their origins and nobody else's."""
    return tuple(dict.fromkeys(source for uri in addresses if urlsplit(uri).netloc for source in redirect_source(uri)))
