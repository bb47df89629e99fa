"""People who make their account themselves. Nothing a page answers tells whether an address is known here.

With `verify` an account begins when its address is proved: until then there is only a link, so nobody's address can be
taken by typing it. Without, the account begins at once and the address is joined to it once it is proved.
"""

from __future__ import annotations

import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kronborg.accounts.attributes import checked_attributes
from kronborg.accounts.links import Link, ask, find_link, make_link, spend_link
from kronborg.accounts.model import User, clean, folded, name_problems
from kronborg.accounts.people import People
from kronborg.accounts.settings import PeopleSettings
from kronborg.accounts.store import find_by_login, find_groups_by_names
from kronborg.accounts.users import NewUser, create_user
from kronborg.core.db import Database, Session
from kronborg.core.errors import Forbidden, Invalid, NotFound, Problem
from kronborg.core.events import record
from kronborg.core.ids import new_id
from kronborg.core.json import JsonObject
from kronborg.core.languages import N_
from kronborg.core.letters import ASKED
from kronborg.core.log import get_logger
from kronborg.core.whole import whole
from kronborg.signin.passwords import Passwords, store_password

log = get_logger("kronborg.registration")

REGISTER: Literal["register"] = "register"
ATTACH: Literal["attach"] = "attach"
GONE = "this link was used already, or its time is over"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody filled in. `browser` is what the browser is known by, `next_path` where they were going."""

    email: str
    name: str
    password: str
    attributes: JsonObject
    language: str = ""
    browser: str = ""
    next_path: str = ""


@dataclass(frozen=True, slots=True)
class Registered:
    """An account that has begun, and where its person was going."""

    user: User
    next_path: str


def check_wanted(settings: PeopleSettings, passwords: Passwords, wanted: Wanted, now: datetime) -> JsonObject:
    """The attributes as they are kept, once all that was filled in is right. Raises `Invalid`, `Forbidden`.

    Nothing here depends on who is known.
    """
    if not settings.registration.open:
        raise Forbidden("nobody can register here: ask an administrator for an account")
    problems = name_problems(email=clean(wanted.email), name=clean(wanted.name))
    domain = wanted.email.strip().rpartition("@")[2].lower()
    if settings.registration.domains and domain not in settings.registration.domains:
        problems.append(
            Problem("email", N_("addresses of this domain cannot register"), N_("use that of your company"))
        )
    attributes: JsonObject = {}
    try:
        attributes = checked_attributes(settings.attributes, {}, wanted.attributes, by="person", complete=True)
    except Invalid as invalid:
        problems += invalid.problems
    try:
        passwords.check(wanted.password, user=_nobody(wanted, now))
    except Invalid as invalid:
        problems += invalid.problems
    if problems:
        raise Invalid(*problems)
    return attributes


async def ask_to_register(
    database: Database, people: People, passwords: Passwords, wanted: Wanted, *, now: datetime
) -> Registered | None:
    """Begin: a letter is on its way, whoever the address belongs to. The account, if it begins at once.

    Raises `Invalid`, `Forbidden`, `Overloaded`.
    """
    attributes = check_wanted(people.settings, passwords, wanted, now)
    await passwords.examine(wanted.password, user=_nobody(wanted, now))
    encoded = await passwords.hash(wanted.password)
    email, name = clean(wanted.email), clean(wanted.name)
    vault = people.letters.vault
    if people.settings.registration.verify:
        told: JsonObject = {
            "email": email,
            "name": name,
            "password": encoded,
            "attributes": attributes,
            "language": wanted.language,
            "browser": wanted.browser,
            "next": wanted.next_path,
        }
        async with database.write() as session:
            await ask(session, vault, REGISTER, told, now=now)
        return None
    async with whole(database) as session:
        groups = people.settings.registration.groups
        new = NewUser(await _free_username(session, email), None, name, (), groups)
        user = await _begin(session, new, encoded, attributes, wanted.language, now=now)
        attach: JsonObject = {"email": email, "user": user.id, "language": wanted.language}
        await ask(session, vault, ATTACH, attach, now=now)
    return Registered(user, wanted.next_path)


async def answer_registration(session: Session, people: People, told: JsonObject, now: datetime) -> None:
    """What the worker does about it: a link to a new person, the news to somebody who has an account already."""
    email, language = str(told["email"]), str(told["language"])
    letters = people.letters
    if await find_by_login(session, email) is not None:
        await _say_it_is_known(session, people, email, language, now=now)
        return
    token = await make_link(session, letters.vault, "register", None, told, now=now)
    link = letters.url("/register/confirm", token=token)
    await letters.post(session, "registration", to=email, language=language, bound=ASKED, link=link, now=now)


async def answer_attachment(session: Session, people: People, told: JsonObject, now: datetime) -> None:
    """The same for the address of an account that has begun."""
    email, language, letters = str(told["email"]), str(told["language"]), people.letters
    if await find_by_login(session, email) is not None:
        await _say_it_is_known(session, people, email, language, now=now)
        return
    token = await make_link(session, letters.vault, "verify", str(told["user"]), {"email": email}, now=now)
    link = letters.url("/verify", token=token)
    await letters.post(session, "address", to=email, language=language, bound=ASKED, link=link, now=now)


async def confirm_registration(
    database: Database,
    people: People,
    passwords: Passwords,
    token: str,
    *,
    browser: str,
    password: str,
    now: datetime,
) -> Registered:
    """Begin the account of whoever holds the link; in another browser than where it was asked for, with the password.

    Somebody else may have typed this address. Raises `NotFound` for a link that is no more, `Invalid`, `Conflict`.
    """
    vault = people.letters.vault
    async with database.read() as reading:
        link = await find_link(reading, vault, "register", token, now=now)
    if link is None:
        raise NotFound(GONE)
    if not same_browser(link, browser) and not await passwords.matches(password, link.text("password")):
        raise Invalid(
            Problem("password", N_("this is not the password you chose"), N_("type the one you registered with"))
        )
    async with whole(database) as session:
        spent = await spend_link(session, vault, "register", token, now=now)
        if spent is None:
            raise NotFound(GONE)
        email, attributes = spent.text("email"), spent.held.get("attributes")
        new = NewUser(
            await _free_username(session, email),
            email,
            spent.text("name"),
            groups=people.settings.registration.groups,
            email_verified=True,
        )
        kept = attributes if isinstance(attributes, dict) else {}
        user = await _begin(session, new, spent.text("password"), kept, spent.text("language"), now=now)
    return Registered(user, spent.text("next"))


def same_browser(link: Link, browser: str) -> bool:
    """Whether this is the browser in which the link was asked for."""
    return bool(browser) and hmac.compare_digest(link.text("browser").encode(), browser.encode())


async def _begin(
    session: Session, new: NewUser, encoded: str, attributes: JsonObject, language: str, *, now: datetime
) -> User:
    user_id = new_id()
    known = await find_groups_by_names(session, new.groups)
    if len(known) < len({folded(name) for name in new.groups}):
        # Whoever registers cannot mend it, and loses less without a group than without an account.
        log.warning("registration_group_missing")
    whole_new = NewUser(
        new.username,
        new.email,
        new.name,
        groups=tuple(group.name for group in known.values()),
        email_verified=new.email_verified,
        locale=language,
        attributes=attributes,
    )
    user = await create_user(session, whole_new, actor=user_id, now=now, user_id=user_id)
    await store_password(session, user_id, encoded, actor=user_id, now=now)
    await record(session, "user.registered", actor=user_id, subject=user_id, now=now)
    return user


async def _say_it_is_known(session: Session, people: People, email: str, language: str, *, now: datetime) -> None:
    letters = people.letters
    link = letters.url("/signin")
    await letters.post(session, "known", to=email, language=language, bound=ASKED, link=link, now=now)


async def _free_username(session: Session, email: str) -> str:
    """A username like the address, which nobody has; people sign in with either."""
    local = unicodedata.normalize("NFC", email.partition("@")[0].casefold())
    base = re.sub(r"[^\w.+-]|_", "", local).lstrip(".+-")[:40] or "user"
    if await find_by_login(session, base) is None:
        return base
    while True:
        tried = f"{base}{secrets.randbelow(1_000_000):06d}"
        if await find_by_login(session, tried) is None:
            return tried


def _nobody(wanted: Wanted, now: datetime) -> User:
    return User("", wanted.email.partition("@")[0], wanted.email, wanted.name, False, (), (), now, now)
