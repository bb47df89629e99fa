"""`kronborg audit …`: search, verify, sign, export and archive the audit log."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import orjson
import typer

from kronborg.audit import chain_store as store
from kronborg.audit.checkpoints import (
    checkpoint_json,
    key_json,
    make_checkpoint,
    own_keys,
    read_checkpoint,
    read_keys,
    rotate_key,
)
from kronborg.audit.export import Archived, archive, export_lines, prune, verify_lines
from kronborg.audit.model import Checkpoint, Search, Verified
from kronborg.audit.reading import Read, search_events
from kronborg.audit.verify import Scope, verify_and_note
from kronborg.cli.options import DataOption, FileOption, YesOption, confirm, duration
from kronborg.cli.output import JsonOption, print_json, print_one, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.errors import Invalid, Problem
from kronborg.gateway.declare.installation import Installation

audit_commands = typer.Typer(help="The audit log: search, verify, sign, export, archive.", no_args_is_help=True)

OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write to this file, which must not be there yet; else printed.")
]


def _moment(text: str | None, where: str) -> datetime | None:
    """`2026-06-01`, `2026-06-01T12:00:00Z`, or `7d` for so long ago."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        try:
            return clock.now() - duration(text)
        except typer.BadParameter:
            raise typer.BadParameter(f"{where} is a date, a moment in RFC 3339, or how long ago (7d)") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@audit_commands.command("search")
def audit_search(
    name: Annotated[str, typer.Option(help="Only names that begin so: user. or user.created.")] = "",
    actor: Annotated[str, typer.Option(help="Who did it.")] = "",
    subject: Annotated[str, typer.Option(help="What it was done to.")] = "",
    request_id: Annotated[str, typer.Option(help="The request it was part of.")] = "",
    since: Annotated[str | None, typer.Option(help="2026-06-01, a moment, or how long ago (7d).")] = None,
    until: Annotated[str | None, typer.Option(help="The same.")] = None,
    before: Annotated[int | None, typer.Option(help="Only events older than this number.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """What happened, newest first; personal values in the clear as long as the person is there."""
    search = Search(name, actor, subject, request_id, _moment(since, "--since"), _moment(until, "--until"))

    async def work(installation: Installation) -> list[Read]:
        return await search_events(installation.database, installation.vault, search, before=before, limit=limit)

    rows: list[dict[str, object]] = [
        {
            "seq": one.event.seq,
            "id": one.event.id,
            "at": one.event.at,
            "name": one.event.name,
            "actor": one.event.actor,
            "subject": one.event.subject,
            "detail": one.detail,
            "request_id": one.event.request_id,
        }
        for one in with_store(find_settings(file, data), work)
    ]
    print_rows(rows, as_json=as_json, columns=("seq", "at", "name", "actor", "subject", "detail"))


@audit_commands.command("verify")
def audit_verify(
    export: Annotated[Path | None, typer.Option(help="Verify this export alone, without an installation.")] = None,
    key: Annotated[Path | None, typer.Option(help="The public keys to believe (kronborg audit key).")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint that was kept elsewhere.")] = None,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify every event, link and checkpoint; names the first row that was altered, removed or inserted (exit 1)."""
    against = None if checkpoint is None else read_checkpoint(_json_in(checkpoint))
    if export is not None:
        keys = None if key is None else read_keys(_json_in(key))
        with export.open("rb") as source:
            found = verify_lines(_lines(source), keys, against)
        if key is None:
            typer.echo("The keys in the export are believed: give --key to know whose it is.", err=True)
    else:
        found = with_store(find_settings(file, data), lambda installation: _verify(installation, against))
    _print_verified(found, as_json=as_json)


async def _verify(installation: Installation, against: Checkpoint | None) -> Verified:
    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\rverified {done:,} of {total:,}", err=True, nl=done >= total)

    database, vault = installation.database, installation.vault
    return await verify_and_note(database, vault, Scope(against=against), now=clock.now(), progress=progress)


def _print_verified(found: Verified, *, as_json: bool) -> None:
    wrong = found.finding
    row: dict[str, object] = {
        "holds": wrong is None,
        "first": found.first,
        "last": found.last,
        "events": found.events,
        "checkpoints": found.checkpoints,
        "link": found.link,
    }
    if wrong is not None:
        row |= {"what": wrong.what, "place": wrong.n, "seq": wrong.seq, "event_id": wrong.event_id, "told": wrong.told}
    print_one(row, as_json=as_json)
    if wrong is not None:
        raise typer.Exit(1)


@audit_commands.command("checkpoint")
def audit_checkpoint(file: FileOption = None, data: DataOption = None) -> None:
    """Sign the end of the log and print the checkpoint: keep it where nobody who runs this installation can write."""

    async def work(installation: Installation) -> Checkpoint | None:
        await make_checkpoint(installation.database, installation.vault, now=clock.now())
        return await store.last_checkpoint(installation.database.lookup)

    made = with_store(find_settings(file, data), work)
    if made is None:
        typer.echo("Nothing is sealed yet: the worker does that while Kronborg runs.", err=True)
        raise typer.Exit(1)
    typer.echo(orjson.dumps(checkpoint_json(made)).decode())


@audit_commands.command("key")
def audit_key(
    rotate: Annotated[bool, typer.Option("--rotate", help="Sign with a new key from now on.")] = False,
    yes: YesOption = False,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Print the public keys that sign checkpoints, as a JWK Set."""
    if rotate:
        confirm("Sign checkpoints with a new key? Keep the new public key elsewhere then.", yes=yes)

    async def work(installation: Installation) -> dict[str, object]:
        if rotate:
            await rotate_key(installation.database, installation.vault, actor=actor(), now=clock.now())
        keys, _ = await own_keys(installation.database, installation.vault)
        return {"keys": [key_json(kid, key) for kid, key in keys.items()]}

    print_json(with_store(find_settings(file, data), work))


@audit_commands.command("export")
def audit_export(output: OutputOption = None, file: FileOption = None, data: DataOption = None) -> None:
    """Write the whole log as JSON lines, with its chain and checkpoints: verifiable without the database."""
    with _target(output) as write:

        async def work(installation: Installation) -> None:
            await make_checkpoint(installation.database, installation.vault, now=clock.now())
            async for line in export_lines(installation.database, installation.vault):
                write(line)

        with_store(find_settings(file, data), work)


@audit_commands.command("archive")
def audit_archive(
    before: Annotated[str, typer.Option(help="Events older than this: a date, a moment, or how long ago (365d).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, which must not be there yet.")],
    yes: YesOption = False,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export old events to a file, verify it, and delete them from the database; the chain goes on from there."""
    moment = _moment(before, "--before")
    confirm("Delete old events from the database once they are in the file?", yes=yes)

    async def work(installation: Installation) -> tuple[Archived, int]:
        database, vault = installation.database, installation.vault
        with _target(output) as write:
            done = await archive(database, vault, write, before=moment or clock.now(), actor=actor(), now=clock.now())
        keys, _ = await own_keys(database, vault)
        with output.open("rb") as written:
            found = verify_lines(_lines(written), keys)
        if found.finding is not None or found.last != done.last:
            raise Invalid(Problem(str(output), "does not hold what was written: nothing was deleted"))
        return done, await prune(database, done)

    done, count = with_store(find_settings(file, data), work)
    print_one({"first": done.first, "last": done.last, "deleted": count, "file": str(output)}, as_json=as_json)


@contextmanager
def _target(output: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Where to write; a file is made for its owner only, never overwritten, and safe on the disk at the end."""
    if output is None:
        yield lambda line: sys.stdout.write(line.decode())
        return
    output.touch(mode=0o600, exist_ok=False)
    with output.open("wb") as file:
        yield file.write
        file.flush()
        os.fsync(file.fileno())


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    """Lines of a bounded length, one at a time."""
    while line := source.readline(8 << 20):
        yield line


def _json_in(path: Path) -> object:
    try:
        with path.open("rb") as source:
            return orjson.loads(source.read(1 << 20))
    except orjson.JSONDecodeError:
        raise Invalid(Problem(str(path), "is not JSON")) from None
