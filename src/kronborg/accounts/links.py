"""Links that somebody gets by mail: 256 random bits, for one purpose, for a while, for one use.

A page that a link opens only shows a button; the button's POST spends the link. Programs that look at mail before its
reader does follow links, but press no buttons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import orjson

from kronborg.accounts.links_store import (
    AskedRow,
    LinkRow,
    delete_expired_links,
    delete_links_of,
    delete_younger_links,
    find_link_row,
    insert_asked,
    insert_link,
    take_link_row,
)
from kronborg.core.crypto import Vault
from kronborg.core.db import ReadSession, Session
from kronborg.core.ids import new_id, random_token
from kronborg.core.json import JsonObject

Purpose = Literal["register", "verify", "invite", "reset", "lockdown"]

LIFETIMES: dict[Purpose, timedelta] = {
    "register": timedelta(days=1),
    "verify": timedelta(days=1),
    "invite": timedelta(days=7),
    "reset": timedelta(hours=1),
    "lockdown": timedelta(days=3),
}
MAX_TOKEN = 100


@dataclass(frozen=True, slots=True)
class Link:
    """What a link stands for; `held` is what it was made with."""

    purpose: Purpose
    user_id: str | None
    held: JsonObject
    made_at: datetime
    expires_at: datetime

    def text(self, name: str) -> str:
        """A text it was made with; empty without."""
        value = self.held.get(name)
        return value if isinstance(value, str) else ""


async def make_link(
    session: Session, vault: Vault, purpose: Purpose, user_id: str | None, held: JsonObject, *, now: datetime
) -> str:
    """A new link; its token, which nobody can read from the database."""
    token = random_token()
    digest = _digest(vault, purpose, token)
    sealed = vault.seal(orjson.dumps(held), context=_context(purpose, digest))
    await insert_link(session, LinkRow(digest, purpose, user_id, sealed, now, now + LIFETIMES[purpose]))
    return token


async def find_link(session: ReadSession, vault: Vault, purpose: Purpose, token: str, *, now: datetime) -> Link | None:
    """Look at a link without spending it; None when it is unknown, spent, over, or for something else."""
    if not 0 < len(token) <= MAX_TOKEN:
        return None
    digest = _digest(vault, purpose, token)
    return _opened(vault, purpose, await find_link_row(session, digest, purpose, now=now))


async def spend_link(session: Session, vault: Vault, purpose: Purpose, token: str, *, now: datetime) -> Link | None:
    """Spend a link: of all who try, one gets it."""
    if not 0 < len(token) <= MAX_TOKEN:
        return None
    digest = _digest(vault, purpose, token)
    return _opened(vault, purpose, await take_link_row(session, digest, purpose, now=now))


async def void_links(session: Session, user_id: str, *purposes: Purpose) -> None:
    """Let a user's links for these purposes work no more."""
    await delete_links_of(session, user_id, purposes)


async def void_younger_links(session: Session, user_id: str, purpose: Purpose, *, than: datetime) -> None:
    """Let a user's links for this purpose that were made after that moment work no more."""
    await delete_younger_links(session, user_id, purpose, than=than)


async def purge_links(session: Session, *, now: datetime, limit: int = 500) -> int:
    """Forget links whose time is over, at most `limit`; how many."""
    return await delete_expired_links(session, now=now, limit=limit)


async def ask(session: Session, vault: Vault, kind: str, told: JsonObject, *, now: datetime) -> None:
    """Leave for the worker what a stranger asked for: the page answers before anybody has looked who is known here."""
    asked_id = new_id()
    sealed = vault.seal(orjson.dumps(told), context=f"accounts.asked:{asked_id}")
    await insert_asked(session, AskedRow(asked_id, kind, sealed, now))


def told_in(vault: Vault, asked: AskedRow) -> JsonObject:
    """What somebody asked for."""
    told: JsonObject = orjson.loads(vault.open(asked.sealed, context=f"accounts.asked:{asked.id}"))
    return told


def texts_of(value: object) -> Sequence[str]:
    """The texts of a list in JSON."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _opened(vault: Vault, purpose: Purpose, row: LinkRow | None) -> Link | None:
    if row is None:
        return None
    held = orjson.loads(vault.open(row.held, context=_context(purpose, row.digest)))
    return Link(purpose, row.user_id, held, row.made_at, row.expires_at)


def _digest(vault: Vault, purpose: Purpose, token: str) -> bytes:
    # The purpose is part of the key: a token of one purpose is no token of another.
    return vault.digest(token, context=f"accounts.link:{purpose}")


def _context(purpose: Purpose, digest: bytes) -> str:
    return f"accounts.link:{purpose}:{digest.hex()}"
