"""Enrol a factor: what a page shows for each kind, and what counts once it was proved. For account and journey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kronborg.core.crypto import Vault
from kronborg.core.db import Database, ReadSession, Session
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.languages import N_, translate
from kronborg.factors import passkeys, totp
from kronborg.factors.codes import (
    Sending,
    add_sent,
    bound,
    checked_number,
    hidden_email,
    hidden_number,
    make_code,
    open_number,
    post_code,
    seal_number,
    use_code,
)
from kronborg.factors.manage import checked_name
from kronborg.factors.model import KINDS, Factor, Kind, Person
from kronborg.factors.parts import FactorParts
from kronborg.factors.passkeys import Asked, Purpose, Site
from kronborg.factors.store import list_passkeys
from kronborg.factors.totp import NewSecret

NAMES: Mapping[str, str] = {
    "passkey": N_("Passkey"),
    "totp": N_("Authenticator app"),
    "sms": N_("Text message"),
    "email": N_("E-mail"),
}
ABOUT: Mapping[str, str] = {
    "passkey": N_("Your fingerprint, face or screen lock, or a security key. It cannot be given to a false site."),
    "totp": N_("Six digits from an app on your phone. Works without a connection."),
    "sms": N_("A code by text message to your phone. Weaker than an app: numbers can be taken over."),
    "email": N_("A code by e-mail. Only as safe as your mailbox."),
}
SUBJECT = N_("Your code")
LETTER = N_(
    "Hello %(name)s,\n\nyour code is %(code)s\n\nIt can be used once, in the next eight minutes, in the browser that "
    "asked for it. If that was not you, somebody knows your password: change it.\n"
)
TEXT = N_("%(code)s is your code for %(site)s. Nobody of us will ever ask you for it.")


@dataclass(frozen=True, slots=True)
class Offer:
    """One kind of factor as a list shows it."""

    kind: Kind
    name: str
    about: str


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a page shows to enrol one kind. For codes that are sent: where to, and whether one is under way."""

    kind: Kind
    name: str
    about: str
    secret: NewSecret | None = None
    asked: Asked | None = None
    sent: bool = False
    sent_to: str = ""
    number: str = ""
    """The sealed number that is being verified."""
    typed: str = ""
    """What was typed as a number, to be corrected."""


@dataclass(frozen=True, slots=True)
class Given:
    """What came back."""

    name: str = ""
    code: str = ""
    sealed: str = ""
    credential: str = ""
    number: str = ""

    @classmethod
    def of(cls, form: Mapping[str, str]) -> Given:
        """The fields of a form made for an `Enrolment`."""
        values = ("name", "code", "sealed", "credential", "number")
        return cls(*(form.get(name, "") for name in values))


@dataclass(frozen=True, slots=True)
class Setting:
    """Who enrols where: the installation, the person and the browser."""

    parts: FactorParts
    vault: Vault
    site: Site
    person: Person
    browser: str


def offers(kinds: tuple[str, ...]) -> tuple[Offer, ...]:
    """These kinds as a list shows them."""
    return tuple(Offer(kind, NAMES[kind], ABOUT[kind]) for kind in KINDS if kind in kinds)


async def begin(
    session: ReadSession, at: Setting, kind: str, *, given: Given | None = None, now: datetime
) -> Enrolment:
    """What to show first, or again after what was `given` and is wrong. Raises `NotFound`."""
    before = given or Given()
    at.parts.check_offered(kind)
    match kind:
        case "totp":
            known = totp.same_secret(at.vault, at.person, before.sealed, installation=at.site.name, now=now)
            secret = known or totp.new_secret(at.vault, at.person, installation=at.site.name, now=now)
            return _shown("totp", secret=secret)
        case "passkey":
            known_keys = await list_passkeys(session, at.person.id)
            asked = passkeys.ask_to_register(at.vault, at.site, at.person, known_keys, browser=at.browser, now=now)
            return _shown("passkey", asked=asked)
        case "email":
            return _shown("email", sent_to=hidden_email(at.person.email or ""))
        case "sms":
            return _shown("sms", typed=before.number[:40])
        case _:
            raise NotFound("this is not offered here")


async def send(database: Database, at: Setting, kind: str, given: Given, *, now: datetime) -> Enrolment:
    """Send the code that proves an address or a number. Raises `Invalid`, `NotFound`, `NotSent`, `TooMany`."""
    at.parts.check_offered(kind)
    if kind == "email":
        if at.person.email is None or not at.person.email_verified:
            raise Invalid(Problem("email", N_("this address is not verified"), N_("verify it on your profile first")))
        await deliver(database, at, Sending(at.person.id, "email", at.browser, at.person.email), enrols=True, now=now)
        return _shown("email", sent=True, sent_to=hidden_email(at.person.email))
    number = checked_number(given.number)
    await deliver(database, at, Sending(at.person.id, "sms", at.browser, number), enrols=True, now=now)
    sealed = seal_number(at.vault, at.person.id, number)
    return _shown("sms", sent=True, sent_to=hidden_number(number), number=sealed)


def still_sent(at: Setting, kind: str, given: Given) -> Enrolment:
    """The page again, after a code that was wrong."""
    if kind == "email":
        return _shown("email", sent=True, sent_to=hidden_email(at.person.email or ""))
    number = open_number(at.vault, at.person.id, given.sealed)
    return _shown("sms", sent=number is not None, sent_to=hidden_number(number or ""), number=given.sealed)


async def deliver(database: Database, at: Setting, sending: Sending, *, enrols: bool = False, now: datetime) -> None:
    """Send a code; `enrols` when its target is not proved yet. Raises `NotSent`, `NotFound`, `TooMany`.

    The network is asked after the transaction.
    """
    texts = 0 if at.parts.settings.sms is None else at.parts.settings.sms.per_hour
    async with database.write() as session:
        await bound(session, at.vault, sending, enrols=enrols, texts=texts, now=now)
        code = await make_code(session, at.vault, sending, now=now)
        if sending.by == "email":
            name = at.person.name or at.person.username
            body = translate(LETTER) % {"name": name, "code": code}
            await post_code(session, at.vault, at.person, code, subject=translate(SUBJECT), text=body, now=now)
    if sending.by == "sms":
        if at.parts.texts is None:
            raise NotFound("no text messages are sent here")
        await at.parts.texts(sending.target, translate(TEXT) % {"code": code, "site": at.site.name})


async def enrol(
    session: Session, at: Setting, kind: str, given: Given, *, now: datetime
) -> tuple[Factor, tuple[str, ...]]:
    """Keep a factor that was proved; and what it is called in `amr`. Raises `Invalid`, `Conflict`, `NotFound`."""
    at.parts.check_offered(kind)
    match kind:
        case "totp":
            name = checked_name(given.name, default=translate(NAMES["totp"]))
            factor = await totp.confirm_secret(
                session, at.vault, at.person.id, sealed=given.sealed, code=given.code, name=name, now=now
            )
            return factor, ("otp",)
        case "passkey":
            name = checked_name(given.name, default=translate(NAMES["passkey"]))
            purpose = Purpose(passkeys.REGISTER, at.browser, at.person.id)
            factor, _ = await passkeys.register(
                session, at.vault, at.site, purpose, sealed=given.sealed, answer=given.credential, name=name, now=now
            )
            return factor, ("swk" if factor.backup_eligible else "hwk", "user")
        case "email" | "sms" as by:
            return await _enrol_sent(session, at, by, given, now=now), ("otp", "mca") if by == "email" else (
                "sms",
                "mca",
            )
        case _:
            raise NotFound("this is not offered here")


async def _enrol_sent(
    session: Session, at: Setting, by: Literal["email", "sms"], given: Given, *, now: datetime
) -> Factor:
    if by == "email":
        target = at.person.email if at.person.email_verified else None
    else:
        target = open_number(at.vault, at.person.id, given.sealed)
    sending = None if target is None else Sending(at.person.id, by, at.browser, target)
    if sending is None or not await use_code(session, at.vault, sending, given.code, now=now):
        raise Invalid(Problem("code", N_("this is not the code that was sent"), N_("check it, or have a new one sent")))
    return await add_sent(session, at.vault, sending, name=translate(NAMES[by]), now=now)


def _shown(
    kind: Kind,
    *,
    secret: NewSecret | None = None,
    asked: Asked | None = None,
    sent: bool = False,
    sent_to: str = "",
    number: str = "",
    typed: str = "",
) -> Enrolment:
    return Enrolment(kind, NAMES[kind], ABOUT[kind], secret, asked, sent, sent_to, number, typed)
