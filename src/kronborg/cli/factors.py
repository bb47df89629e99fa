"""`kronborg user reset-mfa`."""

from __future__ import annotations

import typer

from kronborg.cli.options import DataOption, FileOption, YesOption, confirm
from kronborg.cli.people import Who, found_user
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.whole import whole
from kronborg.factors.manage import reset_factors
from kronborg.gateway.declare.installation import Installation


def user_reset_mfa(who: Who, yes: YesOption = False, file: FileOption = None, data: DataOption = None) -> None:
    """Take every second factor, recovery code and remembered browser away from a person who lost them."""
    confirm("Let this person sign in with the password alone?", yes=yes)

    async def work(installation: Installation) -> int:
        async with whole(installation.database) as session:
            user = await found_user(session, who)
            return await reset_factors(session, user.id, actor=actor(), now=clock.now())

    count = with_store(find_settings(file, data), work)
    typer.echo(f"Removed {count} {'factor' if count == 1 else 'factors'}.")
