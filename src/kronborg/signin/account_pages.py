"""Self-service: password and sessions. Every form works without JavaScript; HTMX only saves the reload."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts.store import find_user
from kronborg.core import clock
from kronborg.core.cookies import SESSION, drop_cookie, set_cookie
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Invalid, NotFound
from kronborg.core.html import is_fragment, redirect, render
from kronborg.core.languages import N_, errors_of
from kronborg.core.parts import parts_of
from kronborg.sessions.life import end_all_sessions, end_session, renew_secret
from kronborg.sessions.model import AccountPage, BrowserSession, Visit, device_of
from kronborg.sessions.store import list_sessions
from kronborg.sessions.visits import sign_in_url, visit
from kronborg.signin.pages import signin_parts_of
from kronborg.signin.passwords import store_password
from kronborg.signin.people_pages import unproved
from kronborg.signin.store import password_changed_at

_ID = re.compile(r"[0-9a-f-]{36}")
DONE = {
    "password": N_("Your password is changed. Every other browser was signed out."),
    "session": N_("That browser is signed out."),
    "others": N_("Every other browser is signed out."),
}


@dataclass(frozen=True, slots=True)
class ShownSession:
    """One row of the list of sessions."""

    id: str
    device: str
    is_phone: bool
    address: str
    last_seen_at: datetime
    begun_at: datetime
    is_this: bool


@dataclass(frozen=True, slots=True)
class SecurityPage(AccountPage):
    """What `signin/security.html` shows; its block `sessions` is also rendered alone."""

    sessions: tuple[ShownSession, ...]
    shortest: int
    password_changed_at: datetime | None
    errors: dict[str, str]
    done: str | None
    now: datetime


def routes() -> list[Route]:
    """`/account/security`, and where its forms go."""
    return [
        Route("/.well-known/change-password", change_password, methods=["GET"]),
        Route("/account/security", show_security, methods=["GET"]),
        Route("/account/password", submit_password, methods=["POST"]),
        Route("/account/sessions/others", end_others, methods=["POST"]),
        Route("/account/sessions/{session_id}", end_one, methods=["POST"]),
    ]


async def change_password(request: Request) -> Response:
    """Where password managers look for the form (W3C, A Well-Known URL for Changing Passwords)."""
    return redirect(request, "/account/security")


async def show_security(request: Request) -> Response:
    """Password and sessions."""
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request))
    return await _security(request, here)


async def submit_password(request: Request) -> Response:
    """Change the password: the old one must be known, every other session ends, this one gets a new secret."""
    form = await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path="/account/security"))
    parts, signin, now = parts_of(request), signin_parts_of(request), clock.now()
    doubt = await unproved(request, here, form.get("current", ""))
    if doubt is not None:
        errors = {"current": doubt.text}
        return await _security(request, here, errors=errors, status=doubt.status, headers=doubt.headers)
    new = form.get("new", "")
    async with parts.database.read() as reading:
        user = await find_user(reading, here.user_id)
    try:
        await signin.passwords.examine(new, user=user, where="new", database=parts.database)
    except Invalid as refusal:
        return await _security(request, here, errors=errors_of(refusal), status=422)
    encoded = await signin.passwords.hash(new)
    async with parts.database.write() as session:
        # The same sign-in under a new secret: to know the password proves no more factors, nor any of them anew.
        secret = await renew_secret(session, parts.vault, here.session_id, user_id=here.user_id, now=now)
        await store_password(
            session,
            here.user_id,
            encoded,
            actor=here.user_id,
            now=now,
            keep=here.session_id,
            history=signin.passwords.settings.history,
        )
    response = redirect(request, "/account/security?done=password")
    set_cookie(response, SESSION, secret, secure=parts.secure, lifetime=parts.session_absolute)
    return response


async def end_one(request: Request) -> Response:
    """Sign out one browser, this one included."""
    await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path="/account/security"))
    session_id = str(request.path_params["session_id"])
    if _ID.fullmatch(session_id):
        async with parts_of(request).database.write() as session:
            # If it ended meanwhile, what was asked for is so.
            with suppress(NotFound):
                await end_session(session, session_id, user_id=here.user_id, actor=here.user_id, now=clock.now())
    if session_id == here.session_id:
        response = redirect(request, "/signout")
        drop_cookie(response, SESSION, secure=parts_of(request).secure)
        return response
    return await _sessions_changed(request, here, "session")


async def end_others(request: Request) -> Response:
    """Sign out every other browser."""
    await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path="/account/security"))
    async with parts_of(request).database.write() as session:
        await end_all_sessions(session, here.user_id, but=here.session_id, actor=here.user_id, now=clock.now())
    return await _sessions_changed(request, here, "others")


async def _sessions_changed(request: Request, here: Visit, done: str) -> Response:
    if is_fragment(request):
        return await _security(request, here, block="sessions")
    return redirect(request, f"/account/security?done={done}#sessions")


async def _security(
    request: Request,
    here: Visit,
    *,
    errors: dict[str, str] | None = None,
    status: int = 200,
    block: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    parts, now = parts_of(request), clock.now()
    async with parts.database.read() as reading:
        rows = await list_sessions(reading, here.user_id, now=now, idle=parts.session_idle)
        changed = await password_changed_at(reading, here.user_id)
    shown = tuple(_shown(row, here) for row in sorted(rows, key=lambda row: row.id != here.session_id))
    shortest = signin_parts_of(request).settings.passwords.shortest
    page = SecurityPage(here, "security", shown, shortest, changed, errors or {}, _done(request), now)
    return render(request, "signin/security.html", page, status=status, block=block, headers=headers)


def _shown(row: BrowserSession, here: Visit) -> ShownSession:
    device = device_of(row.user_agent)
    is_phone = device.endswith(("iPhone", "Android", "iPad"))
    is_this = row.id == here.session_id
    return ShownSession(row.id, device, is_phone, row.address, row.last_seen_at, row.auth_time, is_this)


def _done(request: Request) -> str | None:
    return DONE.get(request.query_params.get("done", "")) if request.method == "GET" else None
