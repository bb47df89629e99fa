"""`/account/data`: a copy of everything that is kept about somebody, and the end of their account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts.store import find_user
from kronborg.accounts.users import delete_user
from kronborg.core import clock
from kronborg.core.cookies import SESSION, drop_cookie
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Forbidden, NotFound
from kronborg.core.events import record
from kronborg.core.html import redirect, render
from kronborg.core.languages import N_
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.sessions.life import end_all_sessions
from kronborg.sessions.model import AccountPage, Visit
from kronborg.sessions.visits import sign_in_url, visit
from kronborg.signin.keeping import Contributor, kept_about
from kronborg.signin.people_pages import ToldPage, people_of, unproved
from kronborg.signin.store import password_changed_at

DATA = "/account/data"
CONFIRM = N_("Type your username to say that you mean it.")


@dataclass(frozen=True, slots=True)
class DataPage(AccountPage):
    """What `signin/data.html` shows; `errors` by the names of its fields."""

    has_password: bool
    may_delete: bool
    errors: Mapping[str, str]


def routes() -> list[Route]:
    """`/account/data` and its forms."""
    return [
        Route(DATA, show_data, methods=["GET"]),
        Route(f"{DATA}/export", submit_export, methods=["POST"]),
        Route(f"{DATA}/delete", submit_deletion, methods=["POST"]),
        Route("/account/deleted", show_deleted, methods=["GET"]),
    ]


async def show_data(request: Request) -> Response:
    """Both forms."""
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request))
    return await _data(request, here)


async def submit_export(request: Request) -> Response:
    """A JSON document, for somebody who has just proved who they are."""
    form = await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path=DATA))
    doubt = await unproved(request, here, form.get("export_current", ""))
    if doubt is not None:
        errors = {"export_current": doubt.text}
        return await _data(request, here, errors, status=doubt.status, headers=doubt.headers)
    parts, now = parts_of(request), clock.now()
    contributors: Sequence[Contributor] = getattr(request.app.state, "contributors", ())
    told = await kept_about(parts.database, parts.vault, contributors, here.user_id, now=now)
    async with parts.database.write() as session:
        await record(session, "user.exported", actor=here.user_id, subject=here.user_id, now=now)
    headers = {
        "content-disposition": f'attachment; filename="account-{now:%Y-%m-%d}.json"',
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    return Response(orjson.dumps(told, option=orjson.OPT_INDENT_2), media_type="application/json", headers=headers)


async def submit_deletion(request: Request) -> Response:
    """The account is gone at once, with everything that is kept of it but what the log says without names."""
    form = await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path=DATA))
    parts = parts_of(request)
    async with parts.database.read() as reading:
        user = await find_user(reading, here.user_id)
    if user is None or user.managed_by or not people_of(request).settings.delete_own_account:
        raise Forbidden("this account is not deleted by its person: ask an administrator")
    if form.get("username", "").strip().casefold() != here.username.casefold():
        return await _data(request, here, {"username": CONFIRM}, status=422)
    doubt = await unproved(request, here, form.get("current", ""))
    if doubt is not None:
        return await _data(request, here, {"current": doubt.text}, status=doubt.status, headers=doubt.headers)
    now = clock.now()
    async with whole(parts.database) as session:
        await end_all_sessions(session, here.user_id, actor=here.user_id, now=now)
        await delete_user(session, here.user_id, actor=here.user_id, now=now)
    response = redirect(request, "/account/deleted")
    drop_cookie(response, SESSION, secure=parts.secure)
    return response


async def show_deleted(request: Request) -> Response:
    """Goodbye."""
    text = N_("Everything that was kept of it is gone, and every app that was connected is signed out.")
    return render(request, "signin/told.html", ToldPage(N_("The account is deleted"), text, "/", N_("To the start")))


async def _data(
    request: Request,
    here: Visit,
    errors: Mapping[str, str] | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    async with parts_of(request).database.read() as reading:
        user = await find_user(reading, here.user_id)
        has_password = await password_changed_at(reading, here.user_id) is not None
    if user is None:
        raise NotFound("there is no such user")
    may_delete = people_of(request).settings.delete_own_account and not user.managed_by
    page = DataPage(here, "data", has_password, may_delete, errors or {})
    return render(request, "signin/data.html", page, status=status, headers=headers)
