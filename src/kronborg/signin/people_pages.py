"""What the pages about people share: single steps by mail, how often strangers may ask, proving a presence again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from kronborg.accounts.people import People
from kronborg.core import clock
from kronborg.core.addresses import network_of
from kronborg.core.cookies import BROWSER, read_cookie
from kronborg.core.errors import TooMany
from kronborg.core.html import redirect, render
from kronborg.core.languages import N_
from kronborg.core.parts import part_of, parts_of
from kronborg.sessions.model import Visit
from kronborg.sessions.proof import Proof, continue_path, seal_proof
from kronborg.sessions.visits import origin_of_request
from kronborg.signin.model import Allowance
from kronborg.signin.pages import retry_header, signin_parts_of, wait_text
from kronborg.signin.passwords import verify_password
from kronborg.signin.store import password_changed_at
from kronborg.signin.throttle import Counter, counters_for, give_back, reserve

FRESH = timedelta(minutes=5)
AGAIN = N_("This takes a fresh sign-in: sign out and in again, then come back here within five minutes.")
GONE_TITLE = N_("This link works no more")
GONE_TEXT = N_("It was used already, or its time is over. Ask for another one.")


@dataclass(frozen=True, slots=True)
class ToldPage:
    """What `signin/told.html` shows: that something is so, and where to go now. Every text is marked."""

    title: str
    text: str
    href: str
    link: str
    good: bool = True


@dataclass(frozen=True, slots=True)
class PressPage:
    """What `signin/press.html` shows: one question, one button; the button spends the link, and nothing before does."""

    action: str
    token: str
    title: str
    text: str
    button: str
    value: str = ""
    asks_password: bool = False
    danger: bool = False
    error: str | None = None


def people_of(request: Request) -> People:
    """The people of the app that serves this request."""
    return part_of(request, "people", People)


def gone(request: Request) -> Response:
    """The answer to a link that is good for nothing."""
    return render(
        request,
        "signin/told.html",
        ToldPage(GONE_TITLE, GONE_TEXT, "/signin", N_("Go to sign-in"), good=False),
        status=404,
    )


def browser_of(request: Request) -> str:
    """What this browser is known by, as a digest; empty for one that never had a form of ours."""
    parts = parts_of(request)
    cookie = read_cookie(request, BROWSER, secure=parts.secure)
    return "" if cookie is None else parts.vault.digest(cookie, context="signin.browser").hex()


def go_on_with(request: Request, user_id: str, next_path: str) -> Response:
    """Somebody has just chosen a password: the journey decides what else it takes to be signed in."""
    parts = parts_of(request)
    browser = read_cookie(request, BROWSER, secure=parts.secure) or ""
    sealed = seal_proof(parts.vault, Proof(user_id, ("pwd",), clock.now()), browser=browser)
    return redirect(request, continue_path(sealed, next_path=next_path))


async def paced(request: Request, kind: str, subject: str | None = None, *, per_hour: int) -> TooMany | None:
    """Count a request of this kind, by the network it comes from or by `subject`; the refusal when it is too many."""
    parts = parts_of(request)
    whose = network_of(origin_of_request(request).address) if subject is None else subject
    allowance = Allowance(per_hour, timedelta(minutes=1), timedelta(hours=1), timedelta(hours=1) / per_hour)
    key = parts.vault.digest(f"{kind}\n{whose}", context="signin.asked")
    try:
        await reserve(parts.database, (Counter(kind, key, allowance),), now=clock.now())
    except TooMany as refusal:
        return refusal
    return None


def too_many(refusal: TooMany) -> tuple[str, Mapping[str, str]]:
    """What to say, and the header for machines."""
    return wait_text(refusal.retry_after), retry_header(refusal.retry_after)


@dataclass(frozen=True, slots=True)
class Unproved:
    """Why somebody signed in is not believed to know the password."""

    text: str
    status: int
    headers: Mapping[str, str] | None = None


async def unproved(request: Request, here: Visit, password: str) -> Unproved | None:
    """None when `password` is the visitor's own, or, without one, when they signed in just now.

    Guessing is counted by session, so it locks nobody else out.
    """
    parts, signin, now = parts_of(request), signin_parts_of(request), clock.now()
    async with parts.database.read() as reading:
        has_password = await password_changed_at(reading, here.user_id) is not None
    if not has_password:
        # Who has none here signs in elsewhere or by a passkey: having just done so says as much.
        return None if now - here.auth_time <= FRESH else Unproved(AGAIN, 403)
    if not password:
        return Unproved(N_("Enter your present password."), 422)
    counters = counters_for(
        parts.vault, signin.settings.throttle, login=here.user_id, address="", device=f"session:{here.session_id}"
    )
    try:
        await reserve(parts.database, counters, now=now)
    except TooMany as refusal:
        return Unproved(wait_text(refusal.retry_after), 429, retry_header(refusal.retry_after))
    if not await verify_password(parts.database, signin.passwords, here.user_id, password):
        return Unproved(N_("This is not your present password."), 422)
    await give_back(parts.database, counters, now=now)
    return None
