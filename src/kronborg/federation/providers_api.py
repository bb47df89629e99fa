"""Identity providers, and the accounts linked to them, in the admin API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, JsonValue

from kronborg.accounts.parting import Parting
from kronborg.core import clock
from kronborg.core.api import Body, Page, Shown, Text, caller_of, check_match, refusals, with_etag
from kronborg.core.errors import NotFound
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.federation import providers
from kronborg.federation.linked import linked_accounts, unlink
from kronborg.federation.model import Kind, Provider, ProviderDraft, ProviderSettings
from kronborg.federation.providers_store import find_provider, list_providers, settings_json

router = APIRouter()

Key = Annotated[str, Path(max_length=40, pattern=r"^[a-z0-9-]+$")]
UserId = Annotated[str, Path(max_length=100, pattern=r"^[^\x00-\x1f]+$")]
Subject = Annotated[str, Path(max_length=255, pattern=r"^[^\x00-\x1f]+$")]


class ShownProvider(Shown):
    """An identity provider. `settings` holds what differs from the defaults; the secret is never shown."""

    key: str
    kind: Kind
    name: str
    settings: dict[str, JsonValue]
    has_secret: bool
    callback: str
    """What to register with the provider as the redirect URI (SAML: as the assertion consumer service)."""
    created_at: datetime
    updated_at: datetime


class ProviderToSave(Body):
    """An identity provider as it shall be; what `settings` leaves out is the default, or what the preset knows."""

    kind: Kind
    name: Text
    settings: ProviderSettings = ProviderSettings()
    secret: Annotated[str, Field(min_length=1, max_length=8192)] | None = None
    """The client secret, or a private key in PEM; stays as it is when left out."""


class ShownIdentity(Shown):
    """An account at a provider that an account here is linked to."""

    provider: str
    subject: str
    shown: str
    created_at: datetime
    used_at: datetime


class SecretToSet(Body):
    """Another secret."""

    secret: Annotated[str, Field(min_length=1, max_length=8192)]


def _shown(provider: Provider, issuer: str) -> ShownProvider:
    return ShownProvider(
        key=provider.key,
        kind=provider.kind,
        name=provider.name,
        settings=dict(settings_json(provider.settings)),  # type: ignore[arg-type]  # JSON by its type
        has_secret=provider.secret is not None,
        callback=providers.callback_of(issuer, provider.kind, provider.key),
        created_at=provider.created_at,
        updated_at=provider.updated_at,
    )


@router.get("/providers", tags=["providers"])
async def read_providers(request: Request) -> Page[ShownProvider]:
    """Every identity provider (there are at most 200)."""
    parts = parts_of(request)
    async with parts.database.read() as session:
        found = await list_providers(session)
    return Page(items=[_shown(provider, parts.issuer) for provider in found], next=None)


@router.get("/providers/{key}", tags=["providers"], responses=refusals(404, 422))
async def read_provider(request: Request, response: Response, key: Key) -> ShownProvider:
    """One identity provider."""
    parts = parts_of(request)
    async with parts.database.read() as session:
        provider = await find_provider(session, key)
    if provider is None:
        raise NotFound("there is no such identity provider")
    shown = _shown(provider, parts.issuer)
    with_etag(response, shown)
    return shown


@router.put("/providers/{key}", tags=["providers"], responses=refusals(412, 422))
async def save_provider(request: Request, response: Response, key: Key, body: ProviderToSave) -> ShownProvider:
    """Make or replace an identity provider. `If-Match` guards against changes made meanwhile."""
    parts = parts_of(request)
    async with whole(parts.database) as session:
        before = await find_provider(session, key)
        if before is not None:
            check_match(request, _shown(before, parts.issuer))
        draft = ProviderDraft(key, body.kind, body.name, body.settings)
        actor = caller_of(request).actor
        saved = await providers.save_provider(
            session, parts.vault, draft, secret=body.secret, actor=actor, now=clock.now()
        )
    shown = _shown(saved, parts.issuer)
    with_etag(response, shown)
    return shown


@router.delete("/providers/{key}", status_code=204, tags=["providers"], responses=refusals(404, 412, 422))
async def remove_provider(request: Request, key: Key, accounts: Parting = "release") -> None:
    """Remove an identity provider and every link to it.

    The accounts that came from it are released, to be ordinary ones that get a password by a reset; or disabled
    besides; or kept as they are, for a provider that is made again under this key.
    """
    parts = parts_of(request)
    async with whole(parts.database) as session:
        before = await find_provider(session, key)
        if before is not None:
            check_match(request, _shown(before, parts.issuer))
        actor = caller_of(request).actor
        await providers.remove_provider(session, key, accounts=accounts, actor=actor, now=clock.now())


@router.put("/providers/{key}/secret", status_code=204, tags=["providers"], responses=refusals(404, 422))
async def set_provider_secret(request: Request, key: Key, body: SecretToSet) -> None:
    """Give an identity provider's secret anew."""
    parts = parts_of(request)
    async with whole(parts.database) as session:
        actor = caller_of(request).actor
        await providers.give_secret(session, parts.vault, key, body.secret, actor=actor, now=clock.now())


@router.get("/users/{user_id}/identities", tags=["providers"], responses=refusals(422))
async def read_identities(request: Request, user_id: UserId) -> Page[ShownIdentity]:
    """The accounts at providers that a user is linked to."""
    async with parts_of(request).database.read() as session:
        found = await linked_accounts(session, user_id, bounded=False)
    return Page(items=[ShownIdentity.model_validate(one) for one in found], next=None)


@router.delete(
    "/users/{user_id}/identities/{key}/{subject:path}",
    status_code=204,
    tags=["providers"],
    responses=refusals(404, 422),
)
async def remove_identity(request: Request, user_id: UserId, key: Key, subject: Subject) -> None:
    """Unlink an account, even if it is the last way in which the user can sign in."""
    async with whole(parts_of(request).database) as session:
        actor = caller_of(request).actor
        await unlink(session, user_id, key, subject, other_ways=True, now=clock.now(), actor=actor)
