"""Back-channel logout (OpenID Connect Back-Channel Logout 1.0): clients are told by us when a session is over.

Who has to be told is stored when the session ended; the worker then tells them, again and again within bounds, and
the table keeps how it went. A notice is sent to the address that the client has registered at that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import urlencode

from kronborg.clients.model import Client
from kronborg.core.events import record_in
from kronborg.core.fetch import Unreachable
from kronborg.core.group_writer import Execute
from kronborg.core.ids import new_id, token_id
from kronborg.core.jose import BadKey
from kronborg.core.json import JsonObject, JsonValue
from kronborg.oauth import logout_store as store
from kronborg.oauth.logout_store import Logout
from kronborg.tokens.engine import Engine
from kronborg.tokens.sessions_store import clients_in_session, sessions_with_clients
from kronborg.tokens.signing import encrypt_to, sign
from kronborg.tokens.subjects import subject_for

LOGOUT_TYPE = "logout+jwt"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFETIME = timedelta(minutes=2)
BATCH = 50
AT_ONCE = 10
LEASE = timedelta(minutes=2)
KEEP = timedelta(days=30)
WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 20, 60, 300, 1800, 7200, 14400))
"""How long to wait after each failure; after the last one nothing more is tried."""

_FORM = "application/x-www-form-urlencoded"


async def announce_session(engine: Engine, session_id: str, *, user_id: str, now: datetime) -> int:
    """A session ended: note who has to be told; how many that are. Whoever was noted before is not noted again."""
    clients = await clients_in_session(engine.database.lookup, session_id)
    return await _announce(engine, [(session_id, client_id) for client_id in clients], user_id=user_id, now=now)


async def announce_user(engine: Engine, user_id: str, *, now: datetime) -> int:
    """A person is gone, and their sessions with them: note who has to be told."""
    pairs = await sessions_with_clients(engine.database.lookup, user_id)
    return await _announce(engine, pairs, user_id=user_id, now=now)


async def _announce(engine: Engine, pairs: Iterable[tuple[str, str]], *, user_id: str, now: datetime) -> int:
    wanted = []
    for session_id, client_id in pairs:
        client = await engine.directory.client(client_id, now=now)
        if client is not None and not client.disabled and client.settings.backchannel_logout_uri is not None:
            wanted.append((session_id, client_id))
    if not wanted:
        return 0

    def unit(execute: Execute) -> int:
        return sum(
            store.add_logout(execute, id=new_id(), client_id=client_id, session_id=session_id, user_id=user_id, now=now)
            for session_id, client_id in wanted
        )

    return await engine.database.writer.run(unit)


async def deliver(engine: Engine, *, now: datetime) -> int:
    """Send what is due, a bounded batch; how many notices were tried. Several workers never send the same one."""
    if not await store.is_due(engine.database.lookup, now=now):
        return 0
    due = await engine.database.writer.run(
        lambda execute: store.claim_logouts(execute, until=now + LEASE, limit=BATCH, now=now)
    )
    places = asyncio.Semaphore(AT_ONCE)

    async def one(logout: Logout) -> None:
        async with places:
            await _deliver(engine, logout, now=now)

    async with asyncio.TaskGroup() as tasks:
        for logout in due:
            tasks.create_task(one(logout))
    return len(due)


async def forget_old(engine: Engine, *, now: datetime) -> None:
    """Delete notices that were settled a month ago, a batch."""
    await engine.database.writer.run(lambda execute: store.purge_logouts(execute, before=now - KEEP, limit=1000))


async def logout_token(engine: Engine, client: Client, logout: Logout, *, now: datetime) -> str:
    """The logout token of one notice (Back-Channel Logout §2.4), signed as the client's ID tokens are."""
    claims: dict[str, JsonValue] = {
        "iss": engine.issuer,
        "aud": client.id,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
        "jti": token_id(),
        "sub": subject_for(engine.vault, client, logout.user_id),
        "sid": logout.session_id,
        "events": _EVENTS,
    }
    # Back-Channel Logout §2.4: no nonce, so that it can never be taken for an ID token; its own type besides.
    settings = client.settings
    text = await sign(engine, claims, typ=LOGOUT_TYPE, alg=settings.id_token_signed_response_alg, now=now)
    if settings.id_token_encrypted_response_alg is None:
        return text
    alg, enc = settings.id_token_encrypted_response_alg, settings.id_token_encrypted_response_enc
    return await encrypt_to(engine, client, text, alg=alg, enc=enc, now=now)


_EVENTS: JsonObject = {LOGOUT_EVENT: {}}


async def _deliver(engine: Engine, logout: Logout, *, now: datetime) -> None:
    client = await engine.directory.client(logout.client_id, now=now)
    uri = None if client is None or client.disabled else client.settings.backchannel_logout_uri
    if client is None or uri is None:
        await _settle(engine, logout, "failed", "not wanted any more", now=now)
        return
    try:
        token = await logout_token(engine, client, logout, now=now)
        answer = await engine.fetcher.post(uri, urlencode({"logout_token": token}).encode(), _FORM)
    except BadKey:
        await _again(engine, logout, "no key to encrypt to", now=now)
    except Unreachable:
        await _again(engine, logout, "unreachable", now=now)
    else:
        # Back-Channel Logout §2.8: 200 says done, and frameworks like to say 204; 400 that the token is not taken.
        if answer.status in (200, 204):
            await _settle(engine, logout, "delivered", str(answer.status), now=now)
        else:
            await _again(engine, logout, f"status {answer.status}", now=now)


async def _again(engine: Engine, logout: Logout, result: str, *, now: datetime) -> None:
    if logout.attempts > len(WAITS):
        await _settle(engine, logout, "failed", result, now=now)
        return
    until = now + WAITS[logout.attempts - 1]
    await engine.database.writer.run(
        lambda execute: store.postpone_logout(execute, logout.id, result=result, until=until)
    )


async def _settle(engine: Engine, logout: Logout, state: store.State, result: str, *, now: datetime) -> None:
    def unit(execute: Execute) -> None:
        if store.settle_logout(execute, logout.id, state=state, result=result, now=now) and state == "failed":
            detail: JsonObject = {"client_id": logout.client_id, "sid": logout.session_id, "result": result}
            record_in(execute, "logout.undelivered", actor="system", subject=logout.user_id, now=now, detail=detail)

    await engine.database.writer.run(unit)
