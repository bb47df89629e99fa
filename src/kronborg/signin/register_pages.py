"""`/register` and `/forgot`: what anybody may ask for. The answers are the same whoever is known here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts.attributes import in_form
from kronborg.accounts.settings import Attribute
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.error_pages import TEXTS
from kronborg.core.errors import Conflict, Invalid, NotFound, Overloaded, Problem
from kronborg.core.html import redirect, render
from kronborg.core.languages import N_, errors_of
from kronborg.core.parts import parts_of
from kronborg.core.speaking import language_of
from kronborg.sessions.tickets import local_path
from kronborg.sessions.visits import visit
from kronborg.signin.pages import signin_parts_of
from kronborg.signin.people_pages import ToldPage, browser_of, go_on_with, paced, people_of, too_many
from kronborg.signin.recovery import ask_to_reset
from kronborg.signin.registration import Wanted, ask_to_register, check_wanted

FORGOTTEN_PER_HOUR = 20
"""So many from one network; what one address is sent is bounded besides."""
AGREE = Problem("terms", N_("these terms apply to everybody"), N_("agree to them to go on"))
SENT_TITLE = N_("Look into your mailbox")
SENT_TEXT = N_("If everything was right, a letter is on its way to you. Its link works once.")


@dataclass(frozen=True, slots=True)
class RegisterPage:
    """What `signin/register.html` shows."""

    next: str
    attributes: tuple[Attribute, ...]
    shortest: int
    terms_url: str | None
    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ForgotPage:
    """What `signin/forgot.html` shows."""

    login: str = ""
    error: str | None = None


def routes() -> list[Route]:
    """`/register`, `/forgot`, and what both lead to."""
    return [
        Route("/register", show_register, methods=["GET"]),
        Route("/register", submit_register, methods=["POST"]),
        Route("/register/sent", show_sent, methods=["GET"]),
        Route("/forgot", show_forgot, methods=["GET"]),
        Route("/forgot", submit_forgot, methods=["POST"]),
        Route("/forgot/sent", show_sent, methods=["GET"]),
    ]


async def show_register(request: Request) -> Response:
    """The form, where people may register."""
    if not people_of(request).settings.registration.open:
        raise NotFound("nobody can register here")
    next_path = local_path(request.query_params.get("next"))
    if await visit(request) is not None:
        return redirect(request, next_path)
    return _register(request, next_path)


async def submit_register(request: Request) -> Response:
    """Begin an account: a letter is on its way, or somebody is told that they have one."""
    form = await checked_form(request)
    people, signin = people_of(request), signin_parts_of(request)
    registration = people.settings.registration
    if not registration.open:
        raise NotFound("nobody can register here")
    next_path = local_path(form.get("next"))
    wanted = Wanted(
        form.get("email", "")[:300],
        form.get("name", "")[:200],
        form.get("password", ""),
        in_form(people.settings.attributes, form),
        language_of(request),
        browser_of(request),
        next_path,
    )
    try:
        # What is mistyped is told before anything is counted.
        check_wanted(people.settings, signin.passwords, wanted, clock.now())
        if registration.terms_url is not None and form.get("terms") != "yes":
            raise Invalid(AGREE)
    except Invalid as invalid:
        return _register(request, next_path, form, errors=errors_of(invalid), status=422)
    refusal = await paced(request, "register", per_hour=registration.per_hour)
    if refusal is not None:
        error, headers = too_many(refusal)
        return _register(request, next_path, form, error=error, status=429, headers=headers)
    try:
        begun = await ask_to_register(parts_of(request).database, people, signin.passwords, wanted, now=clock.now())
    except Invalid as invalid:
        return _register(request, next_path, form, errors=errors_of(invalid), status=422)
    except (Conflict, Overloaded):
        busy = " ".join(TEXTS[503])
        return _register(request, next_path, form, error=busy, status=503, headers={"retry-after": "2"})
    return redirect(request, "/register/sent") if begun is None else go_on_with(request, begun.user.id, next_path)


async def show_sent(request: Request) -> Response:
    """What happens now; the same for everybody."""
    return render(request, "signin/told.html", ToldPage(SENT_TITLE, SENT_TEXT, "/signin", N_("Back to sign-in")))


async def show_forgot(request: Request) -> Response:
    """The form."""
    return render(request, "signin/forgot.html", ForgotPage())


async def submit_forgot(request: Request) -> Response:
    """Whoever is named, the answer is this one, and it takes the same time."""
    form = await checked_form(request)
    login = form.get("username", "").strip()[:254]
    if not login:
        page = ForgotPage(error=N_("Enter your username or your e-mail address."))
        return render(request, "signin/forgot.html", page, status=422)
    refusal = await paced(request, "forgot", per_hour=FORGOTTEN_PER_HOUR)
    if refusal is not None:
        error, headers = too_many(refusal)
        return render(request, "signin/forgot.html", ForgotPage(login, error), status=429, headers=headers)
    database, language = parts_of(request).database, language_of(request)
    await ask_to_reset(database, people_of(request), login, language=language, now=clock.now())
    return redirect(request, "/forgot/sent")


def _register(
    request: Request,
    next_path: str,
    form: Mapping[str, str] | None = None,
    *,
    errors: Mapping[str, str] | None = None,
    error: str | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    settings = people_of(request).settings
    asked = tuple(one for one in settings.attributes if one.write == "person" and one.required)
    shortest = signin_parts_of(request).settings.passwords.shortest
    values = {name: value for name, value in (form or {}).items() if name != "password"}
    page = RegisterPage(next_path, asked, shortest, settings.registration.terms_url, values, errors or {}, error)
    return render(request, "signin/register.html", page, status=status, headers=headers)
