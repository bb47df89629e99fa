"""Remembered browsers: where somebody is not asked for a second factor for a while.

The cookie holds up to four secrets, one for each person who chose so in this browser; the rows hold their digests. It
is no sign-in, and stands for no second factor when an application asks for one.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from kronborg.core.crypto import Vault
from kronborg.core.db import ReadSession, Session
from kronborg.core.events import record
from kronborg.core.ids import new_id, random_token
from kronborg.factors.model import RememberedBrowser
from kronborg.factors.store import delete_browsers, find_browser, insert_browser, touch_browser

COOKIE = "kronborg_remembered"
MAX_SECRETS = 4
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def secrets_in(cookie: str | None) -> list[str]:
    """The secrets of a cookie."""
    return [one for one in (cookie or "").split("~")[:MAX_SECRETS] if _SECRET.fullmatch(one)]


async def remembered(session: ReadSession, vault: Vault, user_id: str, cookie: str | None, *, now: datetime) -> bool:
    """Whether this browser is remembered for this person."""
    secrets = secrets_in(cookie)
    if not secrets:
        return False
    found = await find_browser(session, user_id, [_digest(vault, one) for one in secrets], now=now)
    if found is not None and isinstance(session, Session):
        await touch_browser(session, found, now=now)
    return found is not None


async def remember(
    session: Session,
    vault: Vault,
    user_id: str,
    cookie: str | None,
    *,
    user_agent: str,
    address: str,
    lifetime: timedelta,
    now: datetime,
) -> str:
    """Remember this browser; the new value of its cookie."""
    secret = random_token()
    agent = "".join(c for c in user_agent if c.isprintable())[:300]
    row = RememberedBrowser(new_id(), agent, address[:64], now, now, now + lifetime)
    await insert_browser(session, user_id, row, _digest(vault, secret))
    await record(session, "browser.remembered", actor=user_id, subject=user_id, now=now)
    return "~".join([secret, *secrets_in(cookie)[: MAX_SECRETS - 1]])


async def forget(session: Session, user_id: str, *, browser_id: str | None = None, actor: str, now: datetime) -> int:
    """Forget one remembered browser of this person, or all; how many."""
    count = await delete_browsers(session, user_id, browser_id=browser_id)
    if count:
        await record(session, "browser.forgotten", actor=actor, subject=user_id, now=now, detail={"count": count})
    return count


def _digest(vault: Vault, secret: str) -> bytes:
    return vault.digest(secret, context="factors.browser")
