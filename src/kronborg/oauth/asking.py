"""From a checked request to what it asks for: scopes, audiences, and the person it expects."""

from __future__ import annotations

from datetime import datetime, timedelta

from kronborg.oauth.asked import asked_at
from kronborg.oauth.authorize import Asking
from kronborg.oauth.checks import KnownCase
from kronborg.oauth.errors import InvalidRequest, InvalidScope
from kronborg.oauth.hints import read_hint
from kronborg.tokens.audience import Grantable, grantable, split_scope
from kronborg.tokens.engine import Engine


async def understand(engine: Engine, case: KnownCase, *, now: datetime) -> Asking:
    """What the request asks for. Raises `InvalidScope`, `InvalidTarget`, `InvalidRequest`."""
    request = case.request
    granted = await _grantable(engine, case, now=now)
    hinted_user = None
    if request.id_token_hint is not None:
        hint = await read_hint(engine, request.id_token_hint, now=now)
        if hint is None or hint.client_id != case.client.id:
            raise InvalidRequest("id_token_hint is not an ID token that was issued here to this client")
        hinted_user = hint.user_id
    return Asking(
        granted.scopes,
        granted.audiences,
        request.prompts,
        None if request.max_age is None else timedelta(seconds=int(request.max_age)),
        hinted_user,
        asked_at(engine.vault, request, now=now),
    )


async def _grantable(engine: Engine, case: KnownCase, *, now: datetime) -> Grantable:
    request = case.request
    scopes = split_scope(request.scope) if request.scope is not None else ()
    apis = await engine.directory.apis(now=now)
    granted = grantable(case.client, apis, userinfo=engine.userinfo, scopes=scopes, resources=request.resources)
    if not granted.scopes:
        # RFC 6749 §3.3: without a scope and without a default there is nothing to ask the person for.
        raise InvalidScope("there is no scope that the client could be given")
    return granted
