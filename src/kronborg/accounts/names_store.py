"""What people are called, by their ids: for pages of slices below, which know ids only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kronborg.core.db import Database


async def names_of(database: Database, ids: Iterable[str]) -> Mapping[str, str]:
    """The usernames of those of these ids that are people of today; at most a page of them is asked for."""
    sought = sorted(set(ids))
    if not sought:
        return {}
    marks = ", ".join("?" * len(sought))
    sql = f"SELECT id, username FROM accounts_users WHERE id IN ({marks})"  # noqa: S608  # question marks only
    return {row[0]: row[1] for row in await database.lookup.all(sql, sought)}
