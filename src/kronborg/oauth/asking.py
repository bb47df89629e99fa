"""From a checked request to what it asks for: scopes, audiences, details, and the person it expects."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from kronborg.clients.directory import Apis
from kronborg.clients.model import Client
from kronborg.core.json import JsonObject
from kronborg.oauth import acr
from kronborg.oauth.authorization_details import read_details
from kronborg.oauth.authorize import Asking
from kronborg.oauth.checks import KnownCase, kind_of
from kronborg.oauth.claims_request import AskedClaims, read_claims
from kronborg.oauth.errors import InvalidRequest, InvalidScope, InvalidTarget
from kronborg.oauth.hints import read_hint
from kronborg.oauth.response_types import words_of
from kronborg.tokens.audience import Grantable, choose, grantable, split_scope
from kronborg.tokens.engine import Engine
from kronborg.tokens.rich import audiences_of
from kronborg.tokens.subjects import is_pairwise, user_behind

NOBODY = ""
"""No user has this id."""


async def understand(engine: Engine, case: KnownCase, *, now: datetime) -> Asking:
    """What the request asks for. Raises `OAuthError`; what it asks of a certain person is decided later."""
    request, settings = case.request, case.client.settings
    apis = await engine.directory.apis(now=now)
    details = read_details(request.authorization_details, case.client, apis)
    granted = _grantable(engine, case, apis, details)
    claims = read_claims(request.claims, case.client.scopes)
    if "token" in words_of(kind_of(case)):
        # The token comes with this very answer, so it has to be clear now what it is for.
        choose(granted, apis, userinfo=engine.userinfo, scope=None, resource=_only(request.resources))
    max_age = settings.default_max_age if request.max_age is None else int(request.max_age)
    return Asking(
        granted.scopes,
        granted.audiences,
        request.prompts,
        None if max_age is None else timedelta(seconds=max_age),
        await _hinted(engine, case, claims, now=now),
        acr=_acr(case, claims),
        offered=acr.offered_by(engine.factors),
        claims=claims.kept,
        # What is asked for by name needs the same yes as the scope that it belongs to (OIDC Core §5.5).
        to_allow=tuple(dict.fromkeys((*granted.scopes, *sorted(claims.scopes)))),
        details=details,
    )


def _grantable(engine: Engine, case: KnownCase, apis: Apis, details: tuple[JsonObject, ...]) -> Grantable:
    request = case.request
    scopes = split_scope(request.scope) if request.scope is not None else ()
    if details and not scopes:
        # RFC 9396 §3.1: without a scope the details are all that is asked for.
        granted = Grantable((), ())
    else:
        granted = grantable(case.client, apis, userinfo=engine.userinfo, scopes=scopes, resources=request.resources)
    if not granted.scopes and not details:
        # RFC 6749 §3.3: without a scope and without a default there is nothing to ask the person for.
        raise InvalidScope("there is no scope that the client could be given")
    if "code" not in words_of(kind_of(case)):
        # OIDC Core §11: without a code there is no refresh token, and nothing that outlives the session.
        granted = replace(granted, scopes=tuple(s for s in granted.scopes if s != "offline_access"))
    meant = audiences_of(details, apis)
    # RFC 9396 §3.3: resource indicators bound what details are for, as they do scopes.
    if request.resources and not set(meant) <= set(request.resources):
        raise InvalidTarget("the authorization details are for another resource")
    return Grantable(granted.scopes, tuple(dict.fromkeys((*granted.audiences, *meant))))


def _acr(case: KnownCase, claims: AskedClaims) -> acr.Wanted:
    """What is wanted by an essential claim, by `acr_values`, by a claim, or by default, whichever comes first."""
    sent = tuple(dict.fromkeys((case.request.acr_values or "").split(" "))) if case.request.acr_values else ()
    settings = case.client.settings
    least = acr.MULTI_FACTOR if settings.require_factors else acr.PASSWORD
    values = sent or claims.acr_values or settings.default_acr_values
    return acr.wanted_of(values, essential=claims.acr, at_least=least)


async def _hinted(engine: Engine, case: KnownCase, claims: AskedClaims, *, now: datetime) -> str | None:
    """The only person whom the client wants to hear about; None for anybody."""
    hinted = claims.subject
    if hinted is not None:
        hinted = _named(engine, case.client, hinted)
    if case.request.id_token_hint is not None:
        hint = await read_hint(engine, case.request.id_token_hint, now=now)
        if hint is None or hint.client_id != case.client.id:
            raise InvalidRequest("id_token_hint is not an ID token that was issued here to this client")
        if hinted not in (None, hint.user_id):
            raise InvalidRequest("id_token_hint and claims name two persons")
        hinted = hint.user_id
    return hinted


def _named(engine: Engine, client: Client, subject: str) -> str:
    """The user id behind a `sub` that a client may have made up; what nobody is called by this client is nobody.

    A pairwise client never learns a user id, and must not find out by asking whose it is (OIDC Core §8).
    """
    user_id = user_behind(engine.vault, client, subject)
    return NOBODY if user_id is None or (user_id == subject and is_pairwise(client)) else user_id


def _only(resources: tuple[str, ...]) -> str | None:
    return resources[0] if len(resources) == 1 else None
