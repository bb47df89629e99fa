"""What is kept about a person, told as one JSON document: each slice tells its own part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from kronborg.accounts.links_store import list_link_rows
from kronborg.accounts.store import find_user
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import plain
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.personal import opened
from kronborg.factors.store import list_browsers, list_factors
from kronborg.federation.providers_store import identities_of
from kronborg.sessions.store import list_sessions
from kronborg.signin.activity_store import all_events_about
from kronborg.signin.store import password_changed_at

Contributor = Callable[[str, datetime], Awaitable[JsonObject]]
"""What a slice above this one keeps about the user with this id; the composition root lists them at
`app.state.contributors`."""

MAX_EVENTS = 5000


async def kept_about(
    database: Database, vault: Vault, contributors: Sequence[Contributor], user_id: str, *, now: datetime
) -> JsonObject:
    """Everything, but for secrets and what protects them."""
    async with database.read() as session:
        user = await find_user(session, user_id)
        sessions = await list_sessions(session, user_id, now=now, idle=now - datetime.min.replace(tzinfo=now.tzinfo))
        changed = await password_changed_at(session, user_id)
        links = await list_link_rows(session, user_id, now=now)
        factors = await list_factors(session, user_id)
        browsers = await list_browsers(session, user_id, now=now)
        identities = await identities_of(session, user_id)
        events = await all_events_about(session, user_id, limit=MAX_EVENTS)
        details = await opened(session, vault, [event.detail for event in events])
    told: dict[str, JsonValue] = {
        "made_at": plain(now),
        "account": plain(user),
        "password": {"set_at": plain(changed)},
        "second_factors": [plain(factor) for factor in factors],
        "remembered_browsers": [plain(browser) for browser in browsers],
        "sessions": [plain(one) for one in sessions],
        "linked_accounts": [plain(one) for one in identities],
        "links": [
            {"purpose": link.purpose, "made_at": plain(link.made_at), "expires_at": plain(link.expires_at)}
            for link in links
        ],
        "events": [
            {"at": plain(event.at), "name": event.name, "actor": event.actor, "detail": plain(detail)}
            for event, detail in zip(events, details, strict=True)
        ],
    }
    for contributor in contributors:
        told.update(await contributor(user_id, now))
    return told
