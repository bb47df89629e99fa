"""`kronborg token-issuer …`: other issuers whose tokens the gateway takes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast

import typer

from kronborg.cli.options import DataOption, FileOption, YesOption, confirm
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.clients.store import list_apis
from kronborg.core import clock
from kronborg.core.whole import whole
from kronborg.gateway.access_model import Algorithm, AudienceMapping, TokenIssuer
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.token_issuers import remove_token_issuer, save_token_issuer
from kronborg.gateway.token_issuers_store import list_token_issuers

token_issuer_commands = typer.Typer(help="Other issuers whose tokens the gateway takes.", no_args_is_help=True)


def _row(issuer: TokenIssuer) -> dict[str, object]:
    return {**asdict(issuer), "audiences": [f"{one.api}={one.audience}" for one in issuer.audiences]}


@token_issuer_commands.command("set")
def token_issuer_set(
    name: Annotated[str, typer.Argument(help="What routes call it.")],
    issuer: Annotated[str, typer.Argument(help="The iss of its tokens.")],
    audience: Annotated[list[str], typer.Option(help="API=AUDIENCE: what its tokens call an API; may be repeated.")],
    jwks_uri: Annotated[str | None, typer.Option(help="Where its public keys are fetched from.")] = None,
    jwks: Annotated[Path | None, typer.Option(help="A file with its public keys, in place of an address.")] = None,
    algorithm: Annotated[list[str] | None, typer.Option(help="RS256, ES256 ...; may be repeated.")] = None,
    client_claim: Annotated[str, typer.Option(help="The claim that names the client.")] = "client_id",
    subject_claim: Annotated[str, typer.Option(help="The claim that names the subject.")] = "sub",
    scope_claim: Annotated[str, typer.Option(help="The claim with the scopes: words, or a list.")] = "scope",
    roles_claim: Annotated[str, typer.Option(help="The claim with the roles, or a JSON Pointer.")] = "roles",
    any_type: Annotated[bool, typer.Option(help="Take its tokens whatever their typ says.")] = False,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make or replace one; it holds from the next published version on."""
    pairs = [one.rpartition("=") for one in audience]
    wanted = TokenIssuer(
        name=name,
        issuer=issuer,
        audiences=tuple(AudienceMapping(api, value) for api, _, value in pairs),
        jwks_uri=jwks_uri,
        jwks="" if jwks is None else jwks.read_text(encoding="utf-8"),
        algorithms=cast("tuple[Algorithm, ...]", tuple(algorithm or ("RS256", "ES256"))),
        client_claim=client_claim,
        subject_claim=subject_claim,
        scope_claim=scope_claim,
        roles_claim=roles_claim,
        any_type=any_type,
    )

    async def work(installation: Installation) -> TokenIssuer:
        async with whole(installation.database) as session:
            apis = frozenset(api.audience for api in await list_apis(session))
            own = installation.issuer
            return await save_token_issuer(session, wanted, own=own, apis=apis, actor=actor(), now=clock.now())

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@token_issuer_commands.command("list")
def token_issuer_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List them by name."""

    async def work(installation: Installation) -> tuple[TokenIssuer, ...]:
        async with installation.database.read() as session:
            return await list_token_issuers(session)

    found = with_store(find_settings(file, data), work)
    columns = ("name", "issuer", "audiences", "jwks_uri", "algorithms")
    print_rows([_row(one) for one in found], as_json=as_json, columns=columns)


@token_issuer_commands.command("remove")
def token_issuer_remove(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    yes: YesOption = False,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Take its tokens no more, from the next published version on."""
    confirm("Remove this issuer?", yes=yes)

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await remove_token_issuer(session, name, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Removed.")
