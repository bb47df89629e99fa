"""One-time codes by e-mail and by text message: eight minutes, five tries, one use, one browser.

A code is kept as a keyed digest bound to the browser that asked for it, so that one sent for somebody else's half-way
sign-in is worth nothing here. How many are sent within an hour is bounded: for each person, for each number or address
that somebody only claims to have, and, as text messages cost money, for the installation.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from kronborg.core.crypto import KeyProblem, Vault
from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import Invalid, Problem, TooMany
from kronborg.core.ids import new_id
from kronborg.core.languages import N_
from kronborg.core.log import get_logger
from kronborg.core.mail import Letter, post
from kronborg.factors.manage import add_factor, remove_factor
from kronborg.factors.model import Factor, Person
from kronborg.factors.store import code_waits, count_sending, insert_factor, list_sealed, put_code, try_code

log = get_logger("kronborg.factors")

LIFETIME = timedelta(minutes=8)
TRIES = 5
HOUR = timedelta(hours=1)
PER_PERSON = 10
PER_TARGET = 5
"""Codes within an hour: to one person, and to one number or address that is being enrolled, by whomever."""
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")

By = Literal["email", "sms"]


@dataclass(frozen=True, slots=True)
class Sending:
    """What a code is sent for: to whom, by which way, from which browser, and to which number or address."""

    user_id: str
    by: By
    browser: str
    target: str


async def bound(session: Session, vault: Vault, sending: Sending, *, enrols: bool, texts: int, now: datetime) -> None:
    """Count a code that is about to be sent; `texts` are those that the installation sends within an hour.

    What is refused for one reason counts for none of the next: nobody uses up what others share. A number that
    somebody else has proved is not counted by itself, so that no stranger can keep its owner from signing in.
    Raises `TooMany`.
    """
    bounds = [(f"person\n{sending.user_id}", PER_PERSON)]
    if enrols:
        bounds.append((f"target\n{sending.by}\n{sending.target.casefold()}", PER_TARGET))
    if sending.by == "sms":
        bounds.append(("texts", texts))
    for subject, most in bounds:
        key = vault.digest(subject, context="factors.sendings")
        sent, until = await count_sending(session, key, now=now, until=now + HOUR)
        if sent > most:
            if subject == "texts":
                log.warning("texts_exhausted", per_hour=texts)
            raise TooMany("too many codes were sent within an hour", retry_after=until - now)


async def make_code(session: Session, vault: Vault, sending: Sending, *, now: datetime) -> str:
    """A new code, which an older one of the same browser gives way to."""
    code = f"{secrets.randbelow(1_000_000):06d}"
    expires_at = now + LIFETIME
    digest = _digest(vault, sending, code)
    await put_code(session, _key(vault, sending), sending.user_id, digest, tries=TRIES, now=now, expires_at=expires_at)
    return code


async def code_is_under_way(session: ReadSession, vault: Vault, sending: Sending, *, now: datetime) -> bool:
    """Whether a code was sent that can still be typed."""
    return await code_waits(session, _key(vault, sending), now=now)


async def use_code(session: Session, vault: Vault, sending: Sending, code: str, *, now: datetime) -> bool:
    """Whether this is the code that was sent; it can be used once."""
    typed = "".join(code.split())[:20]
    return await try_code(session, _key(vault, sending), _digest(vault, sending, typed), now=now)


async def post_code(
    session: Session, vault: Vault, person: Person, code: str, *, subject: str, text: str, now: datetime
) -> None:
    """Let the letter with a code be sent. The address has been verified."""
    if person.email is None or not person.email_verified:
        raise Invalid(Problem("email", N_("this address is not verified"), N_("verify it on your profile first")))
    await post(session, vault, Letter(person.email, subject, text), now=now)


def checked_number(number: str) -> str:
    """A telephone number in international form (E.164). Raises `Invalid`."""
    given = re.sub(r"[\s().-]", "", number[:40])
    given = f"+{given[2:]}" if given.startswith("00") else given
    if not _NUMBER.fullmatch(given):
        raise Invalid(Problem("number", N_("this is not a telephone number"), N_("write it like +45 12 34 56 78")))
    return given


def seal_number(vault: Vault, user_id: str, number: str) -> str:
    """A number that is being verified, to travel in the form."""
    return vault.seal(number.encode(), context=f"factors.number.new:{user_id}")


def open_number(vault: Vault, user_id: str, sealed: str) -> str | None:
    """The number that is being verified."""
    try:
        return vault.open(sealed[:1000], context=f"factors.number.new:{user_id}").decode()
    except KeyProblem:
        return None


async def number_of(session: ReadSession, vault: Vault, user_id: str) -> str | None:
    """The number that texts for this person go to."""
    for kept in await list_sealed(session, user_id, "sms"):
        return vault.open(kept.sealed, context=f"factors.number:{kept.factor.id}").decode()
    return None


async def add_sent(session: Session, vault: Vault, sending: Sending, *, name: str, now: datetime) -> Factor:
    """Keep the address or the number that a code was read at, in place of an older one of its kind."""
    hint = hidden_email(sending.target) if sending.by == "email" else hidden_number(sending.target)
    factor = Factor(new_id(), sending.user_id, sending.by, name, now, now, hint)
    for older in await list_sealed(session, sending.user_id, sending.by):
        await remove_factor(session, sending.user_id, older.factor.id, actor=sending.user_id, now=now)
    kept = vault.seal(sending.target.encode(), context=f"factors.number:{factor.id}") if sending.by == "sms" else ""

    async def insert() -> bool:
        return await insert_factor(session, factor, sealed=kept)

    await add_factor(session, factor, insert, now=now)
    return factor


def hidden_number(number: str) -> str:
    """A number as a page shows it."""
    return f"{number[:3]} … {number[-2:]}"


def hidden_email(address: str) -> str:
    """An address as a page shows it."""
    local, _, host = address.partition("@")
    return f"{local[:1]}…@{host}"


def _key(vault: Vault, sending: Sending) -> bytes:
    return vault.digest("\n".join((sending.user_id, sending.by, sending.browser)), context="factors.sent")


def _digest(vault: Vault, sending: Sending, code: str) -> bytes:
    bound = "\n".join((sending.user_id, sending.by, sending.browser, sending.target, code))
    return vault.digest(bound, context="factors.code")
