"""Other issuers whose tokens the gateway takes, in the admin API. A change holds from the next published version on."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, JsonValue

from kronborg.clients.store import list_apis
from kronborg.core import clock
from kronborg.core.api import Body, Page, Shown, Text, Uri, Word, caller_of, check_match, refusals, with_etag
from kronborg.core.db import ReadSession
from kronborg.core.errors import NotFound
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.gateway import token_issuers
from kronborg.gateway.access_model import Algorithm, AudienceMapping, KeysState, TokenIssuer
from kronborg.gateway.issuer_keys import key_count
from kronborg.gateway.token_issuers_store import find_token_issuer, keys_states, list_token_issuers

router = APIRouter()

Name = Annotated[str, Path(max_length=63, pattern=r"^[a-z0-9-]+$")]
JwkSet = Annotated[dict[str, JsonValue], Field(max_length=20)]


class Mapping(Body):
    """What the issuer calls one of our APIs."""

    api: Uri
    """The audience URI of the API here."""
    audience: Uri
    """The `aud` of the issuer's tokens for it."""


class TokenIssuerToSave(Body):
    """Another issuer as it shall be."""

    issuer: Text
    """The `iss` of its tokens."""
    audiences: Annotated[tuple[Mapping, ...], Field(min_length=1, max_length=50)]
    jwks_uri: Uri | None = None
    """Where its public keys are fetched from."""
    jwks: JwkSet | None = None
    """Its public keys themselves, in place of `jwks_uri`."""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1, max_length=10)] = ("RS256", "ES256")
    client_claim: Word = "client_id"
    subject_claim: Word = "sub"
    scope_claim: Word = "scope"
    """A text of words, or a list."""
    roles_claim: Word = "roles"
    """A name, or a JSON Pointer."""
    any_type: bool = False
    """Take its tokens whatever their `typ` says; else only `at+jwt` (RFC 9068)."""


class ShownTokenIssuer(Shown):
    """Another issuer whose tokens the gateway takes."""

    name: str
    issuer: str
    audiences: tuple[Mapping, ...]
    jwks_uri: str | None
    jwks: dict[str, JsonValue] | None
    algorithms: tuple[str, ...]
    client_claim: str
    subject_claim: str
    scope_claim: str
    roles_claim: str
    any_type: bool


class ShownKeys(Shown):
    """How fetching the keys of an issuer went."""

    count: int
    """How many keys are believed."""
    fetched_at: datetime | None
    """When they were fetched last."""
    failed_at: datetime | None
    """When fetching failed last, if it did not succeed since."""
    failure: str


def _shown(issuer: TokenIssuer) -> ShownTokenIssuer:
    jwks = orjson.loads(issuer.jwks) if issuer.jwks else None
    mappings = tuple(Mapping(api=one.api, audience=one.audience) for one in issuer.audiences)
    return ShownTokenIssuer(
        name=issuer.name,
        issuer=issuer.issuer,
        audiences=mappings,
        jwks_uri=issuer.jwks_uri,
        jwks=jwks,
        algorithms=issuer.algorithms,
        client_claim=issuer.client_claim,
        subject_claim=issuer.subject_claim,
        scope_claim=issuer.scope_claim,
        roles_claim=issuer.roles_claim,
        any_type=issuer.any_type,
    )


@router.get("/token-issuers", tags=["gateway"])
async def read_token_issuers(request: Request) -> Page[ShownTokenIssuer]:
    """Every other issuer (there are at most 20)."""
    async with parts_of(request).database.read() as session:
        return Page(items=[_shown(issuer) for issuer in await list_token_issuers(session)], next=None)


@router.get("/token-issuers/{name}", tags=["gateway"], responses=refusals(404, 422))
async def read_token_issuer(request: Request, response: Response, name: Name) -> ShownTokenIssuer:
    """One of them."""
    async with parts_of(request).database.read() as session:
        shown = _shown(await _existing(session, name))
    with_etag(response, shown)
    return shown


@router.get("/token-issuers/{name}/keys", tags=["gateway"], responses=refusals(404, 422))
async def read_token_issuer_keys(request: Request, name: Name) -> ShownKeys:
    """What is known of its keys: how many, when they were fetched, and what went wrong since."""
    async with parts_of(request).database.read() as session:
        issuer = await _existing(session, name)
        state = (await keys_states(session)).get(name, KeysState())
    return ShownKeys(
        count=key_count(issuer.jwks or state.keys),
        fetched_at=state.fetched_at,
        failed_at=state.failed_at,
        failure=state.failure,
    )


@router.put("/token-issuers/{name}", tags=["gateway"], responses=refusals(412, 422))
async def save_token_issuer(
    request: Request, response: Response, name: Name, body: TokenIssuerToSave
) -> ShownTokenIssuer:
    """Make or replace one. `If-Match` guards against changes made meanwhile."""
    parts = parts_of(request)
    values = dict(body) | {
        "audiences": tuple(AudienceMapping(one.api, one.audience) for one in body.audiences),
        "jwks": "" if body.jwks is None else orjson.dumps(body.jwks).decode(),
    }
    async with whole(parts.database) as session:
        before = await find_token_issuer(session, name)
        if before is not None:
            check_match(request, _shown(before))
        apis = frozenset(api.audience for api in await list_apis(session))
        wanted = TokenIssuer(name=name, **values)
        saved = await token_issuers.save_token_issuer(
            session, wanted, own=parts.issuer, apis=apis, actor=caller_of(request).actor, now=clock.now()
        )
    shown = _shown(saved)
    with_etag(response, shown)
    return shown


@router.delete("/token-issuers/{name}", status_code=204, tags=["gateway"], responses=refusals(404, 412, 422))
async def remove_token_issuer(request: Request, name: Name) -> None:
    """Take its tokens no more, from the next published version on."""
    async with whole(parts_of(request).database) as session:
        check_match(request, _shown(await _existing(session, name)))
        await token_issuers.remove_token_issuer(session, name, actor=caller_of(request).actor, now=clock.now())


async def _existing(session: ReadSession, name: str) -> TokenIssuer:
    found = await find_token_issuer(session, name)
    if found is None:
        raise NotFound("there is no token issuer with this name")
    return found
