"""A store with very many people: raw inserts, built once for each schema and kept in the folder for temporary files.

Each has a name, an address and a password (the same hash for all); every fifth has a session, and every tenth was heard
of in the audit log. They are in a thousand groups.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from argon2 import PasswordHasher

import kronborg.migrations
from bench.identity import PASSWORD, settings_of
from kronborg.core import clock
from kronborg.core.db import to_micros
from kronborg.core.ids import new_id
from kronborg.core.migrate import migrate
from kronborg.signin.model import PasswordSettings

GROUPS = 1000
DAY = 86_400_000_000
FIRST = "Anna Bo Carl Dina Emil Freja Gustav Hanne Ida Jens Karen Lars Mette Niels Oline Peter Rikke Søren Tove Viggo"
LAST = (
    "Andersen Bruun Christensen Dahl Eriksen Friis Gram Hansen Iversen Jensen Krag Lund Madsen Nielsen Olsen Petersen"
)

_USER = """INSERT INTO accounts_users (id, username, username_key, email, email_key, name, name_key, disabled, roles,
    created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, 0, '[]', ?, ?)"""
_PASSWORD = "INSERT INTO signin_passwords (user_id, hash, changed_at) VALUES (?, ?, ?)"
_SESSION = """INSERT INTO signin_sessions (id, digest, user_id, amr, auth_time, last_seen_at, expires_at, user_agent,
    address) VALUES (?, ?, ?, '["pwd"]', ?, ?, ?, 'Firefox/140.0 (X11; Linux)', '192.0.2.1')"""
_GROUP = "INSERT INTO accounts_groups (id, name, name_key, roles, created_at, updated_at) VALUES (?, ?, ?, '[]', ?, ?)"
_MEMBER = "INSERT INTO accounts_memberships (user_id, group_id) VALUES (?, ?)"
_EVENT = """INSERT INTO core_events (id, name, actor, subject, at, detail, request_id)
    VALUES (?, 'session.begun', ?, ?, ?, '{}', '')"""


def crowd(users: int) -> Path:
    """The folder of the store with so many people, built if there is none for the schema of today."""
    folder = Path(tempfile.gettempdir()) / f"kronborg-bench-people-{os.getuid()}-{users}-{_schema()}"
    if not (folder / "whole").exists():
        for old in folder.parent.glob(f"kronborg-bench-people-{os.getuid()}-{users}-*"):
            shutil.rmtree(old, ignore_errors=True)
        folder.mkdir(mode=0o700)
        began = time.perf_counter()
        _build(folder, users)
        (folder / "whole").touch()
        sys.stderr.write(f"built {users} people in {time.perf_counter() - began:.0f} s\n")
    return folder


def username(number: int) -> str:
    """The username of one of them."""
    return f"person-{number:07}"


def _schema() -> str:
    digest = hashlib.sha256()
    for file in (*sorted((Path(kronborg.migrations.__path__[0]) / "versions").glob("*.py")), Path(__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _build(folder: Path, users: int) -> None:
    settings = settings_of(folder, 0)
    settings.vault()
    migrate(settings.database_url)
    now = to_micros(clock.now())
    connection = sqlite3.connect(folder / "kronborg.db", isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-500000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    ids = [new_id() for _ in range(users)]
    groups = [new_id() for _ in range(GROUPS)]
    costs = PasswordSettings()
    encoded = PasswordHasher(costs.passes, costs.memory_kib, costs.lanes).hash(PASSWORD)
    connection.executemany(_USER, _people(ids, now))
    connection.executemany(_PASSWORD, ((one, encoded, now) for one in ids))
    connection.executemany(_GROUP, ((one, f"group {n:04}", f"group {n:04}", now, now) for n, one in enumerate(groups)))
    connection.executemany(_MEMBER, ((one, groups[n % GROUPS]) for n, one in enumerate(ids)))
    seen = [(one, now - n * 1000) for n, one in enumerate(ids[::5])]
    connection.executemany(_SESSION, ((new_id(), os.urandom(32), one, at, at, at + 14 * DAY) for one, at in seen))
    connection.executemany(_EVENT, ((new_id(), one, one, now - DAY + n) for n, one in enumerate(ids[::10])))
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def _people(ids: list[str], now: int) -> Iterator[tuple[object, ...]]:
    chance = random.Random(1609)
    first, last = FIRST.split(), LAST.split()
    for number, one in enumerate(ids):
        name = f"{chance.choice(first)} {chance.choice(last)} {number}"
        login, mail = username(number), f"{name.split()[0].lower()}.{number}@bench.example"
        yield one, login, login, mail, mail, name, name.casefold(), now, now
