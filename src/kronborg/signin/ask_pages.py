"""The screens of the journey behind the sign-in page: answering with a factor, and enrolling one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from kronborg.core import clock
from kronborg.core.errors import Invalid, TooMany
from kronborg.core.html import render
from kronborg.core.languages import N_, use_language
from kronborg.core.parts import parts_of
from kronborg.core.speaking import language_of
from kronborg.factors.codes import code_is_under_way, hidden_email, hidden_number
from kronborg.factors.enrolling import NAMES, Enrolment, Offer, Setting, begin, deliver, offers
from kronborg.factors.model import RECOVERY, Person
from kronborg.factors.pages import UNSENT, browser_of, factor_parts_of, site_of, with_browser
from kronborg.factors.passkeys import Asked, ask_for_second
from kronborg.factors.store import list_passkeys
from kronborg.factors.texts import NotSent
from kronborg.sessions.proof import Proof, continue_path
from kronborg.sessions.tickets import Ticket
from kronborg.signin.journey import AskFactor, MustEnrol
from kronborg.signin.pages import SignInPage, retry_header, wait_text
from kronborg.signin.seat_pages import seat_of
from kronborg.signin.steps import Here, sending_to, sendings_of
from kronborg.signin.throttle import reserve

WAYS = {**NAMES, RECOVERY: N_("Recovery code")}


@dataclass(frozen=True, slots=True)
class FactorPage:
    """What `signin/factor.html` shows: one way to answer, and links to the others."""

    client_name: str | None
    method: str
    fields: tuple[tuple[str, str], ...]
    others: tuple[tuple[str, str], ...]
    start: str
    asked: Asked | None
    is_sent_kind: bool
    sent: bool
    sent_to: str
    remember_days: int
    error: str | None


@dataclass(frozen=True, slots=True)
class EnrolPage:
    """What `signin/enrol.html` shows: what there is to choose, or one that was chosen."""

    client_name: str | None
    fields: tuple[tuple[str, str], ...]
    offers: tuple[tuple[Offer, str], ...]
    enrolment: Enrolment | None
    here: str
    start: str
    name: str
    errors: Mapping[str, str]
    error: str | None


@dataclass(frozen=True, slots=True)
class Stand:
    """Where somebody stands: the page and ticket that they came with, what they proved, and what is next."""

    page: SignInPage
    ticket: Ticket
    proof: Proof
    sealed: str
    here: Here

    @property
    def path(self) -> str:
        """The address of this very stand."""
        return continue_path(self.sealed, next_path=self.page.next, ticket=self.page.ticket)

    @property
    def start(self) -> str:
        """The sign-in page, to begin again."""
        return "/signin?" + urlencode({"next": self.page.next, "ticket": self.page.ticket})

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """What each form carries."""
        return (("proof", self.sealed), ("next", self.page.next), ("ticket", self.page.ticket))


async def ask(
    request: Request,
    stand: Stand,
    method: str,
    *,
    sent: bool = False,
    error: str | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A screen that asks for a second factor in this way."""
    parts, now, user = parts_of(request), clock.now(), stand.here.user
    methods = stand.here.step.methods if isinstance(stand.here.step, AskFactor) else ()
    asked, sent_to = None, ""
    async with parts.database.read() as reading:
        if method == "passkey":
            known, browser = await list_passkeys(reading, user.id), seat_of(request).browser
            asked = ask_for_second(parts.vault, site_of(request), user.id, known, browser=browser, now=now)
        elif method in ("email", "sms"):
            sending = await sending_to(reading, parts.vault, user, method, browser=seat_of(request).browser)
            if sending is not None:
                sent_to = hidden_email(sending.target) if method == "email" else hidden_number(sending.target)
                sent = sent or await code_is_under_way(reading, parts.vault, sending, now=now)
    page = FactorPage(
        stand.page.client_name,
        method,
        stand.fields,
        tuple((WAYS[one], f"{stand.path}&method={one}") for one in methods if one != method),
        stand.start,
        asked,
        method in ("email", "sms"),
        sent,
        sent_to,
        factor_parts_of(request).settings.remember.days,
        error,
    )
    action = stand.ticket.form_action
    return render(request, "signin/factor.html", page, status=status, form_action=action, headers=headers)


async def send_code(request: Request, stand: Stand, method: str) -> Response:
    """Send a code, and the screen to type it."""
    parts, now, at = parts_of(request), clock.now(), setting_of(request, stand)
    try:
        async with parts.database.read() as reading:
            sending = await sending_to(reading, parts.vault, stand.here.user, method, browser=at.browser)
        if sending is not None:
            await reserve(parts.database, sendings_of(parts.vault, at.person.id), now=now)
            await deliver(parts.database, at, sending, now=now)
    except TooMany as refusal:
        wait = refusal.retry_after
        return await ask(request, stand, method, error=wait_text(wait), status=429, headers=retry_header(wait))
    except (NotSent, Invalid):
        return await ask(request, stand, method, error=UNSENT, status=503)
    return await ask(request, stand, method, sent=True)


async def choose(request: Request, stand: Stand, kind: str) -> Response:
    """The screen to choose what to enrol, or the first one of what was chosen."""
    if not kind:
        return show_enrol(request, stand, None)
    at = setting_of(request, stand)
    async with parts_of(request).database.read() as reading:
        return show_enrol(request, stand, await begin(reading, at, kind, now=clock.now()))


def show_enrol(
    request: Request,
    stand: Stand,
    enrolment: Enrolment | None,
    *,
    name: str = "",
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    """The screen that enrols a factor, or lists those that could be."""
    methods = stand.here.step.methods if isinstance(stand.here.step, MustEnrol) else ()
    page = EnrolPage(
        stand.page.client_name,
        stand.fields,
        tuple((offer, f"{stand.path}&method={offer.kind}") for offer in offers(methods)),
        enrolment,
        stand.path,
        stand.start,
        name[:100],
        errors or {},
        None,
    )
    shown = render(request, "signin/enrol.html", page, status=status, form_action=stand.ticket.form_action)
    return with_browser(request, shown)


def setting_of(request: Request, stand: Stand) -> Setting:
    """Who enrols where."""
    use_language(language_of(request))  # what is sent is written in the language of the page
    user = stand.here.user
    person = Person(user.id, user.username, user.name, user.email, user.email_verified)
    return Setting(factor_parts_of(request), parts_of(request).vault, site_of(request), person, browser_of(request))
