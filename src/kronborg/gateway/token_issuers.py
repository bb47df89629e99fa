"""Other issuers whose tokens the gateway takes: declared, kept up to date, and handed to Envoy as keys.

Envoy fetches nothing. Published keys are fetched here, through the one way out, and only what can be nothing but a
public key for an allowed signature goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import orjson

from kronborg.clients.keys_of import ACCEPT
from kronborg.clients.redirects import redirect_problem
from kronborg.core.db import Database, Session
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.events import changes, record
from kronborg.core.fetch import Fetcher, Unreachable
from kronborg.core.json import JsonObject
from kronborg.core.log import get_logger
from kronborg.gateway import token_issuers_store as store
from kronborg.gateway.access_model import KeysState, TokenIssuer
from kronborg.gateway.access_problems import issuer_problems
from kronborg.gateway.issuer_keys import usable_keys
from kronborg.gateway.model import Snapshot

log = get_logger("kronborg.gateway.issuers")

MOST = 20
REFRESH_SECONDS = 300.0
LONGEST_UNSEEN = timedelta(hours=24)
"""How old fetched keys may become when their issuer does not answer any more."""


def with_keys(snapshot: Snapshot, fetched: Mapping[str, str]) -> Snapshot:
    """The snapshot with the keys of this moment; an issuer without any lets nothing pass."""
    if not snapshot.issuers:
        return snapshot
    return replace(
        snapshot,
        issuers=tuple(
            one if one.jwks_uri is None else replace(one, jwks=fetched.get(one.name, "")) for one in snapshot.issuers
        ),
    )


async def save_token_issuer(
    session: Session, issuer: TokenIssuer, *, own: str, apis: frozenset[str], actor: str, now: datetime
) -> TokenIssuer:
    """Make the token issuer of this name so. `jwks` may be any set: what is usable of it is kept. Raises `Invalid`."""
    others = {each.name: each for each in await store.list_token_issuers(session)}
    known = others.pop(issuer.name, None)
    problems = [*issuer_problems("token_issuer", issuer, apis)]
    problems += declared_problems(issuer, own, {each.issuer for each in others.values()})
    if known is None and len(others) >= MOST:
        problems.append(Problem("name", "there are 20 token issuers already"))
    if issuer.jwks and not problems:
        issuer = replace(issuer, jwks=usable_keys(_parsed(issuer.jwks), issuer.algorithms))
        if not issuer.jwks:
            problems.append(Problem("jwks", "holds no public key for these algorithms"))
    if problems:
        raise Invalid(*problems)
    if known == issuer:
        return known
    await store.put_token_issuer(session, issuer, now=now)
    name = "token_issuer.created" if known is None else "token_issuer.changed"
    await record(session, name, actor=actor, subject=issuer.name, now=now, detail=changes(known, issuer, but=("jwks",)))
    return issuer


async def remove_token_issuer(session: Session, name: str, *, actor: str, now: datetime) -> None:
    """Take its tokens no more, from the next version on. Raises `NotFound`."""
    if not await store.delete_token_issuer(session, name):
        raise NotFound("there is no token issuer with this name")
    await record(session, "token_issuer.removed", actor=actor, subject=name, now=now)


async def refresh(database: Database, fetcher: Fetcher, *, now: datetime) -> None:
    """Fetch the published keys of every issuer.

    One that does not answer keeps the last good ones for `LONGEST_UNSEEN`, and then lets nothing pass: a key that it
    took back meanwhile would be believed for ever otherwise.
    """
    async with database.read() as session:
        issuers = await store.list_token_issuers(session)
        known = await store.keys_states(session)
    for issuer in issuers:
        if issuer.jwks_uri is None:
            continue
        state = known.get(issuer.name, KeysState())
        try:
            document = await fetcher.document(issuer.jwks_uri, accept=ACCEPT, now=now, renew=True)
        except Unreachable as failure:
            old = state.fetched_at is not None and now - state.fetched_at > LONGEST_UNSEEN
            log.warning("keys_not_fetched", issuer=issuer.name, reason=failure.reason, forgotten=old)
            async with database.write() as session:
                await store.put_failure(session, issuer.name, failure.reason[:200], forget=old, now=now)
            continue
        # An empty set is an answer too: the issuer has taken its keys back.
        keys = usable_keys(document, issuer.algorithms)
        async with database.write() as session:
            await store.put_keys(session, issuer.name, keys, now=now)


async def keep_fresh(
    database: Database, fetcher: Fetcher, stop: asyncio.Event, *, clock: Callable[[], datetime]
) -> None:
    """Fetch again every few minutes until `stop` is set."""
    while not stop.is_set():
        try:
            await refresh(database, fetcher, now=clock())
        except Exception:  # the edge of a process: the next turn tries again
            log.exception("keys_not_refreshed")
        try:
            async with asyncio.timeout(REFRESH_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue


def _parsed(text: str) -> JsonObject:
    try:
        found = orjson.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def declared_problems(issuer: TokenIssuer, own: str, taken: Collection[str]) -> Iterator[Problem]:
    """What is wrong with an issuer beside the others; `own` is ours, `taken` are theirs."""
    if issuer.issuer == own:
        yield Problem("issuer", "is ours")
    if issuer.issuer in taken:
        yield Problem("issuer", "is that of another token issuer")
    if (not issuer.jwks) == (issuer.jwks_uri is None):
        yield Problem("jwks", "needs either jwks or jwks_uri")
    if issuer.jwks_uri is not None and (wrong := redirect_problem(issuer.jwks_uri, public=False)):
        yield Problem("jwks_uri", wrong)
