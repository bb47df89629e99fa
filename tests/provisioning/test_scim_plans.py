"""The questions that directories ask with a million people go by an index, on both databases."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import event

from provisioning.scim_site import Scim

pytestmark = pytest.mark.anyio

_GROWING = re.compile(r"SCAN (provisioning_\w+|accounts_\w+)$|Seq Scan on (provisioning_\w+|accounts_\w+)")


@pytest.mark.parametrize(
    "asked",
    [
        {"filter": 'userName eq "anna"'},
        {"filter": 'externalId eq "4711"'},
        {"filter": 'emails.value eq "anna@corp.example"'},
        {"filter": 'emails[type eq "work" and value eq "anna@corp.example"]'},
        {"filter": 'userName eq "anna" and active eq true'},
        {"filter": 'id eq "x"'},
        {"cursor": "", "count": "2"},
        {"count": "2"},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["Users", "Groups"])
async def test_no_table_is_read_from_one_end_to_the_other(scim: Scim, kind: str, asked: dict[str, str]) -> None:
    if kind == "Groups" and asked.get("filter", "").startswith(("userName", "emails")):
        asked = {"filter": 'displayName eq "anna"'}
    await scim.user("anna", externalId="4711", emails=[{"value": "anna@corp.example", "type": "work"}])
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, sql: str, parameters: Any, *_: object) -> None:
        statements.append((sql, parameters))

    engine = scim.database._reader.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    answer = await scim.send("GET", f"/{kind}?{urlencode(asked)}")
    event.remove(engine, "before_cursor_execute", note)

    assert answer.status_code == 200, answer.text
    assert any(f"provisioning_{kind.lower()}" in sql for sql, _ in statements)
    async with scim.database.read() as session:
        connection = session._connection
        for sql, parameters in statements:
            if not sql.lstrip().startswith("SELECT"):
                continue
            if connection.dialect.name == "postgresql":
                await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
            rows = await connection.exec_driver_sql(f"{explain} {sql}", parameters)
            plan = [str(tuple(row)[-1]) for row in rows]
            assert not [line for line in plan if _GROWING.search(line)], (sql, plan)
