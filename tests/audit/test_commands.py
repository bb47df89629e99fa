"""`kronborg audit` and `kronborg webhook`, from making to verifying what somebody changed by hand."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.shell import Shell
from kronborg.audit.chain import seal_waiting
from kronborg.core.db import Database


@pytest.fixture
def shell(tmp_path: Path, sqlite_template: Path) -> Shell:
    data = tmp_path / ".kronborg"
    data.mkdir(mode=0o700)
    (data / "kronborg.db").write_bytes(sqlite_template.read_bytes())
    made = Shell(tmp_path)
    made.run("group", "create", "staff")
    made.run("user", "create", "ada", "--email", "ada@shop.example")
    seal(made)
    return made


def seal(shell: Shell) -> None:
    """What the worker does while Kronborg runs."""

    async def work() -> None:
        database = await Database.open(f"sqlite:///{shell.folder / '.kronborg' / 'kronborg.db'}")
        while (await seal_waiting(database, {}, now=datetime(2026, 6, 1, tzinfo=UTC))).events:
            pass
        await database.close()

    asyncio.run(work())


def meddle(shell: Shell, trigger: str, statement: str) -> None:
    with sqlite3.connect(shell.folder / ".kronborg" / "kronborg.db") as connection:
        connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(statement)
    connection.close()


def test_the_log_is_verified_signed_and_exported(shell: Shell) -> None:
    kept = shell.run("audit", "checkpoint")
    (shell.folder / "kept.json").write_text(kept)
    (shell.folder / "keys.json").write_text(shell.run("audit", "key"))
    shell.run("audit", "export", "--output", "log.jsonl")
    alone = ("audit", "verify", "--export", "log.jsonl", "--key", "keys.json", "--checkpoint", "kept.json")

    whole, exported = shell.json("audit", "verify", "--checkpoint", "kept.json"), shell.json(*alone)

    assert (whole["holds"], exported["holds"]) == (True, True)
    assert (shell.folder / "log.jsonl").stat().st_mode & 0o077 == 0
    assert shell.run("audit", "export").startswith('{"floor"')
    assert shell.attempt("audit", "export", "-o", "log.jsonl").returncode == 1


def test_an_altered_row_is_named(shell: Shell) -> None:
    meddle(shell, "core_events_no_update", "UPDATE core_events SET actor = 'x' WHERE name = 'group.created'")

    done = shell.attempt("audit", "verify")

    assert done.returncode == 1
    assert "is not as it was recorded" in done.stdout


def test_a_line_changed_in_an_export_is_named(shell: Shell) -> None:
    shell.run("audit", "checkpoint")
    text = shell.run("audit", "export").replace('"actor":"cli', '"actor":"CLI', 1)
    (shell.folder / "log.jsonl").write_text(text)

    done = shell.attempt("audit", "verify", "--export", "log.jsonl", "--json")

    assert done.returncode == 1
    assert '"what": "altered"' in done.stdout
    assert "The keys in the export are believed" in done.stderr


def test_events_are_found_and_archived(shell: Shell) -> None:
    shell.run("audit", "checkpoint")

    found = shell.json("audit", "search", "--name", "user.", "--since", "1d")
    archived = shell.json("audit", "archive", "--before", "0s", "-o", "old.jsonl", "--yes")
    seal(shell)
    rest = shell.json("audit", "verify")
    left = shell.json("audit", "search")

    assert [event["detail"]["username"] for event in found] == ["ada"]
    assert archived["deleted"] == archived["last"]
    assert (rest["holds"], rest["first"]) == (True, archived["last"] + 1)
    assert "user.created" not in [event["name"] for event in left]
    assert shell.json("audit", "verify", "--export", "old.jsonl")["last"] == archived["last"]
    assert shell.attempt("audit", "archive", "--before", "365d", "-o", "older.jsonl", "--yes").returncode == 1


def test_nothing_is_signed_before_something_is_sealed(tmp_path: Path, sqlite_template: Path) -> None:
    data = tmp_path / ".kronborg"
    data.mkdir(mode=0o700)
    (data / "kronborg.db").write_bytes(sqlite_template.read_bytes())

    assert Shell(tmp_path).attempt("audit", "checkpoint").returncode == 1


def test_keys_rotate_and_the_old_ones_still_verify(shell: Shell) -> None:
    shell.run("audit", "checkpoint")
    shell.run("audit", "key", "--rotate", "--yes")
    seal(shell)
    shell.run("audit", "checkpoint")

    verified = shell.json("audit", "verify")

    assert (verified["holds"], verified["checkpoints"]) == (True, 2)


@pytest.mark.parametrize("text", ["{}", "[]", "no", '{"keys": [{"kid": 1}]}'])
def test_what_is_no_key_or_checkpoint_is_refused(shell: Shell, text: str) -> None:
    (shell.folder / "wrong.json").write_text(text)
    shell.run("audit", "export", "-o", "log.jsonl")

    key = shell.attempt("audit", "verify", "--export", "log.jsonl", "--key", "wrong.json")
    checkpoint = shell.attempt("audit", "verify", "--checkpoint", "wrong.json")

    assert (key.returncode, checkpoint.returncode) == (1, 1)
    assert "Traceback" not in key.stderr + checkpoint.stderr


def test_a_webhook_is_made_listed_tested_and_removed(shell: Shell) -> None:
    made = shell.json("webhook", "save", "siem", "https://siem.example/hook", "--event", "user.*", "--checkpoints")
    changed = shell.json("webhook", "save", "siem", "https://siem.example/other")
    rotated = shell.json("webhook", "secret", "siem", "--overlap", "2h")
    sent = shell.run("webhook", "test", "siem").strip()
    shell.run("webhook", "retry", "siem", sent)
    deliveries = shell.json("webhook", "deliveries", "siem")
    listed = shell.json("webhook", "list")
    shell.run("webhook", "delete", "siem", "--yes")

    assert made["secret"].startswith("whsec_")
    assert made["secret"] != rotated["secret"]
    assert "secret" not in changed
    assert [one["id"] for one in deliveries] == [sent]
    assert [(one["name"], one["url"], one["events"]) for one in listed] == [
        ("siem", "https://siem.example/other", ["*"])
    ]
    assert shell.json("webhook", "list") == []
    assert shell.attempt("webhook", "test", "siem").returncode == 1
