"""A store that has seen years: 20,000 clients, 20,000 users and 1,000,000 living tokens, built once and kept.

It lies in the folder for temporary files, under a name that changes with the migrations. A copy of it is measured.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

import kronborg.migrations
from bench.identity import JWT_API, REFERENCE_API, settings_of
from kronborg.core import clock, opaque
from kronborg.core.crypto import Vault
from kronborg.core.db import to_micros
from kronborg.core.ids import new_id, token_id
from kronborg.core.migrate import migrate
from kronborg.tokens.issue import access_key

CLIENTS = USERS = 20_000
ACCESS, GRANTS = 900_000, 100_000
"""Reference tokens, and grants with a refresh token each."""
KNOWN = 5_000
"""Reference tokens whose text is kept, to be introspected."""
DAY = 86_400_000_000
AGES = 10
"""Minutes over which the tokens were issued."""
LIVES = 30 * DAY

_ADD_CLIENT = """INSERT INTO clients_clients (id, name, kind, auth_method, redirect_uris, post_logout_redirect_uris,
    web_origins, grants, scopes, audiences, first_party, disabled, created_at, updated_at) VALUES (?, ?, 'confidential',
    'client_secret_basic', '[]', '[]', '[]', '["client_credentials"]', '[]', '[]', 0, 0, ?, ?)"""
_ADD_SECRET = "INSERT INTO clients_secrets (id, client_id, digest, created_at) VALUES (?, ?, ?, ?)"
_ADD_USER = """INSERT INTO accounts_users (id, username, username_key, email, email_key, name, disabled, roles,
    created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, 0, '[]', ?, ?)"""
_ADD_ACCESS = """INSERT INTO tokens_access (digest, jti, client_id, audience, scopes, issued_at, expires_at)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_ADD_GRANT = """INSERT INTO tokens_grants (id, client_id, user_id, session_id, scopes, audiences, auth_time, amr,
    created_at, expires_at) VALUES (?, ?, ?, NULL, 'openid offline_access bench:read', ?, ?, 'pwd', ?, ?)"""
_ADD_REFRESH = "INSERT INTO tokens_refresh (digest, grant_id, expires_at) VALUES (?, ?, ?)"


@dataclass(frozen=True)
class Store:
    """Where the kept store lies, and the texts of some of its reference tokens."""

    folder: Path
    known: tuple[str, ...]

    def copy_to(self, folder: Path) -> None:
        """The database and the key it was made with."""
        for name in ("kronborg.db", "master.key"):
            shutil.copy(self.folder / name, folder / name)


def big_store() -> Store:
    """The store, built if there is none for the schema of today."""
    folder = Path(tempfile.gettempdir()) / f"kronborg-bench-store-{os.getuid()}-{_schema()}"
    if not (folder / "known.json").exists():
        for old in folder.parent.glob(f"kronborg-bench-store-{os.getuid()}-*"):
            shutil.rmtree(old, ignore_errors=True)
        folder.mkdir(mode=0o700)
        began = time.perf_counter()
        _build(folder)
        sys.stderr.write(f"built the store in {time.perf_counter() - began:.0f} s: {folder}\n")
    return Store(folder, tuple(orjson.loads((folder / "known.json").read_bytes())))


def _schema() -> str:
    digest = hashlib.sha256()
    for file in (*sorted((Path(kronborg.migrations.__path__[0]) / "versions").glob("*.py")), Path(__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _build(folder: Path) -> None:
    settings = settings_of(folder, 0)
    vault = settings.vault()
    migrate(settings.database_url)
    now = to_micros(clock.now())
    connection = sqlite3.connect(folder / "kronborg.db", isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-500000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    clients = [f"client-{number:05}" for number in range(CLIENTS)]
    connection.executemany(_ADD_CLIENT, ((one, one, now, now) for one in clients))
    connection.executemany(_ADD_SECRET, ((new_id(), one, os.urandom(32), now) for one in clients))
    users = [new_id() for _ in range(USERS)]
    connection.executemany(_ADD_USER, _users(users, now))
    minute = now // 60_000_000
    known = [opaque.mint_at(opaque.ACCESS, minute - number % AGES) for number in range(KNOWN)]
    connection.executemany(_ADD_ACCESS, _access(vault, known, clients, now))
    grants = [(new_id(), clients[number % CLIENTS], users[number % USERS]) for number in range(GRANTS)]
    connection.executemany(_ADD_GRANT, ((*grant, JWT_API, now, now, now + LIVES) for grant in grants))
    connection.executemany(_ADD_REFRESH, ((os.urandom(32), grant[0], now + LIVES) for grant in grants))
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.close()
    (folder / "known.json").write_bytes(orjson.dumps(known))


def _users(ids: list[str], now: int) -> Iterator[tuple[object, ...]]:
    for number, one in enumerate(ids):
        name, mail = f"user-{number:05}", f"user-{number:05}@bench.example"
        yield one, name, name, mail, mail, f"User {number}", now, now


def _access(vault: Vault, known: list[str], clients: list[str], now: int) -> Iterator[tuple[object, ...]]:
    """Those whose text is kept lie among the others, as chance will have it: minute and digest are the key."""
    for text in known:
        yield access_key(vault, text), token_id(), clients[0], REFERENCE_API, "bench:count", now, now + LIVES
    for number in range(ACCESS - len(known)):
        client = clients[number % CLIENTS]
        key = (now // 60_000_000 - number % AGES).to_bytes(4, "big") + os.urandom(32)
        yield key, token_id(), client, REFERENCE_API, "bench:count", now, now + LIVES + number
