"""`kronborg token …`: take tokens back."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kronborg.cli.options import DataOption, FileOption, YesOption, confirm
from kronborg.cli.output import JsonOption, print_one
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.errors import NotFound
from kronborg.gateway.declare.installation import Installation
from kronborg.opening import engine_for
from kronborg.tokens.revoke import REVOKED_BY_ADMINISTRATOR, What, take_back

token_commands = typer.Typer(help="Tokens that were issued.", no_args_is_help=True)

_LONGEST = 16384


@token_commands.command("revoke")
def token_revoke(
    token: Annotated[str | None, typer.Option(help="A token; - reads it from standard input.")] = None,
    grant: Annotated[str | None, typer.Option(help="A grant: the gid of its tokens.")] = None,
    session: Annotated[str | None, typer.Option(help="A browser session: the sid of its tokens.")] = None,
    client: Annotated[str | None, typer.Option(help="Everything that this client holds.")] = None,
    user: Annotated[str | None, typer.Option(help="Everything that the user with this id gave to clients.")] = None,
    yes: YesOption = False,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back one token, grant or session, or all that a client or a user has; gateways hear of it at once."""
    options: tuple[tuple[What, str | None], ...] = (
        ("token", token),
        ("grant", grant),
        ("session", session),
        ("client", client),
        ("user", user),
    )
    named = [(kind, value) for kind, value in options if value is not None]
    if len(named) != 1:
        raise typer.BadParameter("name one of --token, --grant, --session, --client and --user")
    kind, value = named[0]
    if kind == "token" and value == "-":
        value = sys.stdin.readline(_LONGEST).strip()
    if kind in ("client", "user"):
        confirm(f"Every token of this {kind} stops working. Go on?", yes=yes)
    settings = find_settings(file, data)

    async def work(installation: Installation) -> int | None:
        now = clock.now()
        engine = await engine_for(settings, installation.database, now=now)
        return await take_back(engine, kind, value, actor=actor(), reason=REVOKED_BY_ADMINISTRATOR, now=now)

    grants = with_store(settings, work)
    if grants is None:
        raise NotFound("there is nothing such that could be revoked")
    print_one({"revoked": kind, "grants": grants}, as_json=as_json)
