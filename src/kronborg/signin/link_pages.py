"""Where the links of letters lead. To look at a page (GET, HEAD) spends nothing; its button does.

The address of such a page holds the token, so these pages load nothing from elsewhere and send no referrer there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts.links import find_link
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.error_pages import BUSY
from kronborg.core.errors import Conflict, Invalid, NotFound, Overloaded
from kronborg.core.html import redirect, render
from kronborg.core.languages import N_, errors_of
from kronborg.core.parts import parts_of
from kronborg.sessions.tickets import local_path
from kronborg.sessions.visits import sign_in_url, visit
from kronborg.signin.addresses import address_of_link, prove_address
from kronborg.signin.pages import signin_parts_of
from kronborg.signin.people_pages import (
    PressPage,
    ToldPage,
    browser_of,
    go_on_with,
    gone,
    paced,
    people_of,
    too_many,
)
from kronborg.signin.recovery import choose_password, lock_down, person_of_link
from kronborg.signin.registration import confirm_registration, same_browser

Path = Literal["/join", "/reset"]
TRIES_PER_HOUR = 30
"""So many passwords from one network may be tried or set by links."""


@dataclass(frozen=True, slots=True)
class ChoosePage:
    """What `signin/choose.html` shows: a new password for the person of a link."""

    action: str
    token: str
    username: str
    invited: bool
    shortest: int
    error: str | None = None


def routes() -> list[Route]:
    """The pages that letters name."""
    return [
        Route("/register/confirm", show_confirm, methods=["GET"]),
        Route("/register/confirm", submit_confirm, methods=["POST"]),
        Route("/verify", show_verify, methods=["GET"]),
        Route("/verify", submit_verify, methods=["POST"]),
        Route("/join", show_choose, methods=["GET"]),
        Route("/join", submit_choose, methods=["POST"]),
        Route("/reset", show_choose, methods=["GET"]),
        Route("/reset", submit_choose, methods=["POST"]),
        Route("/lockdown", show_lockdown, methods=["GET"]),
        Route("/lockdown", submit_lockdown, methods=["POST"]),
    ]


async def show_confirm(request: Request) -> Response:
    """The last step of registration."""
    return await _confirm(request, request.query_params.get("token", ""))


async def submit_confirm(request: Request) -> Response:
    """The account begins."""
    form = await checked_form(request)
    token = form.get("token", "")
    refusal = await paced(request, "link", per_hour=TRIES_PER_HOUR)
    if refusal is not None:
        error, headers = too_many(refusal)
        return await _confirm(request, token, error=error, status=429, headers=headers)
    try:
        begun = await confirm_registration(
            parts_of(request).database,
            people_of(request),
            signin_parts_of(request).passwords,
            token,
            browser=browser_of(request),
            password=form.get("password", ""),
            now=clock.now(),
        )
    except Invalid:
        return await _confirm(request, token, error=N_("This is not the password you chose."), status=422)
    except Overloaded:
        return await _confirm(request, token, error=BUSY, status=503)
    except (NotFound, Conflict):
        return gone(request)
    return go_on_with(request, begun.user.id, local_path(begun.next_path))


async def _confirm(
    request: Request,
    token: str,
    *,
    error: str | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    async with parts_of(request).database.read() as reading:
        link = await find_link(reading, people_of(request).letters.vault, "register", token, now=clock.now())
    if link is None:
        return gone(request)
    page = PressPage(
        "/register/confirm",
        token,
        N_("Confirm your address"),
        N_("Your account begins with this address:"),
        N_("Begin"),
        value=link.text("email"),
        # Somebody else may have typed the address of whoever reads this: then they do not know the password.
        asks_password=not same_browser(link, browser_of(request)),
        error=error,
    )
    return render(request, "signin/press.html", page, status=status, headers=headers)


async def show_verify(request: Request) -> Response:
    """Prove an address, signed in as the person it is for."""
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request))
    token = request.query_params.get("token", "")
    try:
        async with parts_of(request).database.read() as reading:
            address = await address_of_link(reading, people_of(request), token, user_id=here.user_id, now=clock.now())
    except NotFound:
        return gone(request)
    title, text = N_("Confirm your address"), N_("From now on this is the address of your account:")
    page = PressPage("/verify", token, title, text, N_("Confirm"), value=address)
    return render(request, "signin/press.html", page)


async def submit_verify(request: Request) -> Response:
    """The address takes effect."""
    form = await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path="/account"))
    database, token = parts_of(request).database, form.get("token", "")
    try:
        await prove_address(database, people_of(request), token, user_id=here.user_id, now=clock.now())
    except NotFound:
        return gone(request)
    except Conflict:
        taken = N_("This address belongs to another account. Sign in to that one, or choose another address.")
        page = ToldPage(N_("The address was not changed"), taken, "/account", N_("Back to your profile"), good=False)
        return render(request, "signin/told.html", page, status=409)
    return redirect(request, "/account?done=email")


async def show_choose(request: Request) -> Response:
    """A new password, for somebody invited or somebody who forgot theirs."""
    return await _choose(request, request.query_params.get("token", ""))


async def submit_choose(request: Request) -> Response:
    """Set it. Somebody invited goes on; somebody who forgot theirs signs in, with their second factor if any."""
    form = await checked_form(request)
    token, purpose = form.get("token", ""), _purpose(request)
    refusal = await paced(request, "link", per_hour=TRIES_PER_HOUR)
    if refusal is not None:
        error, headers = too_many(refusal)
        return await _choose(request, token, error=error, status=429, headers=headers)
    database, passwords = parts_of(request).database, signin_parts_of(request).passwords
    try:
        user, next_path = await choose_password(
            database, people_of(request), passwords, purpose, token, form.get("new", ""), now=clock.now()
        )
    except Invalid as invalid:
        return await _choose(request, token, error=errors_of(invalid).get("new"), status=422)
    except Overloaded:
        return await _choose(request, token, error=BUSY, status=503)
    except NotFound:
        return gone(request)
    if purpose == "invite":
        return go_on_with(request, user.id, local_path(next_path))
    text = N_("Every browser and app that was signed in as you is signed out. Sign in with the new password.")
    page = ToldPage(N_("Your password is changed"), text, "/signin", N_("Sign in"))
    return render(request, "signin/told.html", page)


def _purpose(request: Request) -> Literal["reset", "invite"]:
    return "invite" if request.url.path == "/join" else "reset"


async def _choose(
    request: Request,
    token: str,
    *,
    error: str | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    purpose = _purpose(request)
    try:
        async with parts_of(request).database.read() as reading:
            user, _ = await person_of_link(reading, people_of(request), purpose, token, now=clock.now())
    except NotFound:
        return gone(request)
    shortest = signin_parts_of(request).settings.passwords.shortest
    page = ChoosePage(request.url.path, token, user.username, purpose == "invite", shortest, error)
    return render(request, "signin/choose.html", page, status=status, headers=headers)


async def show_lockdown(request: Request) -> Response:
    """The emergency brake, before it is pulled."""
    token = request.query_params.get("token", "")
    async with parts_of(request).database.read() as reading:
        link = await find_link(reading, people_of(request).letters.vault, "lockdown", token, now=clock.now())
    if link is None:
        return gone(request)
    text = N_(
        "Everything and everyone is signed out of your account, the present password opens nothing any more, and a "
        "letter with a link for a new one is sent to you."
    )
    page = PressPage("/lockdown", token, N_("Lock your account?"), text, N_("Lock it now"), danger=True)
    return render(request, "signin/press.html", page)


async def submit_lockdown(request: Request) -> Response:
    """Pull it."""
    form = await checked_form(request)
    try:
        await lock_down(parts_of(request).database, people_of(request), form.get("token", ""), now=clock.now())
    except NotFound:
        return gone(request)
    text = N_("Nobody is signed in to it any more. A letter with a link for a new password is on its way to you.")
    page = ToldPage(N_("Your account is locked"), text, "/signin", N_("Go to sign-in"))
    return render(request, "signin/told.html", page)
