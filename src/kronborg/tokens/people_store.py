"""The person behind a grant as of now, in one statement over the tables of accounts and sessions.

A group's row says what it gives, with all that it stands in (`accounts/groups.py`): no recursion is needed here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import orjson

from kronborg.accounts.model import folded
from kronborg.core.db import to_micros
from kronborg.core.group_writer import Lookup, Row, Value
from kronborg.tokens.model import Subject

_PERSON = """
SELECT u.id, u.username, u.roles, g.effective_roles, u.name, u.email, g.lineage FROM accounts_users u
LEFT JOIN accounts_memberships m ON m.user_id = u.id
LEFT JOIN accounts_groups g ON g.id = m.group_id
WHERE u.id = ? AND u.disabled = ?
"""
_SIGNED_IN = """
SELECT u.id, u.username, u.roles, g.effective_roles, u.name, u.email, g.lineage FROM accounts_users u
JOIN signin_sessions s ON s.user_id = u.id
LEFT JOIN accounts_memberships m ON m.user_id = u.id
LEFT JOIN accounts_groups g ON g.id = m.group_id
WHERE u.id = ? AND u.disabled = ? AND s.id = ? AND s.expires_at > ? AND s.last_seen_at > ?
"""
_SERVICE = """
SELECT u.id, u.username, u.roles, g.effective_roles, u.name, u.email, g.lineage FROM accounts_users u
LEFT JOIN accounts_memberships m ON m.user_id = u.id
LEFT JOIN accounts_groups g ON g.id = m.group_id
WHERE u.username_key = ? AND u.disabled = ? AND u.kind = 'service'
"""
_ORGANISATIONS = """
SELECT o.id, o.slug, m.role FROM accounts_members m JOIN accounts_organisations o ON o.id = m.organisation_id
WHERE m.user_id = ? ORDER BY o.slug LIMIT 200
"""


async def find_service_account(lookup: Lookup, username: str) -> Subject | None:
    """The service account with this name, and all its roles; None when there is none, or it is disabled."""
    rows: list[Row] = await lookup.all(_SERVICE, (folded(username), False))
    return _subject(rows) if rows else None


async def organisations_of(lookup: Lookup, user_id: str) -> list[tuple[str, str, str]]:
    """Id, short name and role of each organisation that a person is a member of."""
    rows: list[Row] = await lookup.all(_ORGANISATIONS, (user_id,))
    return [(row[0], row[1], row[2]) for row in rows]


async def find_subject(
    lookup: Lookup, user_id: str, *, session_id: str | None, idle: timedelta, now: datetime
) -> Subject | None:
    """The person with all roles; None when there is none, when disabled, or when the session named has ended."""
    sql: str = _PERSON
    parameters: tuple[Value, ...] = (user_id, False)
    if session_id is not None:
        sql, parameters = _SIGNED_IN, (*parameters, session_id, to_micros(now), to_micros(now - idle))
    rows: list[Row] = await lookup.all(sql, parameters)
    if not rows:
        return None
    return _subject(rows)


def _subject(rows: list[Row]) -> Subject:
    roles: set[str] = set(orjson.loads(rows[0][2]))
    groups: set[str] = set()
    for row in rows:
        if row[3] is not None:
            roles.update(orjson.loads(row[3]))
            groups.update(orjson.loads(row[6]))
    return Subject(rows[0][0], rows[0][1], tuple(sorted(roles)), rows[0][4], rows[0][5], tuple(sorted(groups)))
