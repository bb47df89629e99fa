"""Was this you? What happened to an account is told to its person by mail, each letter with the emergency brake."""

from __future__ import annotations

from datetime import datetime

from kronborg.accounts.people import People
from kronborg.accounts.store import find_user
from kronborg.core.db import Database, ReadSession
from kronborg.core.events import Event
from kronborg.core.json import JsonObject
from kronborg.federation.providers_store import find_provider
from kronborg.sessions.model import device_of
from kronborg.sessions.store import find_session
from kronborg.signin.activity_store import happened_before
from kronborg.signin.recovery import send_notice

LETTERS = {
    "session.begun": "new_device",
    "password.set": "password_changed",
    "factor.added": "factor_added",
    "factor.removed": "factor_removed",
    "identity.linked": "factor_added",
}
"""The events that are told, and the letter for each."""


async def tell(database: Database, people: People, event: Event, *, now: datetime) -> None:
    """Write the letter about an event, if it is worth one."""
    async with database.read() as reading:
        user = await find_user(reading, event.subject)
        values = await _values(reading, people, event)
    if user is None or values is None:
        return
    async with database.write() as session:
        name = LETTERS[event.name]
        await send_notice(session, people, user, name, cause=event.name, values=values, now=event.at)


async def _values(session: ReadSession, people: People, event: Event) -> JsonObject | None:
    """What the letter says; None when there is nothing to tell."""
    match event.name:
        case "session.begun":
            if event.detail.get("new_device") is not True or not people.settings.new_device_notice:
                return None
            # The very first sign-in is no news to anybody.
            if not await happened_before(session, event.subject, event.name, event.seq):
                return None
            begun = await find_session(session, str(event.detail.get("sid")))
            return None if begun is None else {"device": device_of(begun.user_agent), "address": begun.address}
        case "password.set":
            return {} if await happened_before(session, event.subject, event.name, event.seq) else None
        case "identity.linked":
            # What a provider or directory links by itself belongs to the account from its beginning.
            if event.actor != event.subject:
                return None
            provider = await find_provider(session, str(event.detail.get("provider")))
            return {"kind": "" if provider is None else provider.name}
        case _:
            factor = event.detail.get("factor")
            return {
                "kind": str(event.detail.get("kind", "")),
                "factor_id": factor if isinstance(factor, str) else "",
            }
