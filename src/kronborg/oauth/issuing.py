"""Give the client what its person allowed: a code, tokens, or just the answer that all is well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from kronborg.core.group_writer import Execute
from kronborg.oauth.acr import PASSWORD
from kronborg.oauth.authorize import Asking, Issue
from kronborg.oauth.authorize_errors import AccessDenied
from kronborg.oauth.checks import KnownCase, kind_of
from kronborg.oauth.consent import unless_withdrawn
from kronborg.oauth.kept_requests import unless_used
from kronborg.oauth.legacy_use import note
from kronborg.oauth.response_types import in_front_channel, words_of
from kronborg.tokens.audience import Grantable, choose
from kronborg.tokens.codes import create_code
from kronborg.tokens.engine import Engine
from kronborg.tokens.front import grant_in_front
from kronborg.tokens.id_token import id_token
from kronborg.tokens.issue import NO_CLAIMS
from kronborg.tokens.model import Authorization, GrantDetails
from kronborg.tokens.people_store import organisations_of
from kronborg.tokens.rich import for_audience


async def issue(engine: Engine, case: KnownCase, asking: Asking, decision: Issue, *, now: datetime) -> dict[str, str]:
    """The values of the answer. Raises `AccessDenied`, `ConsentGone`, `InvalidRequestUri`, `NobodyThere`."""
    check, kind = _check(case, asking, decision, now=now), kind_of(case)
    authorization = _authorization(case, asking, decision)
    if case.request.organization is not None:
        wanted = await _organisation(engine, case.request.organization, authorization.user_id)
        authorization = replace(authorization, details=replace(authorization.details, organisation=wanted))
    if kind == "none":
        # OAuth 2.0 Multiple Response Types §4: nothing but that there would be something.
        if check is not None:
            await engine.database.writer.run(check)
        return {}
    if not in_front_channel(kind):
        return {"code": await create_code(engine, authorization, now=now, check=check)}
    note(case.client, "implicit" if "token" in words_of(kind) else "id_token", now=now)
    return await _in_front(engine, case, authorization, words_of(kind), check, now=now)


async def _organisation(engine: Engine, asked: str, user_id: str) -> str:
    """The id of the organisation that the client asked for, by id or short name. Raises `AccessDenied`."""
    for org_id, slug, _ in await organisations_of(engine.database.lookup, user_id):
        if asked == org_id or asked.lower() == slug:
            return org_id
    raise AccessDenied("the person is no member of the organisation that was asked for")


async def _in_front(
    engine: Engine,
    case: KnownCase,
    authorization: Authorization,
    words: frozenset[str],
    check: Callable[[Execute], None] | None,
    *,
    now: datetime,
) -> dict[str, str]:
    """The values of an answer that holds tokens."""
    target, claims = None, NO_CLAIMS
    if "token" in words:
        apis, resources = await engine.directory.apis(now=now), case.request.resources
        granted = Grantable(authorization.scopes, authorization.audiences)
        only = resources[0] if len(resources) == 1 else None
        target = choose(granted, apis, userinfo=engine.userinfo, scope=None, resource=only)
        told = for_audience(authorization.details.authorization_details, target.audience, apis)
        claims = {"authorization_details": told} if told else NO_CLAIMS
    given = await grant_in_front(
        engine, authorization, target, code="code" in words, now=now, check=check, claims=claims
    )
    values = {} if given.code is None else {"code": given.code}
    if given.tokens is not None:
        # RFC 6749 §4.2.2
        values["access_token"] = given.tokens.access_token
        values["token_type"] = given.tokens.token_type
        values["expires_in"] = str(given.tokens.expires_in)
        values["scope"] = given.tokens.scope
    if "id_token" in words:
        values["id_token"] = await id_token(
            engine,
            case.client,
            given.grant,
            now=now,
            nonce=case.request.nonce,
            access_token=values.get("access_token"),
            code=given.code,
            # FAPI 1.0 Part 2 §5.2.2.1: the state, where it stands beside a code.
            state=case.request.state if given.code is not None else None,
            # OIDC Core §5.4: without an access token there is no userinfo to ask.
            alone=words == {"id_token"},
        )
    return values


def _authorization(case: KnownCase, asking: Asking, decision: Issue) -> Authorization:
    here, request = decision.visit, case.request
    settings = case.client.settings
    return Authorization(
        client_id=case.client.id,
        user_id=here.user_id,
        session_id=here.session_id,
        scopes=decision.scopes,
        audiences=decision.audiences,
        redirect_uri=request.redirect_uri,
        challenge=request.code_challenge,
        nonce=request.nonce,
        auth_time=here.auth_time,
        amr=here.amr,
        details=GrantDetails(
            # What every sign-in fulfils is told only to those who asked: most grants need no details.
            acr=decision.acr if asking.acr.values or decision.acr != PASSWORD else None,
            authorization_details=asking.details,
            claims=asking.claims,
            lifetime=settings.refresh_token_lifetime,
            idle=settings.refresh_token_idle,
        ),
        jkt=case.came.jkt or request.dpop_jkt,
    )


@dataclass(frozen=True, slots=True)
class _All:
    """Several checks of one unit, in their order: who refuses leaves the later ones undone."""

    checks: tuple[Callable[[Execute], None], ...]

    def __call__(self, execute: Execute) -> None:
        for check in self.checks:
            check(execute)


def _check(case: KnownCase, asking: Asking, decision: Issue, *, now: datetime) -> Callable[[Execute], None] | None:
    checks: list[Callable[[Execute], None]] = []
    if not case.client.first_party or "consent" in asking.prompts:
        allowed = asking.to_allow or decision.scopes
        checks.append(unless_withdrawn(decision.visit.user_id, case.client.id, allowed, decision.audiences))
    if case.came.digest is not None:
        # Last, so that a reference survives whatever was refused before.
        checks.append(unless_used(case.came.digest, now=now))
    return _All(tuple(checks)) if checks else None
