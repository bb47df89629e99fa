"""Requests with personal access tokens: what stands in the place of a client must not tell whose they are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from console.conftest import ADMIN, AUDITOR, Console
from kronborg.core import clock
from kronborg.traffic.row_model import rows_of
from kronborg.traffic.sqlite_store import SqliteTraffic
from traffic.lines import NOON, line
from traffic.test_pages import console, database_url

pytestmark = pytest.mark.anyio
__all__ = ["console", "database_url"]
PATHS = (
    "/console/traffic",
    "/console/traffic/requests",
    "/console/traffic/map",
    "/console/traffic/requests/00000000-0000-4000-8000-000000000062",
    "/console/traffic/export?as=ndjson",
    "/console/traffic/requests?q=client:pat:user-9",
    "/console/traffic/requests?q=key:key-9",
)


@pytest.fixture
def recorded(tmp_path: Path, console: Console) -> Console:
    store, after = SqliteTraffic(tmp_path / "traffic"), clock.now() - NOON - timedelta(minutes=1)
    store.write(rows_of([line(98, after=after, k="pat:user-9", u="user-9", ke="key-9", p="/own")], "gateway-1")[0])
    store.close()
    return console


async def test_whose_they_are_is_hidden_from_who_may_not_see_people(recorded: Console) -> None:
    browser = await recorded.signed_in("grace", AUDITOR)

    pages = [(await browser.http.get(path)).text for path in PATHS]

    # What somebody searched for is repeated in the form, and in no row.
    assert not any("user-9" in text or "key-9" in text for text in pages[:5])
    assert "/own" in pages[4]
    assert not any("/own" in text for text in pages[5:])


async def test_who_may_see_people_sees_them(recorded: Console) -> None:
    browser = await recorded.signed_in("ada", ADMIN)

    found = (await browser.http.get("/console/traffic/requests?q=key:key-9")).text
    exported = (await browser.http.get("/console/traffic/export?as=ndjson&q=user:user-9")).json()

    assert "/own" in found
    assert (exported["client"], exported["subject"], exported["key"]) == ("pat:", "user-9", "key-9")
