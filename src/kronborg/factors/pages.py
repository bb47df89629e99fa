"""Self-service for factors: what somebody can sign in with besides a password, recovery codes, remembered browsers.

Looking takes a sign-in; changing takes one of the last minutes, with a second factor by those who have one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kronborg.accounts.store import find_user
from kronborg.core import clock
from kronborg.core.cookies import BROWSER, SESSION, cookie_name, read_cookie, set_cookie
from kronborg.core.crypto import KeyProblem
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Conflict, Invalid, NotFound, TooMany
from kronborg.core.html import pages_of, redirect, render
from kronborg.core.ids import random_token
from kronborg.core.languages import N_, errors_of, use_language
from kronborg.core.parts import part_of, parts_of
from kronborg.core.speaking import language_of
from kronborg.factors import browsers, recovery
from kronborg.factors.enrolling import NAMES, Enrolment, Given, Offer, Setting, begin, enrol, offers, send, still_sent
from kronborg.factors.manage import remove_factor, rename_factor
from kronborg.factors.model import FEW_CODES, Factor, Person, RememberedBrowser
from kronborg.factors.parts import FactorParts
from kronborg.factors.passkeys import Site
from kronborg.factors.store import count_recovery_codes, list_browsers, list_factors
from kronborg.factors.texts import NotSent
from kronborg.sessions.life import Beginning, Begun, begin_in
from kronborg.sessions.model import MULTI_FACTOR, AccountPage, Visit, device_of, strength
from kronborg.sessions.store import find_session
from kronborg.sessions.tickets import Ticket
from kronborg.sessions.visits import origin_of_request, put_session, sign_in_url, visit

HOME = "/account/security/factors"
DONE = {
    "added": N_("It is added, and asked for from the next sign-in on."),
    "renamed": N_("The new name is saved."),
    "removed": N_("It is removed, and opens nothing any more."),
    "forgotten": N_("You will be asked again there at the next sign-in."),
}
UNSENT = N_("The message could not be sent. Try again in a moment, or choose another way.")
TOO_MANY = N_("So many codes were sent that there are no more for a while. Try again later, or choose another way.")
TAKEN = N_("This passkey is registered already.")


@dataclass(frozen=True, slots=True)
class FactorsPage(AccountPage):
    """What `factors/factors.html` shows."""

    factors: tuple[Factor, ...]
    offers: tuple[Offer, ...]
    names: Mapping[str, str]
    unused: int
    made: int
    few: int
    browsers: tuple[tuple[RememberedBrowser, str], ...]
    done: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class AddPage(AccountPage):
    """What `factors/add.html` shows; its form goes to `action`."""

    enrolment: Enrolment
    action: str
    name: str = ""
    errors: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class FactorPage(AccountPage):
    """What `factors/factor.html` shows."""

    factor: Factor
    kind: str
    is_last: bool
    error: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class CodesPage(AccountPage):
    """What `factors/codes.html` shows, once; `sealed` lets them be downloaded."""

    codes: tuple[str, ...]
    sealed: str
    next: str
    added: bool


def routes() -> list[Route]:
    """Everything below `/account/security/factors`."""
    return [
        Route(HOME, show_factors, methods=["GET"]),
        Route(f"{HOME}/add/{{kind}}", show_add, methods=["GET"]),
        Route(f"{HOME}/add/{{kind}}", submit_add, methods=["POST"]),
        Route(f"{HOME}/codes", submit_codes, methods=["POST"]),
        Route(f"{HOME}/codes/file", download_codes, methods=["POST"]),
        Route(f"{HOME}/browsers", forget_browsers, methods=["POST"]),
        Route(f"{HOME}/{{factor_id}}", show_factor, methods=["GET"]),
        Route(f"{HOME}/{{factor_id}}", submit_factor, methods=["POST"]),
    ]


def factor_parts_of(request: Request) -> FactorParts:
    """The factor parts of the app that serves this request."""
    return part_of(request, "factors", FactorParts)


def site_of(request: Request) -> Site:
    """The relying party (WebAuthn) of the app that serves this request."""
    return Site.of(parts_of(request).issuer, pages_of(request).brand.name)


def browser_of(request: Request) -> str:
    """The value that challenges and codes are bound to, made if this browser has none; see `with_browser`."""
    name = cookie_name(BROWSER, secure=parts_of(request).secure)
    if read_cookie(request, BROWSER, secure=parts_of(request).secure) is None:
        request.cookies[name] = request.state.new_browser = random_token()
    return request.cookies[name]


def with_browser(request: Request, response: Response) -> Response:
    """The response, with the cookie that `browser_of` made."""
    made = getattr(request.state, "new_browser", None)
    if made is not None:
        set_cookie(response, BROWSER, made, secure=parts_of(request).secure)
    return response


async def show_factors(request: Request) -> Response:
    """All of it."""
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request))
    parts, now = parts_of(request), clock.now()
    async with parts.database.read() as reading:
        factors = await list_factors(reading, here.user_id)
        unused, made = await count_recovery_codes(reading, here.user_id)
        rows = await list_browsers(reading, here.user_id, now=now)
        user = await find_user(reading, here.user_id)
    verified = user is not None and user.email_verified
    kinds = tuple(kind for kind in factor_parts_of(request).offered if kind != "email" or verified)
    page = FactorsPage(
        here,
        "security",
        tuple(factors),
        offers(kinds),
        NAMES,
        unused,
        made,
        FEW_CODES,
        tuple((row, device_of(row.user_agent)) for row in rows),
        DONE.get(request.query_params.get("done", "")),
        now,
    )
    return render(request, "factors/factors.html", page)


async def show_add(request: Request) -> Response:
    """The first page of enrolling one kind."""
    here = await _fresh(request, request.url.path)
    if isinstance(here, Response):
        return here
    at, now = await _setting(request, here), clock.now()
    async with parts_of(request).database.read() as reading:
        enrolment = await begin(reading, at, str(request.path_params["kind"]), now=now)
    return _add(request, here, enrolment)


async def submit_add(request: Request) -> Response:
    """Send a code, or check what came back and keep the factor."""
    form = await checked_form(request)
    here = await _fresh(request, request.url.path)
    if isinstance(here, Response):
        return here
    at, now, kind, given = await _setting(request, here), clock.now(), str(request.path_params["kind"]), Given.of(form)
    database = parts_of(request).database
    try:
        if "send" in form:
            return _add(request, here, await send(database, at, kind, given, now=now), name=given.name)
        async with database.write() as session:
            _, amr = await enrol(session, at, kind, given, now=now)
            _, made = await count_recovery_codes(session, here.user_id)
            codes = (
                () if made else await recovery.make_codes(session, at.vault, here.user_id, actor=here.user_id, now=now)
            )
    except TooMany as refusal:
        wait = str(round(refusal.retry_after.total_seconds() + 0.5))
        again = await _add_again(request, here, at, kind, given, {"send": TOO_MANY}, status=429)
        again.headers["retry-after"] = wait
        return again
    except NotSent:
        return await _add_again(request, here, at, kind, given, {"send": UNSENT}, status=503)
    except Conflict:
        return await _add_again(request, here, at, kind, given, {"passkey": TAKEN}, status=409)
    except Invalid as refusal:
        return await _add_again(request, here, at, kind, given, errors_of(refusal), status=422)
    # Password and factor were both proved just now: the session says so, under a new secret.
    begun = await _renewed(request, here, amr, now=now)
    if begun is None:
        return redirect(request, HOME)
    request.cookies[cookie_name(SESSION, secure=parts_of(request).secure)] = begun.secret
    done = f"{HOME}?done=added"
    response = _codes(request, here, codes, added=True) if codes else redirect(request, done)
    put_session(request, response, begun)
    return response


async def show_factor(request: Request) -> Response:
    """Rename or remove one."""
    here = await _fresh(request, request.url.path)
    return here if isinstance(here, Response) else await _factor(request, here)


async def submit_factor(request: Request) -> Response:
    """Do so."""
    form = await checked_form(request)
    here = await _fresh(request, request.url.path)
    if isinstance(here, Response):
        return here
    factor_id, now = str(request.path_params["factor_id"]), clock.now()
    try:
        async with parts_of(request).database.write() as session:
            if "remove" in form:
                await remove_factor(session, here.user_id, factor_id, actor=here.user_id, now=now)
                return redirect(request, f"{HOME}?done=removed")
            name = form.get("name", "")
            await rename_factor(session, here.user_id, factor_id, name, actor=here.user_id, now=now)
    except Invalid as refusal:
        return await _factor(request, here, error=next(iter(errors_of(refusal).values())), status=422)
    return redirect(request, f"{HOME}?done=renamed")


async def submit_codes(request: Request) -> Response:
    """New recovery codes in place of the old."""
    await checked_form(request)
    here = await _fresh(request, HOME)
    if isinstance(here, Response):
        return here
    parts = parts_of(request)
    async with parts.database.write() as session:
        if not await list_factors(session, here.user_id):
            raise NotFound("there is nothing that recovery codes could stand in for")
        codes = await recovery.make_codes(session, parts.vault, here.user_id, actor=here.user_id, now=clock.now())
    return _codes(request, here, codes, added=False)


async def download_codes(request: Request) -> Response:
    """The codes that the page before showed, as a file."""
    form = await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path=HOME))
    vault = parts_of(request).vault
    try:
        text = vault.open(form.get("sealed", "")[:2000], context=f"factors.codes:{here.session_id}").decode()
    except KeyProblem:
        raise NotFound("these codes were shown in another sign-in") from None
    headers = {"content-disposition": 'attachment; filename="recovery-codes.txt"', "cache-control": "no-store"}
    return PlainTextResponse(text, headers=headers)


async def forget_browsers(request: Request) -> Response:
    """Forget one remembered browser, or all."""
    form = await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path=HOME))
    # Giving something up takes no fresh sign-in.
    async with parts_of(request).database.write() as session:
        one = form.get("id") or None
        await browsers.forget(session, here.user_id, browser_id=one, actor=here.user_id, now=clock.now())
    return redirect(request, f"{HOME}?done=forgotten")


async def _fresh(request: Request, back: str) -> Visit | Response:
    """Who is there, if they signed in during the last minutes and with all they have; else the way to sign-in."""
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path=back))
    parts, settings = parts_of(request), factor_parts_of(request).settings
    async with parts.database.read() as reading:
        has_any = bool(await list_factors(reading, here.user_id)) and bool(settings.offered)
    needed = MULTI_FACTOR if has_any else 0
    if clock.now() - here.auth_time <= settings.fresh and strength(here.amr) >= needed:
        return here
    again = clock.now() - here.auth_time > settings.fresh
    ticket = Ticket(again=again, login_hint=here.username, strength=needed, explicit=True)
    return redirect(request, sign_in_url(request, next_path=back, ticket=ticket))


async def _renewed(request: Request, here: Visit, amr: tuple[str, ...], *, now: datetime) -> Begun | None:
    """The same session, with what was proved besides; None when it ended meanwhile."""
    parts = parts_of(request)
    proved = tuple(dict.fromkeys((*here.amr, *amr, "mfa")))
    async with parts.database.read() as reading:
        known = await find_session(reading, here.session_id)
    if known is None:
        return None
    beginning = Beginning(
        here.user_id,
        proved,
        origin_of_request(request),
        parts.session_absolute,
        here.session_id,
        vouched_by=known.vouched_by,
        told=known.told,
    )
    return await parts.database.writer.run(lambda execute: begin_in(execute, parts.vault, beginning, now=now))


async def _setting(request: Request, here: Visit) -> Setting:
    parts = parts_of(request)
    async with parts.database.read() as reading:
        user = await find_user(reading, here.user_id)
    if user is None:
        raise NotFound("there is no such account")
    use_language(language_of(request))  # what is sent is written in the language of the page
    person = Person(user.id, user.username, user.name, user.email, user.email_verified)
    return Setting(factor_parts_of(request), parts.vault, site_of(request), person, browser_of(request))


async def _add_again(
    request: Request, here: Visit, at: Setting, kind: str, given: Given, errors: dict[str, str], *, status: int
) -> Response:
    if kind in ("email", "sms") and "code" in errors:
        enrolment = still_sent(at, kind, given)
    else:
        async with parts_of(request).database.read() as reading:
            enrolment = await begin(reading, at, kind, given=given, now=clock.now())
    return _add(request, here, enrolment, name=given.name, errors=errors, status=status)


def _add(
    request: Request,
    here: Visit,
    enrolment: Enrolment,
    *,
    name: str = "",
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    page = AddPage(here, "security", enrolment, f"{HOME}/add/{enrolment.kind}", name[:100], errors or {})
    return with_browser(request, render(request, "factors/add.html", page, status=status))


async def _factor(request: Request, here: Visit, *, error: str | None = None, status: int = 200) -> Response:
    async with parts_of(request).database.read() as reading:
        factors = await list_factors(reading, here.user_id)
    found = next((one for one in factors if one.id == request.path_params["factor_id"]), None)
    if found is None:
        raise NotFound("there is no such factor")
    page = FactorPage(here, "security", found, NAMES[found.kind], len(factors) == 1, error, clock.now())
    return render(request, "factors/factor.html", page, status=status)


def _codes(request: Request, here: Visit, codes: tuple[str, ...], *, added: bool) -> Response:
    sealed = seal_codes(request, here.session_id, codes)
    return render(request, "factors/codes.html", CodesPage(here, "security", codes, sealed, HOME, added))


def seal_codes(request: Request, session_id: str, codes: tuple[str, ...]) -> str:
    """The codes as the page that shows them gives them to `download_codes`, for this session alone."""
    name = pages_of(request).brand.name
    text = "\n".join((f"{name} · {parts_of(request).issuer}", "", *codes, ""))
    return parts_of(request).vault.seal(text.encode(), context=f"factors.codes:{session_id}")
