"""When a password is forgotten, or somebody else may know it: single-use links, and the emergency brake.

A reset only sets a password. It signs nobody in, so whoever has second factors still needs one.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Literal

from kronborg.accounts.links import Link, ask, find_link, make_link, spend_link, void_links, void_younger_links
from kronborg.accounts.model import User, folded
from kronborg.accounts.people import People
from kronborg.accounts.store import find_by_login, find_user
from kronborg.accounts.users import UserChange, update_user
from kronborg.core.db import Database, ReadSession, Session
from kronborg.core.errors import NotFound
from kronborg.core.events import record
from kronborg.core.json import JsonObject
from kronborg.core.letters import ASKED, NOTICE
from kronborg.core.whole import whole
from kronborg.factors.browsers import forget
from kronborg.factors.manage import remove_factor
from kronborg.factors.store import list_factors
from kronborg.federation.linked import linked_accounts, unlink
from kronborg.sessions.life import end_all_sessions
from kronborg.signin.activity_store import drop_password
from kronborg.signin.passwords import Passwords, store_password
from kronborg.signin.registration import GONE

FORGOT: Literal["forgot"] = "forgot"
Choosing = Literal["reset", "invite"]
"""The purposes of links that let somebody choose a password."""


async def ask_to_reset(database: Database, people: People, login: str, *, language: str, now: datetime) -> None:
    """Leave it for the worker: the answer and its time are the same whoever was named."""
    told: JsonObject = {"login": login.strip()[:254], "language": language}
    async with database.write() as session:
        await ask(session, people.letters.vault, FORGOT, told, now=now)


async def answer_forgotten(session: Session, people: People, told: JsonObject, now: datetime) -> None:
    """What the worker does about it: a letter to the address of the account, if there is one that can be written to."""
    user = await find_by_login(session, str(told["login"]))
    if user is None or user.email is None or user.kind != "person":
        return
    language = user.locale or str(told["language"])
    if user.disabled or user.managed_by:
        # Only the owner of the address reads it, so it may say what the page does not.
        values = {"disabled": user.disabled}
        await people.letters.post(
            session, "no_reset", to=user.email, language=language, bound=ASKED, values=values, now=now
        )
        return
    await _send_reset(session, people, user, language, now=now)


async def person_of_link(
    session: ReadSession, people: People, purpose: Choosing, token: str, *, now: datetime
) -> tuple[User, Link]:
    """Who chooses a password by this link, which is not spent. Raises `NotFound` when it is good for nothing."""
    link = await find_link(session, people.letters.vault, purpose, token, now=now)
    user = None if link is None or link.user_id is None else await find_user(session, link.user_id)
    if link is None or user is None or not _stands(user, link):
        raise NotFound(GONE)
    return user, link


async def choose_password(
    database: Database, people: People, passwords: Passwords, purpose: Choosing, token: str, new: str, *, now: datetime
) -> tuple[User, str]:
    """Spend the link and set the password; every session ends, offline access too. The person, and where they go next.

    The address is proved by it: the link was read there. Raises `NotFound`, `Invalid`, `Overloaded`.
    """
    async with database.read() as reading:
        user, link = await person_of_link(reading, people, purpose, token, now=now)
    await passwords.examine(new, user=user, where="new", database=database)
    encoded = await passwords.hash(new)
    async with whole(database) as session:
        spent = await spend_link(session, people.letters.vault, purpose, token, now=now)
        current = await find_user(session, user.id)
        if spent is None or current is None or not _stands(current, spent):
            raise NotFound(GONE)
        await store_password(session, user.id, encoded, actor=user.id, now=now, history=passwords.settings.history)
        await void_links(session, user.id, "reset", "invite")
        await update_user(session, user.id, UserChange(email_verified=True), actor=user.id, now=now)
        name = "user.invitation_accepted" if purpose == "invite" else "user.password_reset"
        await record(session, name, actor=user.id, subject=user.id, now=now)
    return replace(current, email_verified_at=now), link.text("next")


async def lock_down(database: Database, people: People, token: str, *, now: datetime) -> None:
    """The emergency brake: the present password opens nothing more, every session and grant ends, a reset link is sent.

    The link was sent to the address that the account had before what its letter told of, so that is its address again,
    and what came since to sign in with goes: a thief may have done more than the letter tells, and the brakes of later
    letters are void. Older factors stay: they are what a thief would take away. Raises `NotFound`.
    """
    letters = people.letters
    async with whole(database) as session:
        link = await spend_link(session, letters.vault, "lockdown", token, now=now)
        user = None if link is None or link.user_id is None else await find_user(session, link.user_id)
        if link is None or user is None:
            raise NotFound(GONE)
        address = link.text("email")
        await drop_password(session, user.id, set_before=now)
        await end_all_sessions(session, user.id, actor=user.id, now=now)
        await forget(session, user.id, actor=user.id, now=now)
        await _drop_since(session, user.id, link, now=now)
        # Links that wait may have been asked for by the other one. Of brakes the older outranks the younger: the
        # other one cannot void the owner's, nor set an address back that was theirs for a while.
        await void_links(session, user.id, "reset", "verify", "invite")
        await void_younger_links(session, user.id, "lockdown", than=link.made_at)
        if not user.managed_by and await find_by_login(session, address) is None:
            change = UserChange(email=address, email_verified=True)
            user = await update_user(session, user.id, change, actor=user.id, now=now)
        detail: JsonObject = {"cause": link.text("cause"), "factor": link.text("factor")}
        await record(session, "user.locked_down", actor=user.id, subject=user.id, now=now, detail=detail)
        ours = folded(user.email or "") == folded(address)
        if ours and not user.disabled and not user.managed_by:
            await _send_reset(session, people, user, user.locale, now=now)


async def _drop_since(session: Session, user_id: str, link: Link, *, now: datetime) -> None:
    """Take away the factor that the letter of this brake tells of, and what came after it to sign in with."""
    for factor in await list_factors(session, user_id):
        if factor.id == link.text("factor") or factor.created_at > link.made_at:
            with suppress(NotFound):  # it is gone already
                await remove_factor(session, user_id, factor.id, actor=user_id, now=now)
    for one in await linked_accounts(session, user_id, bounded=False):
        if one.created_at >= link.made_at:
            await unlink(session, user_id, one.provider, one.subject, other_ways=True, now=now)


async def _send_reset(session: Session, people: People, user: User, language: str, *, now: datetime) -> None:
    letters, email = people.letters, user.email or ""
    token = await make_link(session, letters.vault, "reset", user.id, {"email": email}, now=now)
    link = letters.url("/reset", token=token)
    values = {"username": user.username}
    await letters.post(session, "reset", to=email, language=language, bound=ASKED, link=link, values=values, now=now)


async def send_notice(
    session: Session,
    people: People,
    user: User,
    name: str,
    *,
    cause: str,
    now: datetime,
    to: str | None = None,
    values: JsonObject | None = None,
) -> None:
    """Tell a person what happened to their account, with the link of the emergency brake."""
    address = to or user.email
    if address is None or user.kind != "person":
        return
    letters = people.letters
    factor = (values or {}).get("factor_id", "")
    held: JsonObject = {"email": address, "cause": cause, "factor": factor}
    token = await make_link(session, letters.vault, "lockdown", user.id, held, now=now)
    link = letters.url("/lockdown", token=token)
    told = {"username": user.username, "at": f"{now:%Y-%m-%d %H:%M} UTC", **(values or {})}
    await letters.post(session, name, to=address, language=user.locale, bound=NOTICE, link=link, values=told, now=now)


def _stands(user: User, link: Link) -> bool:
    """Whether a link still says something about the account as it is: its address, and who may choose its password."""
    same = folded(user.email or "") == folded(link.text("email"))
    return same and not user.disabled and not user.managed_by and user.kind == "person"
