"""Invitations: an account that an administrator made begins when its person follows the link and chooses a password."""

from __future__ import annotations

from datetime import datetime

from kronborg.accounts.links import make_link, void_links
from kronborg.accounts.model import User
from kronborg.accounts.store import find_user
from kronborg.core.db import Session
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem, TooMany
from kronborg.core.events import record
from kronborg.core.letters import INVITED, WITHIN, Letters


async def invite(
    session: Session,
    letters: Letters,
    user_id: str,
    *,
    actor: str,
    now: datetime,
    organisation: str = "",
    next_path: str = "",
) -> User:
    """Write to a person of an account that stands: the link lets them choose a password. Older links work no more.

    `organisation` is the name of the one that invites, `next_path` where they go afterwards. Raises `NotFound`;
    `Invalid` without an address; `Conflict` for an account that is disabled, a service's, or kept elsewhere; `TooMany`.
    """
    user = await find_user(session, user_id)
    if user is None:
        raise NotFound("there is no such user")
    if user.email is None:
        raise Invalid(Problem("email", "this person has no e-mail address", "give the account one first"))
    if user.disabled or user.kind != "person" or user.managed_by:
        raise Conflict("the account is disabled, a service account, or kept by a directory or provider")
    await void_links(session, user.id, "invite")
    held = {"email": user.email, "next": next_path}
    token = await make_link(session, letters.vault, "invite", user.id, held, now=now)
    posted = await letters.post(
        session,
        "invitation",
        to=user.email,
        language=user.locale,
        bound=INVITED,
        link=letters.url("/join", token=token),
        values={"organisation": organisation, "username": user.username},
        now=now,
    )
    if not posted:
        raise TooMany("this address was sent several invitations within the hour", retry_after=WITHIN)
    await record(session, "user.invited", actor=actor, subject=user.id, now=now)
    return user
