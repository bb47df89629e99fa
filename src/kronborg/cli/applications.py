"""`kronborg client …` and `kronborg api …`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer

from kronborg.cli.options import DataOption, FileOption, LimitOption, SearchOption, YesOption, confirm, duration
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.setting_option import SetOption, settings_from
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.clients.legacy import legacy_of
from kronborg.clients.model import SECRET_METHODS, Api, ApiDraft, Client, ClientDraft, NewSecret, Scope
from kronborg.clients.profiles import switched_on
from kronborg.clients.register import (
    add_secret,
    remove_api,
    remove_client,
    remove_secret,
    save_api,
    save_client,
    set_disabled,
)
from kronborg.clients.settings import ApiSettings, ClientSettings
from kronborg.clients.store import find_api, find_client, list_apis, list_clients
from kronborg.core import clock
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.json import JsonObject
from kronborg.core.whole import whole
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.objects import fields_of

client_commands = typer.Typer(help="Applications that ask for tokens.", no_args_is_help=True)
secret_commands = typer.Typer(help="The secrets of a client; several may be active at once.", no_args_is_help=True)
api_commands = typer.Typer(help="Protected APIs: audiences and scopes.", no_args_is_help=True)
client_commands.add_typer(secret_commands, name="secret")

ClientId = Annotated[str, typer.Argument(metavar="CLIENT_ID")]
Audience = Annotated[str, typer.Argument(help="The audience URI.")]
Many = list[str] | None


def _client_row(client: Client) -> dict[str, object]:
    secrets = [
        {"id": one.id, "created_at": one.created_at, "expires_at": one.expires_at, "last_used_at": one.last_used_at}
        for one in client.secrets
    ]
    times = {"created_at": client.created_at, "updated_at": client.updated_at}
    return {"id": client.id, **fields_of(client), "secrets": secrets, **times}


def _api_row(api: Api) -> dict[str, object]:
    return {"id": api.id, **fields_of(api), "created_at": api.created_at, "updated_at": api.updated_at}


def _warn(client: Client) -> None:
    """Say on standard error what this client is allowed for the sake of an old system."""
    for legacy in legacy_of(client):
        typer.echo(f"warning: client {client.id}: {legacy.sentence}", err=True)


@client_commands.command("list")
def client_list(
    search: SearchOption = "",
    limit: LimitOption = 200,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List clients by id."""

    async def work(installation: Installation) -> list[Client]:
        found: list[Client] = []
        async with installation.database.read() as session:
            while len(found) < limit:
                after = found[-1].id if found else ""
                page = await list_clients(session, search=search, after=after, limit=min(200, limit - len(found)))
                if not page:
                    break
                found += page
        return found

    rows = []
    for client in with_store(find_settings(file, data), work):
        _warn(client)
        row = _client_row(client)
        del row["secrets"]
        rows.append(row)
    print_rows(rows, as_json=as_json, columns=("id", "name", "kind", "auth_method", "grants", "disabled"))


@client_commands.command("show")
def client_show(
    client_id: ClientId, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one client, with the ids of its secrets."""

    async def work(installation: Installation) -> Client:
        async with installation.database.read() as session:
            client = await find_client(session, client_id)
        if client is None:
            raise NotFound("there is no client with this id")
        return client

    settings = find_settings(file, data)
    client = with_store(settings, work)
    _warn(client)
    more = switched_on(client, settings.profile)
    print_one({**_client_row(client), **({"demanded_by_profile": more} if more else {})}, as_json=as_json)


@client_commands.command("create")
def client_create(
    client_id: ClientId,
    name: Annotated[str, typer.Option(help="What people see; the id when absent.")] = "",
    public: Annotated[
        bool, typer.Option("--public", help="It cannot keep a secret (browser, phone, desktop).")
    ] = False,
    auth_method: Annotated[str | None, typer.Option(help="How it proves itself at the token endpoint.")] = None,
    redirect_uri: Annotated[Many, typer.Option(help="May be repeated.")] = None,
    post_logout_redirect_uri: Annotated[Many, typer.Option(help="May be repeated.")] = None,
    grant: Annotated[Many, typer.Option(help="May be repeated; authorization_code when absent.")] = None,
    scope: Annotated[Many, typer.Option(help="May be repeated.")] = None,
    audience: Annotated[Many, typer.Option(help="An API it is the server of; may be repeated.")] = None,
    web_origin: Annotated[Many, typer.Option(help="May be repeated.")] = None,
    jwks: Annotated[Path | None, typer.Option(help="The file with its public keys (private_key_jwt).")] = None,
    first_party: Annotated[bool, typer.Option("--first-party", help="People are not asked for consent.")] = False,
    setting: SetOption = None,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a client. A confidential one gets a secret, which is shown this once."""
    draft = ClientDraft(
        id=client_id,
        name=name or client_id,
        kind="public" if public else "confidential",
        auth_method=auth_method or ("none" if public else "client_secret_basic"),
        redirect_uris=tuple(redirect_uri or ()),
        post_logout_redirect_uris=tuple(post_logout_redirect_uri or ()),
        web_origins=tuple(web_origin or ()),
        grants=tuple(grant or ("authorization_code",)),
        scopes=tuple(scope or ()),
        audiences=tuple(audience or ()),
        jwks=_read_jwks(jwks),
        first_party=first_party,
        settings=settings_from(ClientSettings, setting),
    )

    async def work(installation: Installation) -> tuple[Client, NewSecret | None]:
        now = clock.now()
        async with whole(installation.database) as session:
            if await find_client(session, client_id) is not None:
                raise Conflict("there is a client with this id")
            client = await save_client(session, draft, actor=actor(), now=now, profile=installation.profile)
            if client.auth_method not in SECRET_METHODS:
                return client, None
            return client, await add_secret(session, installation.vault, client_id, actor=actor(), now=now)

    client, secret = with_store(find_settings(file, data), work)
    _warn(client)
    row = _client_row(client)
    del row["secrets"]
    print_one({**row, **({"secret": secret.secret} if secret else {})}, as_json=as_json)
    if secret and not as_json:
        typer.echo("The secret is shown this once.", err=True)


def _read_jwks(path: Path | None) -> JsonObject | None:
    if path is None:
        return None
    try:
        value = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        raise Invalid(Problem(str(path), "is not a JWK Set", "write the public keys into it")) from None
    if not isinstance(value, dict):
        raise Invalid(Problem(str(path), "is not a JWK Set", "write the public keys into it"))
    return value


@client_commands.command("disable")
def client_disable(client_id: ClientId, file: FileOption = None, data: DataOption = None) -> None:
    """Let a client get and use no tokens until it is enabled again; one of a metadata document too."""
    _set_disabled(client_id, file, data, disabled=True)
    typer.echo("Disabled.")


@client_commands.command("enable")
def client_enable(client_id: ClientId, file: FileOption = None, data: DataOption = None) -> None:
    """Let a disabled client get tokens again."""
    _set_disabled(client_id, file, data, disabled=False)
    typer.echo("Enabled.")


def _set_disabled(client_id: str, file: Path | None, data: Path | None, *, disabled: bool) -> None:
    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await set_disabled(session, client_id, disabled=disabled, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)


@client_commands.command("delete")
def client_delete(
    client_id: ClientId, yes: YesOption = False, file: FileOption = None, data: DataOption = None
) -> None:
    """Remove a client; its tokens stop working."""
    confirm("Remove this client?", yes=yes)

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await remove_client(session, client_id, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Removed.")


@secret_commands.command("add")
def secret_add(
    client_id: ClientId,
    lifetime: Annotated[str | None, typer.Option(help="How long it works (90d); for ever when absent.")] = None,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make one more secret; it is shown this once."""
    span: timedelta | None = duration(lifetime) if lifetime else None

    async def work(installation: Installation) -> NewSecret:
        async with whole(installation.database) as session:
            return await add_secret(
                session, installation.vault, client_id, actor=actor(), now=clock.now(), lifetime=span
            )

    made = with_store(find_settings(file, data), work)
    print_one({"id": made.id, "secret": made.secret, "expires_at": made.expires_at}, as_json=as_json)


@secret_commands.command("remove")
def secret_remove(
    client_id: ClientId,
    secret_id: Annotated[str, typer.Argument(metavar="SECRET_ID")],
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Make a secret useless at once."""

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await remove_secret(session, client_id, secret_id, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Removed.")


@api_commands.command("list")
def api_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List APIs."""

    async def work(installation: Installation) -> tuple[Api, ...]:
        async with installation.database.read() as session:
            return await list_apis(session)

    apis = with_store(find_settings(file, data), work)
    columns = ("audience", "name", "token_format", "token_lifetime", "scopes")
    print_rows([_api_row(api) for api in apis], as_json=as_json, columns=columns)


@api_commands.command("show")
def api_show(audience: Audience, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show one API."""

    async def work(installation: Installation) -> Api:
        async with installation.database.read() as session:
            api = await find_api(session, audience)
        if api is None:
            raise NotFound("there is no API with this audience")
        return api

    print_one(_api_row(with_store(find_settings(file, data), work)), as_json=as_json)


@api_commands.command("create")
def api_create(
    audience: Audience,
    name: Annotated[str, typer.Option(help="What people see.")],
    scope: Annotated[Many, typer.Option(help="NAME or 'NAME=DESCRIPTION'; may be repeated.")] = None,
    token_format: Annotated[str, typer.Option(help="jwt or reference.")] = "jwt",  # noqa: S107  # not a secret
    token_lifetime: Annotated[str, typer.Option(help="How long an access token lives.")] = "10m",  # noqa: S107  # not a secret
    setting: SetOption = None,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register an API."""
    parts = [text.partition("=") for text in scope or ()]
    scopes = tuple(Scope(scope_name, description) for scope_name, _, description in parts)
    settings = settings_from(ApiSettings, setting)
    draft = ApiDraft(audience, name, scopes, token_format, duration(token_lifetime), settings)

    async def work(installation: Installation) -> Api:
        async with whole(installation.database) as session:
            if await find_api(session, audience) is not None:
                raise Conflict("there is an API with this audience")
            return await save_api(session, draft, actor=actor(), now=clock.now())

    print_one(_api_row(with_store(find_settings(file, data), work)), as_json=as_json)


@api_commands.command("delete")
def api_delete(audience: Audience, yes: YesOption = False, file: FileOption = None, data: DataOption = None) -> None:
    """Remove an API; its scopes stop working for every client."""
    confirm("Remove this API?", yes=yes)

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await remove_api(session, audience, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Removed.")
