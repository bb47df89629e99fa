"""`kronborg mail test` and `kronborg user invite`: letters, from the command line."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from kronborg.accounts.invitations import invite
from kronborg.accounts.organisations import add_member
from kronborg.accounts.organisations_store import find_organisation_by_slug
from kronborg.cli.options import DataOption, FileOption
from kronborg.cli.people import Who, found_user
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.errors import NotFound
from kronborg.core.letters import Letters
from kronborg.core.mail_delivery import NotSent, send_now
from kronborg.core.whole import whole
from kronborg.gateway.declare.installation import Installation

mail_commands = typer.Typer(help="Letters to people.", no_args_is_help=True)


@mail_commands.command("test")
def mail_test(
    address: Annotated[str, typer.Argument(help="Whom to write to.", metavar="ADDRESS")],
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Send a letter now, past the queue, and say what the server said."""
    settings = find_settings(file, data)
    office = settings.post_office()
    letters = Letters(settings.vault(), settings.issuer, settings.brand)
    letter = letters.compose("test", to=address, language="en", link=letters.url("/account"))
    try:
        asyncio.run(send_now(office, letter, now=clock.now()))
    except NotSent as failure:
        typer.echo(f"Not sent: {failure.reason}.", err=True)
        raise typer.Exit(1) from None
    where = office.folder if settings.mail.host is None else f"{settings.mail.host}:{settings.mail.port}"
    typer.echo(f"Sent to {where}.")


def user_invite(
    who: Who,
    organisation: Annotated[
        str | None, typer.Option("--organisation", help="The short name of one that they become a member of.")
    ] = None,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Send a person a link to choose a password by; older ones work no more."""
    settings = find_settings(file, data)
    letters = Letters(settings.vault(), settings.issuer, settings.brand)

    async def work(installation: Installation) -> str:
        now, name = clock.now(), ""
        async with whole(installation.database) as session:
            user = await found_user(session, who)
            if organisation is not None:
                found = await find_organisation_by_slug(session, organisation)
                if found is None:
                    raise NotFound("there is no such organisation")
                await add_member(session, found.id, user.id, actor=actor(), now=now)
                name = found.name
            return (await invite(session, letters, user.id, actor=actor(), organisation=name, now=now)).email or ""

    typer.echo(f"The letter to {with_store(settings, work)} is on its way.")
