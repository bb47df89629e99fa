"""`kronborg key …` and `kronborg events`: what an operator looks at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from kronborg.cli.options import DataOption, FileOption, YesOption, confirm
from kronborg.cli.output import JsonOption, print_rows
from kronborg.cli.store_access import find_settings, with_store
from kronborg.core import clock
from kronborg.core.events import Event, latest
from kronborg.gateway.declare.installation import Installation
from kronborg.tokens.keys import KeyRing
from kronborg.tokens.model import StoredKey

key_commands = typer.Typer(help="The keys that sign tokens.", no_args_is_help=True)


@key_commands.command("list")
def key_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List signing keys: next, active, retiring."""

    async def work(installation: Installation) -> tuple[StoredKey, ...]:
        return await KeyRing(installation.database, installation.vault).stored()

    rows = [_row(key) for key in with_store(find_settings(file, data), work)]
    print_rows(rows, as_json=as_json, columns=("id", "state", "algorithm", "created_at", "activated_at", "retired_at"))


@key_commands.command("rotate")
def key_rotate(
    compromised: Annotated[
        bool, typer.Option("--compromised", help="Believe nothing the old key signed, from now on.")
    ] = False,
    yes: YesOption = False,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign with the next key from now on; the old one stays published until what it signed has expired."""
    if compromised:
        confirm("Every token signed by the active key stops working. Go on?", yes=yes)

    async def work(installation: Installation) -> tuple[StoredKey, ...]:
        ring = KeyRing(installation.database, installation.vault)
        await ring.rotate(now=clock.now(), force=True, compromised=compromised)
        return await ring.stored()

    rows = [_row(key) for key in with_store(find_settings(file, data), work)]
    print_rows(rows, as_json=as_json, columns=("id", "state", "algorithm", "created_at", "activated_at", "retired_at"))


def _row(key: StoredKey) -> dict[str, object]:
    return {
        "id": key.id,
        "state": key.state,
        "algorithm": key.public_jwk.get("alg"),
        "created_at": key.created_at,
        "activated_at": key.activated_at,
        "retired_at": key.retired_at,
    }


def events(
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 50,
    before: Annotated[int | None, typer.Option(help="Only events older than this number.")] = None,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """What happened, newest first: the audit log."""

    async def work(installation: Installation) -> Sequence[Event]:
        async with installation.database.read() as session:
            return await latest(session, before=before, limit=limit)

    rows: list[dict[str, object]] = [
        {
            "seq": event.seq,
            "at": event.at,
            "name": event.name,
            "actor": event.actor,
            "subject": event.subject,
            "detail": event.detail,
            "request_id": event.request_id,
        }
        for event in with_store(find_settings(file, data), work)
    ]
    print_rows(rows, as_json=as_json, columns=("seq", "at", "name", "actor", "subject", "detail"))
