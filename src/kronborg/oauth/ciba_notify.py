"""Tell clients what became of their backchannel requests: that there is an answer (CIBA §10.2), or the answer (§10.3).

The worker asks for what is due every few seconds. A request is claimed before it is told, so that of several workers
one calls; what fails is tried again, later each time, until the request is forgotten. Every try of a push sends the
same refresh token: it is derived from the request, not drawn.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

import orjson

from kronborg.clients.model import Client
from kronborg.core import opaque
from kronborg.core.base64url import b64
from kronborg.core.fetch import Unreachable
from kronborg.core.group_writer import Execute
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.log import get_logger
from kronborg.oauth.call import Call
from kronborg.oauth.model import Waiting
from kronborg.oauth.requests import Form
from kronborg.oauth.waiting import granted, order_for
from kronborg.oauth.waiting_errors import Denied, ExpiredToken
from kronborg.oauth.waiting_store import anybody_untold, claim_untold, redeem_waiting, tell_again
from kronborg.tokens import refresh
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import OAuthError
from kronborg.tokens.id_token import DEFAULT_ALG, id_token, left_half
from kronborg.tokens.issue import fill

log = get_logger("kronborg.ciba")

BATCH = 50
AT_ONCE = 10
LEASE = timedelta(minutes=2)
WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 10, 20, 40, 60, 120, 300))
"""How long to wait after each failure; after the last one the client is not told."""
_REQUEST_CLAIM = "urn:openid:params:jwt:claim:auth_req_id"
_REFRESH_CLAIM = "urn:openid:params:jwt:claim:rt_hash"


class _Failed(Exception):
    """The client was not told; `for_good` when asking again is no use."""

    def __init__(self, *, for_good: bool) -> None:
        super().__init__()
        self.for_good = for_good


async def deliver(engine: Engine, *, now: datetime) -> int:
    """Tell clients what is due, a bounded batch; how many were tried."""
    if not await anybody_untold(engine.database.lookup, now=now):
        return 0
    due = await engine.database.writer.run(
        lambda execute: claim_untold(execute, until=now + LEASE, limit=BATCH, now=now)
    )
    places = asyncio.Semaphore(AT_ONCE)

    async def one(waiting: Waiting, tries: int) -> None:
        async with places:
            await _settle(engine, waiting, tries, now=now)

    async with asyncio.TaskGroup() as tasks:
        for waiting, tries in due:
            tasks.create_task(one(waiting, tries))
    return len(due)


async def _settle(engine: Engine, waiting: Waiting, tries: int, *, now: datetime) -> None:
    """Tell one client, and note when to try again."""
    again: datetime | None = None
    told = False
    try:
        client = await engine.directory.client(waiting.client_id, now=now)
        if client is not None and not client.disabled:
            await _tell(engine, client, waiting, now=now)
            told = True
    except _Failed as failure:
        if not failure.for_good and tries <= len(WAITS):
            again = now + WAITS[tries - 1]
        log.warning("ciba_not_told", client_id=waiting.client_id, attempt=tries, given_up=again is None)

    def unit(execute: Execute) -> None:
        if told and waiting.particulars.delivery == "push" and waiting.state == "allowed":
            redeem_waiting(execute, waiting.digest)
        tell_again(execute, waiting.digest, at=again)

    await engine.database.writer.run(unit)


async def _tell(engine: Engine, client: Client, waiting: Waiting, *, now: datetime) -> None:
    """Call the client. Raises `_Failed`."""
    particulars, context = waiting.particulars, f"ciba:{waiting.digest.hex()}"
    endpoint = client.settings.backchannel_client_notification_endpoint
    if endpoint is None or particulars.sealed_id is None or particulars.sealed_token is None:
        raise _Failed(for_good=True)
    auth_req_id = engine.vault.open(particulars.sealed_id, context=context).decode()
    token = engine.vault.open(particulars.sealed_token, context=context).decode()
    # CIBA §10.2: a ping says for which request there is an answer, and not which.
    body: Mapping[str, JsonValue] = {"auth_req_id": auth_req_id}
    if particulars.delivery == "push":
        body = {"auth_req_id": auth_req_id, **await _answer(engine, client, waiting, auth_req_id, now=now)}
    try:
        # CIBA §10.2, §10.3.1: the client's own token proves the caller.
        answer = await engine.fetcher.post(
            endpoint, orjson.dumps(body), "application/json", {"authorization": f"Bearer {token}"}
        )
    except Unreachable:
        raise _Failed(for_good=False) from None
    # CIBA §10.2: 204 is expected, 200 accepted. A client that says no will not say yes to the same again.
    if answer.status not in (200, 204):
        raise _Failed(for_good=400 <= answer.status < 500 and answer.status not in (408, 425, 429))


async def _answer(
    engine: Engine, client: Client, waiting: Waiting, auth_req_id: str, *, now: datetime
) -> Mapping[str, JsonValue]:
    """What a client is pushed: its tokens (CIBA §10.3.1), or why there are none (§12)."""
    try:
        if waiting.state == "denied":
            raise Denied
        if waiting.state != "allowed":
            raise ExpiredToken
        return await _tokens(engine, client, waiting, auth_req_id, now=now)
    except (Denied, ExpiredToken) as refusal:
        return {"error": refusal.error, "error_description": refusal.detail}
    except OAuthError as refusal:
        # CIBA §12: it was allowed, and does not stand any more.
        return {"error": "transaction_failed", "error_description": refusal.detail}


async def _tokens(
    engine: Engine, client: Client, waiting: Waiting, auth_req_id: str, *, now: datetime
) -> Mapping[str, JsonValue]:
    grant, person = await granted(engine, waiting, now=now)
    order = await order_for(engine, client, grant, person, Call(Form({}), (), "", now))
    text = _refresh_token(engine, auth_req_id) if "refresh_token" in client.grants else None
    stored = None if text is None else await refresh.find(engine, text)

    def unit(execute: Execute) -> None:
        order.store(execute)
        if text is not None and stored is None:
            refresh.add(engine, execute, text, grant, now=now)

    await engine.database.writer.run(unit)
    tokens = await fill(engine, order, now=now)
    answer: dict[str, JsonValue] = {
        "access_token": tokens.access_token,
        "token_type": tokens.token_type,
        "expires_in": tokens.expires_in,
        "scope": tokens.scope,
        "id_token": await id_token(
            engine,
            client,
            grant,
            now=now,
            access_token=tokens.access_token,
            claims=_bound_to(client, auth_req_id, text),
        ),
    }
    if text is not None:
        answer["refresh_token"] = text
    return answer


def _bound_to(client: Client, auth_req_id: str, refresh_token: str | None) -> JsonObject:
    """CIBA §10.3.1: the ID token holds the request, and the hash of the refresh token that is sent with it."""
    claims: dict[str, JsonValue] = {_REQUEST_CLAIM: auth_req_id}
    if refresh_token is not None:
        claims[_REFRESH_CLAIM] = left_half(refresh_token, client.settings.id_token_signed_response_alg or DEFAULT_ALG)
    return claims


def _refresh_token(engine: Engine, auth_req_id: str) -> str:
    key = engine.vault.digest(auth_req_id, context="ciba-push-refresh")
    return opaque.assemble(opaque.REFRESH, b64(hmac.digest(key, auth_req_id.encode(), hashlib.sha256)))
