"""Addresses: one takes effect once its mailbox has been read, by somebody signed in as the person it is for."""

from __future__ import annotations

from datetime import datetime

from kronborg.accounts.links import find_link, make_link, spend_link, void_links
from kronborg.accounts.model import User, clean, folded, name_problems
from kronborg.accounts.people import People
from kronborg.accounts.store import find_user
from kronborg.accounts.users import UserChange, update_user
from kronborg.core.db import Database, ReadSession, Session
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.events import record
from kronborg.core.languages import N_
from kronborg.core.letters import ASKED
from kronborg.core.whole import whole
from kronborg.signin.recovery import send_notice
from kronborg.signin.registration import GONE

MANAGED = Problem("email", N_("this address is kept by a directory or provider"), N_("change it there"))


async def ask_to_prove(session: Session, people: People, user: User, email: str, *, now: datetime) -> str:
    """Send a link to an address that is to become this person's; the address as it was sent to.

    Nobody is told whether it is somebody else's already: that shows when its reader follows the link. Older links work
    no more. Raises `Invalid`.
    """
    address = clean(email)
    problems = [MANAGED] if user.managed_by else name_problems(email=address)
    if problems:
        raise Invalid(*problems)
    await void_links(session, user.id, "verify")
    letters = people.letters
    token = await make_link(session, letters.vault, "verify", user.id, {"email": address}, now=now)
    link = letters.url("/verify", token=token)
    await letters.post(session, "address", to=address, language=user.locale, bound=ASKED, link=link, now=now)
    return address


async def address_of_link(session: ReadSession, people: People, token: str, *, user_id: str, now: datetime) -> str:
    """The address that a link of this person proves; it is not spent. Raises `NotFound`."""
    link = await find_link(session, people.letters.vault, "verify", token, now=now)
    if link is None or link.user_id != user_id:
        raise NotFound(GONE)
    return link.text("email")


async def prove_address(database: Database, people: People, token: str, *, user_id: str, now: datetime) -> User:
    """Spend the link: the address is this person's from now on. The old one is told, with the emergency brake.

    Raises `NotFound`, or `Conflict` when it is somebody else's.
    """
    async with whole(database) as session:
        link = await find_link(session, people.letters.vault, "verify", token, now=now)
        # Read first: somebody else's try must not spend it.
        before = None if link is None or link.user_id != user_id else await find_user(session, user_id)
        if link is None or before is None or before.disabled or before.managed_by:
            raise NotFound(GONE)
        if await spend_link(session, people.letters.vault, "verify", token, now=now) is None:
            raise NotFound(GONE)
        change = UserChange(email=link.text("email"), email_verified=True)
        try:
            after = await update_user(session, user_id, change, actor=user_id, now=now)
        except Conflict:
            raise Conflict("this address belongs to another account") from None
        await record(session, "user.email_verified", actor=user_id, subject=user_id, now=now)
        if before.email is not None and folded(before.email) != folded(after.email or ""):
            # Links to the old address say nothing about the person any more, but for the brake.
            await void_links(session, user_id, "reset", "invite")
            await send_notice(session, people, before, "address_changed", cause="address", to=before.email, now=now)
    return after
