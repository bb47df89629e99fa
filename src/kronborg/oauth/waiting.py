"""Requests that wait for their person on another device: answered by the person, collected once by the client.

What the device flow (RFC 8628) and CIBA have in common. A request is a row; the client asks for it at the token
endpoint until somebody answered, too often is answered with a longer pause, and of racing collectors one wins.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from kronborg.clients.model import Client
from kronborg.core import opaque
from kronborg.core.errors import Refusal
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.core.ids import new_id
from kronborg.oauth.acr import satisfied, wanted_of
from kronborg.oauth.call import Call
from kronborg.oauth.confirmation import bound
from kronborg.oauth.errors import InvalidGrant
from kronborg.oauth.model import Consent, Waiting, WaitingKind
from kronborg.oauth.store import keep_consent
from kronborg.oauth.waiting_errors import AuthorizationPending, Denied, ExpiredToken, SlowDown
from kronborg.oauth.waiting_store import (
    answer_waiting,
    asked_too_soon,
    clean_waiting,
    find_waiting,
    redeem_waiting,
)
from kronborg.sessions.model import Visit
from kronborg.tokens import refresh, store
from kronborg.tokens.audience import Grantable, choose, still_grantable
from kronborg.tokens.codes import add_granted
from kronborg.tokens.ending import end_grant
from kronborg.tokens.engine import Engine
from kronborg.tokens.grant_details import grant_end
from kronborg.tokens.issue import Order, TokenSet, fill, order_for_grant
from kronborg.tokens.live import person_behind
from kronborg.tokens.model import Grant, GrantDetails, Subject

KEPT = timedelta(minutes=10)
"""An expired request is remembered for so long, to tell its client that it came too late."""
PREFIXES: dict[WaitingKind, opaque.Kind] = {"device": opaque.DEVICE, "ciba": opaque.BACKCHANNEL}
_UNKNOWN = "the request is unknown, or was made by another client"


class Answered(Refusal):
    """The request does not wait any more: it was answered, or its time is over."""


def digest_of(engine: Engine, kind: WaitingKind, text: str) -> bytes:
    """What is stored of the credential that a client collects with."""
    return engine.vault.digest(text, context=f"waiting-{kind}")


async def allow(engine: Engine, client: Client, waiting: Waiting, here: Visit, *, now: datetime) -> None:
    """The person says yes: one grant, and for an app of somebody else the consent. Raises `Answered`."""
    details = _details(client, waiting, here)
    grant = Grant(
        id=new_id(),
        client_id=client.id,
        user_id=here.user_id,
        session_id=here.session_id,
        scopes=waiting.scopes,
        audiences=waiting.audiences,
        auth_time=here.auth_time,
        amr=here.amr,
        created_at=now,
        expires_at=grant_end(details, now=now),
        revoked_at=None,
        details=details,
    )

    def unit(execute: Execute) -> None:
        if not answer_waiting(execute, waiting.digest, allowed=True, user_id=here.user_id, grant_id=grant.id, now=now):
            raise Answered("the request was answered already, or its time is over")
        add_granted(execute, grant, None, now=now)
        if not client.first_party:
            _remember(execute, client, waiting, here, now)
        _tell(execute, waiting, here.user_id, "allowed", now)

    await engine.database.writer.run(unit)


async def deny(engine: Engine, waiting: Waiting, here: Visit, *, now: datetime) -> None:
    """The person says no. Raises `Answered`."""

    def unit(execute: Execute) -> None:
        if not answer_waiting(execute, waiting.digest, allowed=False, user_id=here.user_id, grant_id=None, now=now):
            raise Answered("the request was answered already, or its time is over")
        _tell(execute, waiting, here.user_id, "denied", now)

    await engine.database.writer.run(unit)


async def collect(engine: Engine, client: Client, kind: WaitingKind, text: str, call: Call) -> TokenSet:
    """The tokens of a request that was allowed, once. Raises what the person's silence or answer calls for."""
    now = call.now
    waiting = None
    if opaque.well_formed(text, PREFIXES[kind]):
        waiting = await find_waiting(engine.database.lookup, digest_of(engine, kind, text), kind)
    # RFC 8628 §3.4, CIBA §11: issued to this very client.
    if waiting is None or waiting.client_id != client.id:
        raise InvalidGrant(_UNKNOWN)
    if waiting.state == "used":
        await engine.database.writer.run(lambda execute: _replayed(execute, waiting, now))
    if waiting.expires_at <= now:
        raise ExpiredToken
    if waiting.state == "pending":
        await engine.database.writer.run(lambda execute: _not_yet(execute, waiting, now))
    if waiting.state == "denied":
        raise Denied
    grant, person = await granted(engine, waiting, now=now)
    order = await order_for(engine, client, grant, person, call)
    grant = replace(grant, details=bound(client, call, grant.details))
    return await hand_out(engine, waiting, grant, person, order, with_refresh="refresh_token" in client.grants, now=now)


async def granted(engine: Engine, waiting: Waiting, *, now: datetime) -> tuple[Grant, Subject]:
    """The grant of an allowed request, and its person, if both still stand. Raises `InvalidGrant`."""
    grant = await store.find_grant(engine.database.lookup, waiting.grant_id or "")
    person = None if grant is None else await person_behind(engine, grant, now=now)
    if grant is None or person is None:
        raise InvalidGrant("the grant does not stand any more")
    return grant, person


async def order_for(engine: Engine, client: Client, grant: Grant, person: Subject, call: Call) -> Order:
    """The access token of a grant, for the resource that is asked for. Raises `InvalidScope`, `InvalidTarget`."""
    apis = await engine.directory.apis(now=call.now)
    whole = still_grantable(client, apis, Grantable(grant.scopes, grant.audiences), userinfo=engine.userinfo)
    target = choose(whole, apis, userinfo=engine.userinfo, scope=None, resource=call.form.get("resource"))
    return order_for_grant(engine, grant, person, target, now=call.now, claims=call.confirmed.cnf)


async def hand_out(
    engine: Engine, waiting: Waiting, grant: Grant, person: Subject, order: Order, *, with_refresh: bool, now: datetime
) -> TokenSet:
    """Spend the request and mint its tokens. Raises `InvalidGrant` when it was spent before."""
    text = opaque.mint(opaque.REFRESH) if with_refresh else None

    def unit(execute: Execute) -> None:
        if not redeem_waiting(execute, waiting.digest):
            _replayed(execute, waiting, now)
        if grant.details.jkt is not None or grant.details.x5t is not None:
            store.set_details(execute, grant)
        order.store(execute)
        if text is not None:
            refresh.add(engine, execute, text, grant, now=now)

    await engine.database.writer.run(unit)
    identity = (grant, person) if "openid" in grant.scopes else None
    return await fill(engine, order, now=now, refresh_token=text, identity=identity)


async def clean(engine: Engine, *, now: datetime) -> int:
    """Forget requests whose time is long over, at most a batch; how many. For the worker."""
    return await engine.database.writer.run(lambda execute: clean_waiting(execute, before=now - KEPT))


def _details(client: Client, waiting: Waiting, here: Visit) -> GrantDetails:
    """How strongly the person signed in, if the client asked (CIBA §7.1 `acr_values`); how long it may refresh."""
    values, settings = waiting.particulars.acr_values, client.settings
    acr = satisfied(wanted_of(values), here.amr) if values else None
    return GrantDetails(acr, lifetime=settings.refresh_token_lifetime, idle=settings.refresh_token_idle)


def _not_yet(execute: Execute, waiting: Waiting, now: datetime) -> None:
    # RFC 8628 §3.5: the pause grows by five seconds for this and every later question.
    if asked_too_soon(execute, waiting.digest, now=now):
        raise SlowDown
    raise AuthorizationPending


def _replayed(execute: Execute, waiting: Waiting, now: datetime) -> None:
    """A second collection suggests a stolen credential: as with a code (RFC 6749 §4.1.2), its tokens go too."""
    if waiting.grant_id is not None:
        client_id = waiting.client_id
        end_grant(execute, waiting.grant_id, actor="system", reason="code_replayed", now=now, client_id=client_id)
    raise InvalidGrant("the tokens of this request were already collected")


def _remember(execute: Execute, client: Client, waiting: Waiting, here: Visit, now: datetime) -> None:
    scopes, audiences = frozenset(waiting.scopes), frozenset(waiting.audiences)
    keep_consent(execute, Consent(here.user_id, client.id, scopes, audiences, now, now))
    detail = {"client_id": client.id, "scopes": sorted(scopes), "audiences": sorted(audiences)}
    record_in(execute, "consent.granted", actor=here.user_id, subject=here.user_id, now=now, detail=detail)


def _tell(execute: Execute, waiting: Waiting, user_id: str, answer: str, now: datetime) -> None:
    """News of the answer; the worker tells a client that wants to be told."""
    name = "device.answered" if waiting.kind == "device" else "ciba.answered"
    detail = {"client_id": waiting.client_id, "answer": answer, "request": waiting.digest.hex()}
    record_in(execute, name, actor=user_id, subject=user_id, now=now, detail=detail)
