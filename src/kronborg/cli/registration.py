"""`kronborg registration …`: initial access tokens, with which clients register themselves."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from kronborg.cli.options import DataOption, FileOption, YesOption, confirm, duration
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.clients.admission import ANYTHING_USUAL, RegistrationPolicy, policy_json
from kronborg.clients.dynamic_model import InitialToken, NewInitialToken
from kronborg.clients.dynamic_store import list_tokens
from kronborg.clients.model import AuthMethod, GrantName
from kronborg.clients.registration import make_initial_token, revoke_initial_token
from kronborg.core import clock
from kronborg.core.whole import whole
from kronborg.gateway.declare.installation import Installation

registration_commands = typer.Typer(
    help="Initial access tokens: who may register clients by themselves, and within what.", no_args_is_help=True
)
Many = list[str] | None


def _row(token: InitialToken) -> dict[str, object]:
    return {
        "id": token.id,
        "name": token.name,
        "uses": token.uses,
        "max_uses": token.max_uses,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        **policy_json(token.policy),
    }


@registration_commands.command("create")
def registration_create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    lifetime: Annotated[str, typer.Option(help="How long it works.")] = "1d",
    max_uses: Annotated[int, typer.Option(min=1, max=100_000, help="How many clients may come with it.")] = 1,
    grant: Annotated[Many, typer.Option(help="A grant they may use; may be repeated.")] = None,
    scope: Annotated[
        Many, typer.Option(help="A scope they may ask for; may be repeated; every one when absent.")
    ] = None,
    auth_method: Annotated[Many, typer.Option(help="How they may authenticate; may be repeated.")] = None,
    redirect_host: Annotated[Many, typer.Option(help="app.example or *.app.example; may be repeated.")] = None,
    redirect_scheme: Annotated[Many, typer.Option(help="https, http or one of an app; may be repeated.")] = None,
    max_clients: Annotated[int, typer.Option(min=1, max=100_000, help="How many of them there may be.")] = 1000,
    unused: Annotated[str, typer.Option(help="One that nobody used for this long is removed.")] = "30d",
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an initial access token; it is shown this once."""
    usual = ANYTHING_USUAL
    policy = RegistrationPolicy(
        grants=cast("tuple[GrantName, ...]", tuple(grant or usual.grants)),
        scopes=tuple(scope) if scope else None,
        auth_methods=cast("tuple[AuthMethod, ...]", tuple(auth_method or usual.auth_methods)),
        redirect_hosts=tuple(redirect_host or ()),
        redirect_schemes=tuple(redirect_scheme or usual.redirect_schemes),
        max_clients=max_clients,
        unused=duration(unused),
    )
    span = duration(lifetime)

    async def work(installation: Installation) -> NewInitialToken:
        async with whole(installation.database) as session:
            return await make_initial_token(
                session,
                installation.vault,
                name=name,
                policy=policy,
                lifetime=span,
                max_uses=max_uses,
                actor=actor(),
                now=clock.now(),
            )

    made = with_store(find_settings(file, data), work)
    print_one({**_row(made.token), "token": made.text}, as_json=as_json)
    if not as_json:
        typer.echo("The token is shown this once.", err=True)


@registration_commands.command("list")
def registration_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List initial access tokens, the newest first."""

    async def work(installation: Installation) -> tuple[InitialToken, ...]:
        async with installation.database.read() as session:
            return await list_tokens(session)

    tokens = with_store(find_settings(file, data), work)
    columns = ("id", "name", "uses", "max_uses", "expires_at")
    print_rows([_row(token) for token in tokens], as_json=as_json, columns=columns)


@registration_commands.command("revoke")
def registration_revoke(
    token_id: Annotated[str, typer.Argument(metavar="TOKEN_ID")],
    yes: YesOption = False,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Make an initial access token useless at once; clients that came with it stay."""
    confirm("Revoke this token?", yes=yes)

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await revoke_initial_token(session, token_id, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Revoked.")
