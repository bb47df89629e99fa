"""Who or what has access to what: grants with their people and clients, some at a time, each list on an index.

Grant ids begin with the time, so that newest first is `id DESC`: of everything by the primary key, of a user, a client
or a session by an index of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kronborg.core.db import from_micros
from kronborg.core.group_writer import Lookup, Row

Side = Literal["all", "user", "client", "session"]
NEWEST = "z"
"""Sorts after every id."""

# A grant is used when a refresh token of it is traded; before that, when it was given.
_SELECT = """
SELECT g.id, g.client_id, c.name, g.user_id, u.username, u.name, g.session_id, g.scopes, g.audiences, g.created_at,
       g.expires_at, g.revoked_at, (SELECT MAX(r.rotated_at) FROM tokens_refresh r WHERE r.grant_id = g.id)
FROM tokens_grants g
LEFT JOIN clients_clients c ON c.id = g.client_id
LEFT JOIN accounts_users u ON u.id = g.user_id
"""
_PAGE = " g.id < ? ORDER BY g.id DESC LIMIT ?"
PAGES: dict[Side, str] = {
    "all": f"{_SELECT} WHERE {_PAGE}",
    "user": f"{_SELECT} WHERE g.user_id = ? AND {_PAGE}",
    "client": f"{_SELECT} WHERE g.client_id = ? AND {_PAGE}",
    "session": f"{_SELECT} WHERE g.session_id = ? AND {_PAGE}",
}
_ONE = f"{_SELECT} WHERE g.id = ?"


@dataclass(frozen=True, slots=True)
class ShownGrant:
    """A grant with the names of its person and its client; empty for those who are gone."""

    id: str
    client_id: str
    client_name: str
    user_id: str
    username: str
    person: str
    session_id: str | None
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    used_at: datetime

    @property
    def offline(self) -> bool:
        """Whether it outlives the session it was given in (OIDC Core §11)."""
        return "offline_access" in self.scopes or self.session_id is None

    def state(self, now: datetime) -> str:
        """`live`, `revoked` or `expired`."""
        if self.revoked_at is not None:
            return "revoked"
        return "live" if now < self.expires_at else "expired"


async def grants_page(
    lookup: Lookup, side: Side, of: str = "", *, before: str = "", limit: int = 50
) -> Sequence[ShownGrant]:
    """Grants, newest first, older than the id `before`: all, or of one user, client or session."""
    bounds = (before or NEWEST, max(1, min(limit, 201)))
    rows = await lookup.all(PAGES[side], bounds if side == "all" else (of, *bounds))
    return [_shown(row) for row in rows]


async def shown_grant(lookup: Lookup, grant_id: str) -> ShownGrant | None:
    """One grant."""
    row = await lookup.first(_ONE, (grant_id,))
    return None if row is None else _shown(row)


def _shown(row: Row) -> ShownGrant:
    created = from_micros(row[9])
    return ShownGrant(
        row[0],
        row[1],
        row[2] or "",
        row[3],
        row[4] or "",
        row[5] or row[4] or "",
        row[6],
        tuple(row[7].split()),
        tuple(row[8].split()),
        created,
        from_micros(row[10]),
        None if row[11] is None else from_micros(row[11]),
        created if row[12] is None else from_micros(row[12]),
    )
