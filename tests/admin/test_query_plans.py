"""Lists hold at a million rows: every statement that the admin API and the console send is explained by the database.

The database here is small, so PostgreSQL is told to dislike reading whole tables: where it still does, there is no
index that would do. SQLite is asked how it would go about it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from admin.conftest import Admin
from kronborg.accounts.users import NewUser, create_user
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.group_writer import Row, Value
from kronborg.sessions.life import begin_session
from kronborg.sessions.model import Origin
from kronborg.sessions.visits import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kronborg.core.db import Database

pytestmark = pytest.mark.anyio

GROWING = frozenset(
    (
        "accounts_users",
        "accounts_memberships",
        "accounts_members",
        "audit_chain",
        "core_events",
        "factors_factors",
        "federation_identities",
        "oauth_consents",
        "signin_passwords",
        "signin_sessions",
        "tokens_access",
        "tokens_grants",
        "tokens_refresh",
    )
)
"""Tables with a row or more for each person."""
API = (
    "/api/users",
    "/api/users?search=an",
    "/api/users?search=an&after={user}",
    "/api/users?after={user}",
    "/api/users/{user}",
    "/api/groups",
    "/api/groups?after={group}",
    "/api/groups/{group}/members",
    "/api/organisations",
    "/api/events",
    "/api/events?after=5",
    "/api/events?subject={user}",
    "/api/events?actor=test",
    "/api/events?name=user.",
    "/api/users/{user}/sessions",
    "/api/users/{user}/factors",
)
CONSOLE = (
    "/console",
    *(f"/console/{section}" for section in SECTIONS if section != "dashboard"),
    "/console/users?q=an",
    "/console/users?after={user}",
    "/console/users?q=an&after={user}",
    "/console/users/{user}",
    "/console/groups?q=an",
    "/console/groups/{group}",
    "/console/organisations?q=an",
    "/console/audit?q=subject:{user}",
    "/console/audit?q=actor:test",
    "/console/audit?q=user.created",
    "/console/audit?q=user.&span=1d",
    "/console/audit?before=5",
    "/console/access?q=an",
    "/console/access/users/{user}",
    "/console/access/clients/viewer",
    "/console/clients?q=an",
    "/account",
    "/account/security",
    "/account/activity",
    "/account/apps",
)
_NAMED = re.compile(r"(?:FROM|JOIN)\s+(\w+)(?:\s+(?:AS\s+)?(?!WHERE\b|ON\b|LEFT\b|JOIN\b|ORDER\b|LIMIT\b)(\w+))?", re.I)


@dataclass
class Heard:
    """What was sent to the database, each statement once."""

    statements: dict[str, object] = field(default_factory=dict)

    def hear(self, sql: str, parameters: object) -> None:
        if sql.lstrip().upper().startswith(("SELECT", "WITH")):
            self.statements.setdefault(sql, parameters)


@contextmanager
def listening(database: Database) -> Iterator[Heard]:
    """Every statement that reads, from sessions and from lookups."""
    heard = Heard()

    def sent(_connection: object, _cursor: object, statement: str, parameters: object, *_more: object) -> None:
        heard.hear(statement, parameters)

    async def all_rows(sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        heard.hear(sql, tuple(parameters))
        return await plain(sql, parameters)

    async def first_row(sql: str, parameters: Sequence[Value] = ()) -> Row | None:
        rows = await all_rows(sql, parameters)
        return rows[0] if rows else None

    plain = database.lookup.all
    event.listen(Engine, "before_cursor_execute", sent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "lookup", _Ears(all_rows, first_row))
        yield heard
    event.remove(Engine, "before_cursor_execute", sent)


class _Ears:
    def __init__(self, all_rows: object, first_row: object) -> None:
        self.all, self.first = all_rows, first_row


async def whole_tables(database: Database, sql: str, parameters: object) -> list[str]:
    """The growing tables that a statement reads from one end to the other."""
    names = {(alias or table).lower(): table.lower() for table, alias in _NAMED.findall(sql)}
    async with database.read() as session:
        connection = session._connection  # the statement as the driver had it
        if connection.dialect.name == "sqlite":
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)  # type: ignore[arg-type]
            details = [str(tuple(row)[-1]) for row in rows]
            # The first few in the order of the table, or of an index, are no reading of all.
            few = "LIMIT" in sql.upper() and not any("TEMP B-TREE" in detail for detail in details)
            kind = r"SCAN (\w+)$" if few and " WHERE " in sql.upper() else r"SCAN (\w+)(?: USING .*)?$"
            ordered = few and " WHERE " not in sql.upper()
            found = [] if ordered else [name for one in details for name in re.findall(kind, one)]
        else:
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            if isinstance(parameters, tuple):
                sql = sql.replace("?", "%s")
            rows = await connection.exec_driver_sql(f"EXPLAIN {sql}", parameters)  # type: ignore[arg-type]
            found = re.findall(r"Seq Scan on (\w+)", "\n".join(str(row[0]) for row in rows))
    return [names.get(name.lower(), name) for name in found if names.get(name.lower(), name) in GROWING]


@dataclass
class Here:
    """Somebody to look at, and an administrator's browser."""

    user: str
    group: str
    cookie: str


async def somebody(admin: Admin, vault: Vault) -> Here:
    now = clock.now()
    group = await admin.http.post("/api/groups", headers=admin.write, json={"name": "Annas"})
    async with admin.database.write() as session:
        for number in range(3):
            new = NewUser(f"anna{number}", f"anna{number}@kronborg.example", "Anna", groups=("Annas",))
            user = await create_user(session, new, actor="test", now=now)
        boss = await create_user(session, NewUser("boss", roles=("kronborg:admin",)), actor="test", now=now)
        origin, lifetime = Origin("192.0.2.1", "test"), timedelta(days=1)
        for one in (user, boss):
            begun = await begin_session(session, vault, one.id, amr=("pwd",), origin=origin, lifetime=lifetime, now=now)
    return Here(user.id, group.json()["id"], begun.secret)


@pytest.mark.timeout(200)
async def test_no_list_reads_a_growing_table_as_a_whole(admin: Admin, vault: Vault) -> None:
    here = await somebody(admin, vault)
    browser = {"cookie": f"kronborg_session={here.cookie}"}
    answers: dict[str, tuple[int, bool]] = {}
    wholly: dict[tuple[str, str], list[str]] = {}

    for path in (*API, *CONSOLE):
        headers = admin.read if path.startswith("/api") else browser
        with listening(admin.database) as heard:
            answer = await admin.http.get(path.format(user=here.user, group=here.group), headers=headers)
        answers[path] = answer.status_code, bool(heard.statements)
        for sql, given in heard.statements.items():
            if tables := await whole_tables(admin.database, sql, given):
                wholly[path, sql] = tables

    # Pages that are not there yet are not looked at; what is there answers, and has asked the database.
    assert {path: seen for path, seen in answers.items() if seen[0] not in (200, 404)} == {}
    assert [path for path, seen in answers.items() if seen[0] == 200 and not seen[1]] == []
    assert wholly == {}
    assert answers["/api/users?search=an"][0] == answers["/console"][0] == 200


async def test_a_statement_without_an_index_is_found_out(admin: Admin) -> None:
    database = admin.database

    indexed = "SELECT u.id FROM accounts_users u WHERE u.username_key = 'anna'"
    unindexed = "SELECT u.id FROM accounts_users u WHERE u.locale = 'da'"

    assert await whole_tables(database, unindexed, ()) == ["accounts_users"]
    assert await whole_tables(database, indexed, ()) == []
