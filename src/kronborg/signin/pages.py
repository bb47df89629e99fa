"""The pages in front of everything: home, sign-in, sign-out. They work without JavaScript, but for passkeys.

Pages of this slice and of those above ask here who visits them (`visit`) and where to send strangers (`sign_in_url`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.cookies import BROWSER, DEVICE, SESSION, drop_cookie, read_cookie, set_cookie
from kronborg.core.csrf import CsrfRefused, checked_form
from kronborg.core.error_pages import BUSY
from kronborg.core.errors import NotFound, Overloaded
from kronborg.core.html import is_fragment, redirect, render
from kronborg.core.languages import N_, many
from kronborg.core.parts import part_of, parts_of
from kronborg.factors.pages import with_browser
from kronborg.factors.passkeys import Asked
from kronborg.federation.home_realm import Offered
from kronborg.sessions.life import end_session
from kronborg.sessions.model import Visit
from kronborg.sessions.proof import continue_path, seal_proof
from kronborg.sessions.tickets import Ticket, local_path, read_ticket
from kronborg.sessions.visits import origin_of_request, put_session, visit
from kronborg.signin.finish import SignedIn
from kronborg.signin.parts import SignInParts
from kronborg.signin.provider_pages import (
    NONE,
    hinted_provider,
    home_provider,
    offered_here,
    see_providers,
    sign_out_there,
)
from kronborg.signin.seat_pages import is_strong_enough, missing_here, passkey_here, step_up_path
from kronborg.signin.sign_in import Attempt, DirectoryDown, Outcome, Proved, Throttled, WrongCredentials, sign_in

WRONG = N_("That username and password do not match. Check both and try again.")
DIRECTORY_DOWN = N_(
    "That username and password do not match, or your company's directory does not answer right now. "
    "If you sign in with your company account, try again in a few minutes."
)
STALE = N_("This page was open for too long, or was opened in two windows. Please sign in once more.")


@dataclass(frozen=True, slots=True)
class HomePage:
    """`signin/home.html` needs nothing but the brand."""


@dataclass(frozen=True, slots=True)
class SignInPage:
    """What `signin/sign_in.html` shows; `next` and `ticket` travel through the form."""

    next: str
    ticket: str
    client_name: str | None
    login: str = ""
    error: str | None = None
    offered: Offered = NONE
    passkey: Asked | None = None
    """What a passkey in place of the password is asked; None where they are not offered."""


@dataclass(frozen=True, slots=True)
class SignOutPage:
    """What `signin/sign_out.html` shows: a question to somebody signed in, the fact to anybody else."""

    visit: Visit | None


AfterSignOut = Callable[[Request, Visit], Awaitable[Response | None]]
"""What the composition root may keep at `app.state.after_sign_out`: the page that follows a sign-out, if any."""


def routes() -> list[Route]:
    """`/`, `/signin`, `/signout`."""
    return [
        Route("/", home, methods=["GET"]),
        Route("/signin", show_sign_in, methods=["GET"]),
        Route("/signin", submit_sign_in, methods=["POST"]),
        Route("/signout", show_sign_out, methods=["GET"]),
        Route("/signout", submit_sign_out, methods=["POST"]),
    ]


def signin_parts_of(request: Request) -> SignInParts:
    """The sign-in parts of the app that serves this request."""
    return part_of(request, "signin", SignInParts)


async def home(request: Request) -> Response:
    """What this is; people who are signed in go straight to their account."""
    if await visit(request) is not None:
        return redirect(request, "/account")
    return render(request, "signin/home.html", HomePage())


async def show_sign_in(request: Request) -> Response:
    """The form; somebody signed in already is sent on, unless the ticket says to ask again."""
    page, ticket = page_of(request, request.query_params)
    here = await visit(request)
    if here is not None and is_strong_enough(here, ticket):
        return redirect(request, page.next)
    onward = None if here is None else await step_up_path(request, here, page.next, page.ticket, ticket)
    if onward is not None:
        return with_browser(request, redirect(request, onward))
    await see_providers(request)
    elsewhere = await hinted_provider(request, page.next, page.ticket, ticket)
    return elsewhere or render_sign_in(request, page, ticket)


async def submit_sign_in(request: Request) -> Response:
    """Compare what was typed; on success a new session and back to where the visitor came from."""
    await see_providers(request)
    try:
        form = await checked_form(request)
    except CsrfRefused:
        page, ticket = page_of(request, request.query_params, error=STALE)
        return render_sign_in(request, page, ticket, status=403)
    login = form.get("username", "")
    page, ticket = page_of(request, form, login=login)
    elsewhere = None if form.get("password") else await home_provider(request, page.next, page.ticket, login)
    if elsewhere is not None:
        return elsewhere
    if not login.strip() or not form.get("password"):
        page, ticket = page_of(request, form, login=login, error=N_("Enter your username and your password."))
        return render_sign_in(request, page, ticket, status=422)
    parts, signin = parts_of(request), signin_parts_of(request)
    here = await visit(request)
    attempt = Attempt(
        login=login,
        password=form["password"],
        origin=origin_of_request(request),
        device_cookie=read_cookie(request, DEVICE, secure=parts.secure),
        replaces=None if here is None else (here.session_id, here.user_id),
    )
    try:
        outcome = await sign_in(
            parts.database,
            parts.vault,
            signin.passwords,
            signin.settings.throttle,
            attempt,
            session_lifetime=parts.session_absolute,
            now=clock.now(),
            directories=getattr(request.app.state, "directories", None),
            missing=missing_here(request, ticket),
        )
    except Overloaded:
        page, ticket = page_of(request, form, login=login, error=BUSY)
        return render_sign_in(request, page, ticket, status=503, headers={"retry-after": "2"})
    return _answered(request, form, login, outcome)


def _answered(request: Request, form: Mapping[str, str], login: str, outcome: Outcome) -> Response:
    """The page or the way on that an attempt leads to."""
    parts = parts_of(request)
    page, ticket = page_of(request, form, login=login)
    match outcome:
        case SignedIn(begun=begun, device_cookie=device_cookie):
            return enter(request, SignedIn(begun, device_cookie), page.next)
        case Proved(proof=proof):
            browser = read_cookie(request, BROWSER, secure=parts.secure) or ""
            sealed = seal_proof(parts.vault, proof, browser=browser)
            return redirect(request, continue_path(sealed, next_path=page.next, ticket=page.ticket))
        case WrongCredentials():
            page, ticket = page_of(request, form, login=login, error=WRONG)
            return render_sign_in(request, page, ticket, status=422)
        case DirectoryDown():
            page, ticket = page_of(request, form, login=login, error=DIRECTORY_DOWN)
            return render_sign_in(request, page, ticket, status=503, headers={"retry-after": "10"})
        case Throttled(retry_after=wait):
            page, ticket = page_of(request, form, login=login, error=wait_text(wait))
            return render_sign_in(request, page, ticket, status=429, headers=retry_header(wait))
        case _:
            assert_never(outcome)


def enter(request: Request, signed_in: SignedIn, next_path: str) -> Response:
    """The session into the browser, and back to where the visitor came from."""
    response = redirect(request, next_path)
    put_session(request, response, signed_in.begun)
    lifetime = signin_parts_of(request).settings.device_lifetime
    set_cookie(response, DEVICE, signed_in.device_cookie, secure=parts_of(request).secure, lifetime=lifetime)
    return response


async def show_sign_out(request: Request) -> Response:
    """Ask; a link from elsewhere cannot sign anybody out."""
    return render(request, "signin/sign_out.html", SignOutPage(await visit(request)))


async def submit_sign_out(request: Request) -> Response:
    """End this session, here and on the server."""
    await checked_form(request)
    here = await visit(request)
    there = None if here is None else await sign_out_there(request, here.session_id)
    if here is not None:
        try:
            async with parts_of(request).database.write() as session:
                await end_session(session, here.session_id, user_id=here.user_id, actor=here.user_id, now=clock.now())
        except NotFound:
            pass  # ended in another window meanwhile
    after: AfterSignOut | None = getattr(request.app.state, "after_sign_out", None)
    told = None if after is None or here is None or is_fragment(request) else await after(request, here)
    response = told or there or redirect(request, "/signout")
    drop_cookie(response, SESSION, secure=parts_of(request).secure)
    return response


def wait_text(wait: timedelta) -> str:
    """How long to wait, for people."""
    seconds = max(1, round(wait.total_seconds()))
    minutes = -(-seconds // 60)
    if seconds < 60:
        return many(
            "Too many attempts. Wait %(num)s second, then try again.",
            "Too many attempts. Wait %(num)s seconds, then try again.",
            seconds,
        )
    return many(
        "Too many attempts. Wait %(num)s minute, then try again.",
        "Too many attempts. Wait %(num)s minutes, then try again.",
        minutes,
    )


def retry_header(wait: timedelta) -> Mapping[str, str]:
    """How long to wait, for machines (RFC 9110 §10.2.3)."""
    return {"retry-after": str(max(1, round(wait.total_seconds() + 0.5)))}


def page_of(
    request: Request, fields: Mapping[str, str], *, login: str | None = None, error: str | None = None
) -> tuple[SignInPage, Ticket]:
    next_path = local_path(fields.get("next"))
    text = fields.get("ticket", "")
    ticket = read_ticket(parts_of(request).vault, text, next_path)
    shown = ticket.login_hint if login is None else login
    return SignInPage(next_path, text, ticket.client_name, shown[:254], error), ticket


def render_sign_in(
    request: Request,
    page: SignInPage,
    ticket: Ticket,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    page = replace(page, offered=offered_here(request), passkey=passkey_here(request))
    action = ticket.form_action
    shown = render(request, "signin/sign_in.html", page, status=status, form_action=action, headers=headers)
    return with_browser(request, shown)
