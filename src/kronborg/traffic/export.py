"""Taking records out: streamed page by page, bounded, and noted in the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

from kronborg.core.db import Database
from kronborg.core.events import record
from kronborg.traffic.parts import Traffic
from kronborg.traffic.row_model import Row
from kronborg.traffic.search_model import Search

MOST = 100_000
_PAGE = 2000
_LONGEST = 200


async def export_rows(traffic: Traffic, search: Search) -> AsyncIterator[Row]:
    """The rows of a search, newest first, at most `MOST`."""
    left, page = MOST, replace(search, limit=_PAGE)
    while left > 0:
        asked = page
        rows = await traffic.ask(lambda store, asked=asked: store.search(asked))  # type: ignore[misc]  # bound per page
        for row in rows[:left]:
            yield row
        left -= len(rows)
        if len(rows) < _PAGE:
            return
        page = replace(page, before=int(rows[-1][0]))


async def note_export(database: Database, *, actor: str, words: str, now: datetime) -> None:
    """Who took records out, and by which columns: what was looked for says who somebody is."""
    names = {word.partition(":")[0] if ":" in word else "id" for word in words[:_LONGEST].split()}
    async with database.write() as session:
        await record(
            session, "traffic.exported", actor=actor, subject="traffic", now=now, detail={"by": " ".join(sorted(names))}
        )
