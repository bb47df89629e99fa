"""The backchannel authentication endpoint (OpenID CIBA Core §7): a client asks for a person who is not in its browser.

The person sees the request under `/account/requests`; an event tells whoever sends news that it is there.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from kronborg.accounts.model import MAX_EMAIL
from kronborg.accounts.store import find_by_login, find_user
from kronborg.clients.model import Client
from kronborg.core import opaque
from kronborg.core.addresses import network_of
from kronborg.core.errors import TooMany
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.core.json import JsonObject, JsonValue
from kronborg.oauth.back_off import Gate
from kronborg.oauth.call import Call
from kronborg.oauth.ciba_errors import UnknownUser
from kronborg.oauth.ciba_request import Asked, read_request
from kronborg.oauth.client_auth import authenticate, require_grant
from kronborg.oauth.errors import InvalidScope
from kronborg.oauth.hints import read_hint
from kronborg.oauth.model import Particulars, Waiting
from kronborg.oauth.waiting import digest_of
from kronborg.oauth.waiting_store import add_waiting, count_like
from kronborg.tokens.audience import Grantable, check_named, choose, grantable, split_scope
from kronborg.tokens.engine import Engine

GRANT = "urn:openid:params:grant-type:ciba"
PAUSE = 5
MOST = 5
"""Requests of one client that may wait for the same person at a time: nobody is worn down by asking."""


async def authenticate_backchannel(engine: Engine, gate: Gate, call: Call) -> JsonObject:
    """An `auth_req_id` for a request that waits for its person. Raises `OAuthError`, `TooMany`."""
    client = await authenticate(engine, gate, call, confidential=True)
    require_grant(client, GRANT)
    asked = await read_request(engine, client, call)
    wanted = await _wanted(engine, client, asked, call)
    user_id = await _person(engine, client, asked, now=call.now)
    text = opaque.mint(opaque.BACKCHANNEL)
    waiting = _waiting(engine, client, asked, wanted, text, user_id, call)

    def unit(execute: Execute) -> None:
        if count_like(execute, waiting, now=call.now) >= MOST:
            raise TooMany("too many requests of this client wait for the same person", retry_after=timedelta(minutes=1))
        add_waiting(execute, waiting)
        detail = {"client_id": client.id, "request": waiting.reference, "scope": " ".join(wanted.scopes)}
        record_in(execute, "ciba.requested", actor=client.id, subject=user_id, now=call.now, detail=detail)

    await engine.database.writer.run(unit)
    # CIBA §7.3; a client that is sent the tokens has nothing to ask.
    answer: dict[str, JsonValue] = {"auth_req_id": text, "expires_in": int(asked.expiry.total_seconds())}
    if waiting.particulars.delivery != "push":
        answer["interval"] = PAUSE
    return answer


async def _wanted(engine: Engine, client: Client, asked: Asked, call: Call) -> Grantable:
    apis = await engine.directory.apis(now=call.now)
    scopes = () if asked.scope is None else split_scope(asked.scope)
    # CIBA §7.1: scope is required and holds openid.
    if "openid" not in scopes:
        raise InvalidScope("scope must hold openid")
    check_named(client, *asked.resources)
    wanted = grantable(client, apis, userinfo=engine.userinfo, scopes=scopes, resources=asked.resources)
    delivery = client.settings.backchannel_token_delivery_mode
    if delivery == "push":
        # There is no token request in which it could choose.
        choose(wanted, apis, userinfo=engine.userinfo, scope=None, resource=None)
    return wanted


async def _person(engine: Engine, client: Client, asked: Asked, *, now: datetime) -> str:
    """Whom the hint names. Raises `UnknownUser` for nobody, and for somebody disabled."""
    name, value = asked.hint
    if name == "id_token_hint":
        hint = await read_hint(engine, value, now=now)
        if hint is None or hint.client_id != client.id:
            raise UnknownUser
        async with engine.database.read() as session:
            user = await find_user(session, hint.user_id)
    else:
        login = value.strip()
        if len(login) > MAX_EMAIL or not login.isprintable():
            raise UnknownUser
        async with engine.database.read() as session:
            user = await find_by_login(session, login)
    if user is None or user.disabled:
        raise UnknownUser
    return user.id


def _waiting(
    engine: Engine, client: Client, asked: Asked, wanted: Grantable, text: str, user_id: str, call: Call
) -> Waiting:
    digest, delivery = digest_of(engine, "ciba", text), client.settings.backchannel_token_delivery_mode
    sealed_id = sealed_token = None
    if asked.notification_token is not None:
        sealed_id = engine.vault.seal(text.encode(), context=f"ciba:{digest.hex()}")
        sealed_token = engine.vault.seal(asked.notification_token.encode(), context=f"ciba:{digest.hex()}")
    return Waiting(
        digest=digest,
        kind="ciba",
        client_id=client.id,
        user_id=user_id,
        user_code=None,
        address=network_of(call.address),
        scopes=wanted.scopes,
        audiences=wanted.audiences,
        state="pending",
        pause=PAUSE,
        created_at=call.now,
        expires_at=call.now + asked.expiry,
        grant_id=None,
        particulars=Particulars(
            message=asked.message,
            acr_values=asked.acr_values,
            delivery=delivery,
            sealed_id=sealed_id,
            sealed_token=sealed_token,
        ),
    )
