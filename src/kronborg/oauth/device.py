"""The device authorization endpoint (RFC 8628 §3.1): a device without a browser asks for a code to show its person."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

from kronborg.clients.model import Client
from kronborg.core import opaque
from kronborg.core.addresses import network_of
from kronborg.core.errors import TooMany
from kronborg.core.group_writer import Execute
from kronborg.core.json import JsonObject
from kronborg.oauth.back_off import Gate
from kronborg.oauth.call import Call
from kronborg.oauth.client_auth import authenticate, require_grant
from kronborg.oauth.device_code import new_user_code, shown
from kronborg.oauth.errors import InvalidRequest, InvalidScope
from kronborg.oauth.model import Particulars, Waiting
from kronborg.oauth.requests import header
from kronborg.oauth.waiting import digest_of
from kronborg.oauth.waiting_store import add_waiting, count_like, find_by_user_code
from kronborg.tokens.audience import Grantable, check_named, grantable, split_scope
from kronborg.tokens.engine import Engine

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
PAGE = "/device"
LIFETIME = timedelta(minutes=10)
PAUSE = 5
"""Seconds between two questions of the device (RFC 8628 §3.2)."""
MOST = 200
"""Requests of one client from one address that may wait at a time: a public client proves nothing."""
MAX_USER_AGENT = 300


async def authorize_device(engine: Engine, gate: Gate, call: Call) -> JsonObject:
    """A device code for the device and a user code for its person. Raises `OAuthError`, `TooMany`."""
    client = await authenticate(engine, gate, call)
    require_grant(client, GRANT)
    wanted = await asked_for(engine, client, call)
    text = opaque.mint(opaque.DEVICE)
    waiting = Waiting(
        digest=digest_of(engine, "device", text),
        kind="device",
        client_id=client.id,
        user_id=None,
        user_code=None,
        address=network_of(call.address),
        scopes=wanted.scopes,
        audiences=wanted.audiences,
        state="pending",
        pause=PAUSE,
        created_at=call.now,
        expires_at=call.now + LIFETIME,
        grant_id=None,
        particulars=Particulars(user_agent=_agent(call), address=call.address[:64]),
    )

    def unit(execute: Execute) -> str:
        if count_like(execute, waiting, now=call.now) >= MOST:
            raise TooMany("too many devices of this client wait at this address", retry_after=timedelta(minutes=1))
        for _ in range(5):
            code = new_user_code()
            if add_waiting(execute, replace(waiting, user_code=code_digest(engine, code))):
                return code
        raise RuntimeError("five user codes in a row were in use")

    code = shown(await engine.database.writer.run(unit))
    page = f"{engine.issuer}{PAGE}"
    # RFC 8628 §3.2.
    return {
        "device_code": text,
        "user_code": code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?{urlencode({'user_code': code})}",
        "expires_in": int(LIFETIME.total_seconds()),
        "interval": PAUSE,
    }


async def asked_for(engine: Engine, client: Client, call: Call) -> Grantable:
    """The scopes and audiences of a request without a browser. Raises `InvalidScope`, `InvalidTarget`."""
    if "audience" in call.form.several:
        raise InvalidRequest("a parameter stands twice")
    scope, resource = call.form.get("scope"), call.form.get("resource")
    resources = call.form.several.get("resource", () if resource is None else (resource,))
    check_named(client, *resources)
    apis = await engine.directory.apis(now=call.now)
    scopes = () if scope is None else split_scope(scope)
    granted = grantable(client, apis, userinfo=engine.userinfo, scopes=scopes, resources=resources)
    if not granted.scopes:
        raise InvalidScope("there is no scope that the client could be given")
    return granted


async def by_user_code(engine: Engine, code: str, *, now: datetime) -> Waiting | None:
    """The request that shows this code on its device and waits for an answer."""
    return await find_by_user_code(engine.database.lookup, code_digest(engine, code), now=now)


def code_digest(engine: Engine, code: str) -> bytes:
    """What is stored of a user code: keyed, so that the table alone does not give it away."""
    return engine.vault.digest(code, context="user-code")


def _agent(call: Call) -> str:
    """The device's User-Agent, as far as it can be shown."""
    sent = (header(call.headers, b"user-agent") or b"").decode("ascii", errors="ignore")
    return "".join(letter for letter in sent if letter.isprintable())[:MAX_USER_AGENT]
