"""Initial access tokens in the admin API: who may register clients by themselves, and within what."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field

from kronborg.clients.admission import ANYTHING_USUAL, RegistrationPolicy
from kronborg.clients.dynamic_store import list_tokens
from kronborg.clients.model import AuthMethod, GrantName
from kronborg.clients.registration import make_initial_token, revoke_initial_token
from kronborg.core import clock
from kronborg.core.api import Body, Page, Shown, Word, caller_of, refusals
from kronborg.core.parts import parts_of
from kronborg.core.quantities import Duration
from kronborg.core.whole import whole

router = APIRouter()

TokenId = Annotated[str, Path(max_length=64, pattern=r"^[0-9A-Za-z._-]+$")]
Words = Annotated[tuple[Word, ...], Field(max_length=200)]


class ShownPolicy(Shown):
    """What clients that come with the token may be."""

    grants: tuple[str, ...]
    scopes: tuple[str, ...] | None
    auth_methods: tuple[str, ...]
    redirect_hosts: tuple[str, ...]
    redirect_schemes: tuple[str, ...]
    max_clients: int
    unused: Duration


class ShownInitialToken(Shown):
    """An initial access token, without itself."""

    id: str
    name: str
    policy: ShownPolicy
    created_at: datetime
    expires_at: datetime
    max_uses: int
    uses: int


class MadeInitialToken(ShownInitialToken):
    """A new initial access token; `token` is shown this once."""

    token: str


class PolicyToSave(Body):
    """What clients that come with the token may be."""

    grants: Annotated[tuple[GrantName, ...], Field(max_length=9)] = ANYTHING_USUAL.grants
    scopes: Words | None = None
    auth_methods: Annotated[tuple[AuthMethod, ...], Field(max_length=7)] = ANYTHING_USUAL.auth_methods
    redirect_hosts: Words = ()
    redirect_schemes: Annotated[tuple[Word, ...], Field(max_length=20)] = ANYTHING_USUAL.redirect_schemes
    max_clients: Annotated[int, Field(ge=1, le=100_000)] = ANYTHING_USUAL.max_clients
    unused: Duration = ANYTHING_USUAL.unused


class InitialTokenToMake(Body):
    """A new initial access token."""

    name: Word
    lifetime: Duration = timedelta(days=1)
    max_uses: Annotated[int, Field(ge=1, le=100_000)] = 1
    policy: PolicyToSave = PolicyToSave()


@router.get("/registration-tokens", tags=["clients"])
async def read_registration_tokens(request: Request) -> Page[ShownInitialToken]:
    """Every initial access token (there are at most 200), the newest first."""
    async with parts_of(request).database.read() as session:
        return Page(items=[ShownInitialToken.model_validate(one) for one in await list_tokens(session)], next=None)


@router.post("/registration-tokens", status_code=201, tags=["clients"], responses=refusals(409, 422))
async def make_registration_token(request: Request, body: InitialTokenToMake) -> MadeInitialToken:
    """Make an initial access token; it is shown this once."""
    parts = parts_of(request)
    async with whole(parts.database) as session:
        made = await make_initial_token(
            session,
            parts.vault,
            name=body.name,
            policy=RegistrationPolicy(**dict(body.policy)),
            lifetime=body.lifetime,
            max_uses=body.max_uses,
            actor=caller_of(request).actor,
            now=clock.now(),
        )
    shown = ShownInitialToken.model_validate(made.token)
    return MadeInitialToken(**dict(shown), token=made.text)


@router.delete("/registration-tokens/{token_id}", status_code=204, tags=["clients"], responses=refusals(404, 422))
async def remove_registration_token(request: Request, token_id: TokenId) -> None:
    """Revoke an initial access token; clients that came with it stay."""
    async with whole(parts_of(request).database) as session:
        await revoke_initial_token(session, token_id, actor=caller_of(request).actor, now=clock.now())
