"""The SQL of an import: what is taken, and rows by the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select

from kronborg.accounts.store import memberships_table, users_table
from kronborg.core.db import ReadSession, Session
from kronborg.signin.store import passwords_table

_users = users_table.c


@dataclass(frozen=True, slots=True)
class Taken:
    """Ids and folded names that somebody has."""

    ids: set[str]
    usernames: set[str]
    emails: set[str]

    def add(self, user_id: str, username: str, email: str) -> None:
        """Somebody more; what is empty is nobody's."""
        for names, name in ((self.ids, user_id), (self.usernames, username), (self.emails, email)):
            if name:
                names.add(name)


async def find_taken(
    session: ReadSession, *, ids: Sequence[str], usernames: Sequence[str], emails: Sequence[str]
) -> Taken:
    """Which of these ids, folded usernames and folded addresses somebody has."""

    async def found(column: str, values: Sequence[str]) -> set[str]:
        if not values:
            return set()
        rows = await session.execute(select(_users[column]).where(_users[column].in_(values)))
        return {str(row[0]) for row in rows}

    return Taken(await found("id", ids), await found("username_key", usernames), await found("email_key", emails))


async def insert_passwords(session: Session, hashes: Sequence[tuple[str, str]], *, now: datetime) -> None:
    """Hashes of people who have just been made."""
    rows: list[dict[str, object]] = [
        {"user_id": user_id, "hash": encoded, "changed_at": now} for user_id, encoded in hashes
    ]
    await session.execute_many(insert(passwords_table), rows)


async def insert_memberships(session: Session, members: Sequence[tuple[str, str]]) -> None:
    """(user, group) of people who have just been made."""
    rows: list[dict[str, object]] = [{"user_id": user_id, "group_id": group_id} for user_id, group_id in members]
    await session.execute_many(insert(memberships_table), rows)
