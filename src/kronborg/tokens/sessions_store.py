"""Which clients were given anything in which session: read from the grants, revoked ones included."""

from __future__ import annotations

from kronborg.core.group_writer import Lookup

MOST = 500

_IN_SESSION = "SELECT DISTINCT client_id FROM tokens_grants WHERE session_id = ? ORDER BY client_id LIMIT ?"
_OF_USER = """
SELECT DISTINCT session_id, client_id FROM tokens_grants WHERE user_id = ? AND session_id IS NOT NULL
ORDER BY session_id, client_id LIMIT ?
"""


async def clients_in_session(lookup: Lookup, session_id: str) -> tuple[str, ...]:
    """The ids of the clients that a person went to in this session, at most 500."""
    return tuple(str(client_id) for (client_id,) in await lookup.all(_IN_SESSION, (session_id, MOST)))


async def sessions_with_clients(lookup: Lookup, user_id: str) -> tuple[tuple[str, str], ...]:
    """(session, client) of everything a person allowed in a session, at most 500 pairs."""
    rows = await lookup.all(_OF_USER, (user_id, MOST))
    return tuple((str(session_id), str(client_id)) for session_id, client_id in rows)
