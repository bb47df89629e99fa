"""`kronborg key …`, `kronborg events` and `kronborg logouts`: what an operator looks at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from kronborg.cli.options import DataOption, FileOption, YesOption, confirm
from kronborg.cli.output import JsonOption, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.errors import Invalid, Problem
from kronborg.core.events import Event, latest
from kronborg.core.jose import BadKey
from kronborg.core.jws import LINES, MAX_IMPORT, Line
from kronborg.gateway.declare.installation import Installation
from kronborg.oauth.logout_store import Logout, latest_logouts
from kronborg.tokens.key_holders import HELD
from kronborg.tokens.keys import KeyRing
from kronborg.tokens.model import StoredKey

key_commands = typer.Typer(help="The keys that sign tokens.", no_args_is_help=True)
AlgOption = Annotated[
    str | None, typer.Option("--alg", help="Only the key for this algorithm; every signing key else.")
]


@key_commands.command("list")
def key_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List keys: next, active, retiring, for each algorithm."""
    _on_the_ring(file, data, as_json=as_json)


@key_commands.command("rotate")
def key_rotate(
    compromised: Annotated[
        bool, typer.Option("--compromised", help="Believe nothing the old key signed, from now on.")
    ] = False,
    alg: AlgOption = None,
    yes: YesOption = False,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign with the next key from now on; the old one stays published until what it signed has expired."""
    line = None if alg is None else _line(alg)
    if compromised:
        confirm("Every token signed by the active key stops working. Go on?", yes=yes)

    async def work(ring: KeyRing) -> None:
        await ring.rotate(now=clock.now(), force=True, compromised=compromised, line=line, actor=actor())

    _on_the_ring(file, data, work, as_json=as_json)


@key_commands.command("revoke")
def key_revoke(
    key_id: Annotated[str, typer.Argument(help="The id of the key, as list shows it.")],
    yes: YesOption = False,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Believe nothing that one key signed, from now on; an active one makes way for the next."""
    confirm("Every token signed by this key stops working. Go on?", yes=yes)

    async def work(ring: KeyRing) -> None:
        await ring.revoke(key_id, actor=actor(), now=clock.now())

    _on_the_ring(file, data, work, as_json=as_json)


@key_commands.command("import")
def key_import(
    path: Annotated[Path, typer.Argument(help="The private key: PEM without a passphrase, or a JWK.")],
    alg: Annotated[str, typer.Option("--alg", help="What it is for: ES256, Ed25519, PS256, RS256 or ECDH-ES.")],
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a private key: it is published as the next one of its algorithm, and signs after the next rotation."""
    line = _line(alg)
    with path.open(encoding="utf-8", errors="replace") as source:
        text = source.read(MAX_IMPORT + 1)

    async def work(ring: KeyRing) -> None:
        try:
            await ring.bring(text, line, actor=actor(), now=clock.now())
        except BadKey as wrong:
            raise Invalid(Problem(str(path), str(wrong))) from None

    _on_the_ring(file, data, work, as_json=as_json)


def _on_the_ring(
    file: Path | None,
    data: Path | None,
    work: Callable[[KeyRing], Awaitable[None]] | None = None,
    *,
    as_json: bool,
) -> None:
    """Do the work, and show what keys there are then."""

    async def whole(installation: Installation) -> tuple[StoredKey, ...]:
        ring = KeyRing(installation.database, installation.vault)
        if work is not None:
            await work(ring)
        return await ring.stored()

    rows = [_row(key) for key in with_store(find_settings(file, data), whole)]
    print_rows(rows, as_json=as_json, columns=("id", "state", "algorithm", "created_at", "activated_at", "retired_at"))


def _line(alg: str) -> Line:
    for line in LINES:
        if line == alg:
            return line
    raise typer.BadParameter(f"--alg is one of {', '.join(LINES)}")


def _row(key: StoredKey) -> dict[str, object]:
    return {
        "id": key.id,
        "state": key.state,
        "algorithm": key.line,
        "kept": "PKCS#11" if key.sealed.startswith(HELD) else "sealed",
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


def logouts(
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 50,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Which applications were told of a session that ended, and how it went, newest first."""

    async def work(installation: Installation) -> tuple[Logout, ...]:
        return await latest_logouts(installation.database.lookup, limit=limit)

    rows = [asdict(logout) for logout in with_store(find_settings(file, data), work)]
    columns = ("created_at", "client_id", "session_id", "state", "attempts", "result", "next_at")
    print_rows(rows, as_json=as_json, columns=columns)
