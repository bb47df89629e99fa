"""APIs, clients and their secrets in the admin API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, JsonValue

from kronborg.clients import register
from kronborg.clients.model import (
    SECRET_METHODS,
    Api,
    ApiDraft,
    AuthMethod,
    Client,
    ClientDraft,
    NewSecret,
    Scope,
    own_audiences,
)
from kronborg.clients.settings import UNSET, UNSET_API, ApiSettings, ClientSettings, Profile
from kronborg.clients.store import find_api, find_client, list_apis, list_clients
from kronborg.core import clock
from kronborg.core.api import (
    After,
    Body,
    Limit,
    Page,
    Search,
    Shown,
    Text,
    Uri,
    Word,
    caller_of,
    check_match,
    refusals,
    with_etag,
)
from kronborg.core.db import ReadSession
from kronborg.core.errors import Conflict, NotFound
from kronborg.core.parts import parts_of
from kronborg.core.quantities import Duration
from kronborg.core.whole import whole

router = APIRouter()

Id = Annotated[str, Path(max_length=64, pattern=r"^[0-9A-Za-z._-]+$")]
Words = Annotated[tuple[Word, ...], Field(max_length=200)]
Uris = Annotated[tuple[Uri, ...], Field(max_length=50)]
JwkSet = Annotated[dict[str, JsonValue], Field(max_length=20)]


class ShownScope(Shown):
    """A permission and the sentence people consent to."""

    name: str
    description: str


class ShownApi(Shown):
    """A protected API."""

    id: str
    audience: str
    name: str
    scopes: tuple[ShownScope, ...]
    token_format: Literal["jwt", "reference"]
    token_lifetime: Duration
    settings: ApiSettings
    created_at: datetime
    updated_at: datetime


class ScopeToSave(Body):
    """A permission and the sentence people consent to."""

    name: Word
    description: Text = ""


class ApiToSave(Body):
    """A protected API; its audience cannot change later."""

    audience: Uri
    name: Word
    scopes: Annotated[tuple[ScopeToSave, ...], Field(max_length=200)] = ()
    token_format: Literal["jwt", "reference"] = "jwt"  # noqa: S105  # not a secret
    token_lifetime: Duration = timedelta(minutes=10)
    settings: ApiSettings = UNSET_API


class ShownSecret(Shown):
    """A secret, without itself."""

    id: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class ShownClient(Shown):
    """An application."""

    id: str
    name: str
    kind: Literal["public", "confidential"]
    auth_method: AuthMethod
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    web_origins: tuple[str, ...]
    grants: tuple[str, ...]
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    jwks: dict[str, JsonValue] | None
    first_party: bool
    disabled: bool
    settings: ClientSettings
    created_at: datetime
    updated_at: datetime


class ShownClientWithSecrets(ShownClient):
    """An application and its secrets, without themselves."""

    secrets: tuple[ShownSecret, ...]


class ClientToSave(Body):
    """An application as it shall be."""

    name: Word
    kind: Literal["public", "confidential"]
    auth_method: AuthMethod
    redirect_uris: Uris = ()
    post_logout_redirect_uris: Uris = ()
    web_origins: Uris = ()
    grants: Words = ("authorization_code",)
    scopes: Words = ()
    audiences: Uris = ()
    jwks: JwkSet | None = None
    first_party: bool = False
    disabled: bool = False
    settings: ClientSettings = UNSET


class ClientToMake(ClientToSave):
    """A new application."""

    id: Word


class MadeSecret(Shown):
    """A secret in the clear, for the one time it is shown."""

    id: str
    secret: str
    expires_at: datetime | None


class MadeClient(ShownClientWithSecrets):
    """A new application; `secret` is shown this once, and null when it uses none."""

    secret: MadeSecret | None


class SecretToMake(Body):
    """How long a new secret works; for ever when null."""

    lifetime: Duration | None = None


def _api(api: Api) -> ShownApi:
    return ShownApi.model_validate(api)


def _client(client: Client) -> ShownClientWithSecrets:
    return ShownClientWithSecrets.model_validate(client)


def _draft(body: ApiToSave) -> ApiDraft:
    scopes = tuple(Scope(scope.name, scope.description) for scope in body.scopes)
    return ApiDraft(body.audience, body.name, scopes, body.token_format, body.token_lifetime, body.settings)


@router.get("/apis", tags=["apis"])
async def read_apis(request: Request) -> Page[ShownApi]:
    """Every API (there are at most 500)."""
    async with parts_of(request).database.read() as session:
        return Page(items=[_api(api) for api in await list_apis(session)], next=None)


@router.post("/apis", status_code=201, tags=["apis"], responses=refusals(409, 422))
async def make_api(request: Request, response: Response, body: ApiToSave) -> ShownApi:
    """Register an API."""
    async with whole(parts_of(request).database) as session:
        if await find_api(session, body.audience) is not None:
            raise Conflict("there is an API with this audience")
        api = await register.save_api(session, _draft(body), actor=caller_of(request).actor, now=clock.now())
    shown = _api(api)
    with_etag(response, shown)
    response.headers["location"] = f"{parts_of(request).issuer}/api/apis/{api.id}"
    return shown


@router.get("/apis/{api_id}", tags=["apis"], responses=refusals(404, 422))
async def read_api(request: Request, response: Response, api_id: Id) -> ShownApi:
    """One API."""
    async with parts_of(request).database.read() as session:
        shown = _api(await _found_api(session, api_id))
    with_etag(response, shown)
    return shown


@router.put("/apis/{api_id}", tags=["apis"], responses=refusals(404, 409, 412, 422))
async def save_api(request: Request, response: Response, api_id: Id, body: ApiToSave) -> ShownApi:
    """Replace an API. `If-Match` guards against changes made meanwhile."""
    async with whole(parts_of(request).database) as session:
        before = await _found_api(session, api_id)
        check_match(request, _api(before))
        if body.audience != before.audience:
            raise Conflict("the audience of an API cannot change: make another API")
        api = await register.save_api(session, _draft(body), actor=caller_of(request).actor, now=clock.now())
    shown = _api(api)
    with_etag(response, shown)
    return shown


@router.delete("/apis/{api_id}", status_code=204, tags=["apis"], responses=refusals(404, 409, 412, 422))
async def remove_api(request: Request, api_id: Id) -> None:
    """Remove an API; its scopes stop working for every client."""
    async with whole(parts_of(request).database) as session:
        api = await _found_api(session, api_id)
        check_match(request, _api(api))
        if api.audience in own_audiences(parts_of(request).issuer):
            raise Conflict("the API of Kronborg itself cannot be removed")
        await register.remove_api(session, api.audience, actor=caller_of(request).actor, now=clock.now())


async def _found_api(session: ReadSession, api_id: str) -> Api:
    api = next((api for api in await list_apis(session) if api.id == api_id), None)
    if api is None:
        raise NotFound("there is no such API")
    return api


@router.get("/clients", tags=["clients"], responses=refusals(422))
async def read_clients(
    request: Request, search: Search = "", after: After = None, limit: Limit = 50
) -> Page[ShownClient]:
    """Clients by id."""
    async with parts_of(request).database.read() as session:
        clients = await list_clients(session, search=search, after=after or "", limit=limit)
    items = [ShownClient.model_validate(client) for client in clients]
    return Page(items=items, next=clients[-1].id if len(clients) == limit else None)


@router.post("/clients", status_code=201, tags=["clients"], responses=refusals(409, 422))
async def make_client(request: Request, response: Response, body: ClientToMake) -> MadeClient:
    """Register a client; one that authenticates with a secret gets one, shown this once."""
    parts, actor, now = parts_of(request), caller_of(request).actor, clock.now()
    made: NewSecret | None = None
    async with whole(parts.database) as session:
        if await find_client(session, body.id) is not None:
            raise Conflict("there is a client with this id")
        draft, profile = ClientDraft(**dict(body)), cast("Profile", parts.profile)
        client = await register.save_client(session, draft, actor=actor, now=now, profile=profile)
        if client.auth_method in SECRET_METHODS:
            made = await register.add_secret(session, parts.vault, client.id, actor=actor, now=now)
        client = await _found_client(session, client.id)
    shown = _client(client)
    with_etag(response, shown)
    response.headers["location"] = f"{parts.issuer}/api/clients/{client.id}"
    secret = None if made is None else MadeSecret.model_validate(made)
    return MadeClient(**dict(shown), secret=secret)


@router.get("/clients/{client_id}", tags=["clients"], responses=refusals(404, 422))
async def read_client(request: Request, response: Response, client_id: Id) -> ShownClientWithSecrets:
    """One client."""
    async with parts_of(request).database.read() as session:
        shown = _client(await _found_client(session, client_id))
    with_etag(response, shown)
    return shown


@router.put("/clients/{client_id}", tags=["clients"], responses=refusals(404, 412, 422))
async def save_client(
    request: Request, response: Response, client_id: Id, body: ClientToSave
) -> ShownClientWithSecrets:
    """Replace a client; its secrets stay. `If-Match` guards against changes made meanwhile."""
    parts, actor = parts_of(request), caller_of(request).actor
    async with whole(parts.database) as session:
        check_match(request, _client(await _found_client(session, client_id)))
        draft, profile = ClientDraft(id=client_id, **dict(body)), cast("Profile", parts.profile)
        await register.save_client(session, draft, actor=actor, now=clock.now(), profile=profile)
        shown = _client(await _found_client(session, client_id))
    with_etag(response, shown)
    return shown


@router.delete("/clients/{client_id}", status_code=204, tags=["clients"], responses=refusals(404, 412, 422))
async def remove_client(request: Request, client_id: Id) -> None:
    """Remove a client; its tokens stop working."""
    async with whole(parts_of(request).database) as session:
        check_match(request, _client(await _found_client(session, client_id)))
        await register.remove_client(session, client_id, actor=caller_of(request).actor, now=clock.now())


@router.post("/clients/{client_id}/secrets", status_code=201, tags=["clients"], responses=refusals(404, 409, 422))
async def make_secret(request: Request, client_id: Id, body: SecretToMake) -> MadeSecret:
    """Make one more secret; it is shown this once. Five may be active."""
    parts, now = parts_of(request), clock.now()
    async with whole(parts.database) as session:
        made = await register.add_secret(
            session, parts.vault, client_id, actor=caller_of(request).actor, now=now, lifetime=body.lifetime
        )
    return MadeSecret.model_validate(made)


@router.delete(
    "/clients/{client_id}/secrets/{secret_id}", status_code=204, tags=["clients"], responses=refusals(404, 422)
)
async def remove_secret(request: Request, client_id: Id, secret_id: Id) -> None:
    """Make a secret useless at once."""
    async with whole(parts_of(request).database) as session:
        actor = caller_of(request).actor
        await register.remove_secret(session, client_id, secret_id, actor=actor, now=clock.now())


async def _found_client(session: ReadSession, client_id: str) -> Client:
    client = await find_client(session, client_id)
    if client is None:
        raise NotFound("there is no client with this id")
    return client
