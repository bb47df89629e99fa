"""`/account`: who somebody is. A name is changed at once; an address when its mailbox has been read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts.attributes import checked_attributes, in_form
from kronborg.accounts.model import User, folded
from kronborg.accounts.settings import Attribute
from kronborg.accounts.store import find_user
from kronborg.accounts.users import UserChange, update_user
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.json import JsonObject
from kronborg.core.languages import LANGUAGES, N_, NAMES, errors_of
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.sessions.model import AccountPage, Announcement, Announcer, Visit
from kronborg.sessions.visits import sign_in_url, visit
from kronborg.signin.addresses import ask_to_prove
from kronborg.signin.people_pages import paced, people_of, too_many, unproved
from kronborg.signin.store import password_changed_at

DONE = {
    "profile": N_("Your profile is saved."),
    "email": N_("Your e-mail address is confirmed."),
    "sent": N_("Look into that mailbox: the address takes effect once you have followed the link in the letter."),
}
LETTERS_PER_HOUR = 10
"""So many addresses one account may have written to."""


@dataclass(frozen=True, slots=True)
class ProfilePage(AccountPage):
    """What `signin/profile.html` shows; `shown` are attributes that only administrators change."""

    user: User
    attributes: tuple[Attribute, ...]
    shown: tuple[tuple[str, str], ...]
    values: Mapping[str, str]
    languages: tuple[tuple[str, str], ...]
    has_password: bool
    errors: Mapping[str, str]
    done: str | None
    announcements: tuple[Announcement, ...] = ()


def routes() -> list[Route]:
    """`/account` and its forms."""
    return [
        Route("/account", show_profile, methods=["GET"]),
        Route("/account", submit_profile, methods=["POST"]),
        Route("/account/email", submit_email, methods=["POST"]),
    ]


async def show_profile(request: Request) -> Response:
    """Name, language, attributes, address."""
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request))
    announcers: tuple[Announcer, ...] = getattr(request.app.state, "announcers", ())
    found = [await announcer(here, clock.now()) for announcer in announcers]
    announcements = tuple(one for one in found if one is not None)
    return await _profile(request, here, announcements=announcements)


async def submit_profile(request: Request) -> Response:
    """Save all but the address."""
    form = await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path="/account"))
    locale = form.get("locale", "")
    try:
        if locale not in ("", *LANGUAGES):
            raise Invalid(Problem("locale", N_("this language is not known here"), N_("pick one of the list")))
        async with whole(parts_of(request).database) as session:
            user = await find_user(session, here.user_id)
            if user is None:
                raise NotFound("there is no such user")
            change = UserChange(locale=locale)
            if not user.managed_by:
                schema = people_of(request).settings.attributes
                given = in_form(schema, form)
                attributes = checked_attributes(schema, user.attributes, given, by="person", complete=True)
                change = UserChange(name=form.get("name", ""), locale=locale, attributes=attributes)
            await update_user(session, here.user_id, change, actor=here.user_id, now=clock.now())
    except Invalid as refusal:
        return await _profile(request, here, form, errors=errors_of(refusal), status=422)
    return redirect(request, "/account?done=profile")


async def submit_email(request: Request) -> Response:
    """Send a link to an address that is to be theirs. Another address than the one they have takes the password."""
    form = await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path="/account"))
    email = form.get("email", "").strip()[:300]
    if folded(email) != folded(here.email or ""):
        # Whoever holds the address can take the account over one day: a borrowed browser must not change it.
        doubt = await unproved(request, here, form.get("current", ""))
        if doubt is not None:
            errors = {"current": doubt.text}
            return await _profile(request, here, form, errors=errors, status=doubt.status, headers=doubt.headers)
    refusal = await paced(request, "address", here.user_id, per_hour=LETTERS_PER_HOUR)
    if refusal is not None:
        text, headers = too_many(refusal)
        return await _profile(request, here, form, errors={"email": text}, status=429, headers=headers)
    try:
        async with whole(parts_of(request).database) as session:
            user = await find_user(session, here.user_id)
            if user is None:
                raise NotFound("there is no such user")
            await ask_to_prove(session, people_of(request), user, email, now=clock.now())
    except Invalid as invalid:
        return await _profile(request, here, form, errors=errors_of(invalid), status=422)
    return redirect(request, "/account?done=sent")


async def _profile(
    request: Request,
    here: Visit,
    form: Mapping[str, str] | None = None,
    *,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    announcements: tuple[Announcement, ...] = (),
) -> Response:
    async with parts_of(request).database.read() as reading:
        user = await find_user(reading, here.user_id)
        has_password = await password_changed_at(reading, here.user_id) is not None
    if user is None:
        raise NotFound("there is no such user")
    settings = people_of(request).settings
    values = {"name": user.name, "email": user.email or "", "locale": user.locale, **_texts(user.attributes)}
    if form is not None:
        values = {**values, **{name: value[:400] for name, value in form.items() if name != "current"}}
    own = () if user.managed_by else tuple(one for one in settings.attributes if one.write == "person")
    texts = _texts(user.attributes)
    shown = tuple(
        (one.label, texts[f"attribute.{one.name}"])
        for one in settings.attributes
        if one.read == "person" and one not in own and f"attribute.{one.name}" in texts
    )
    done = DONE.get(request.query_params.get("done", "")) if request.method == "GET" else None
    page = ProfilePage(
        replace(here, name=user.name, email=user.email),
        "profile",
        user,
        own,
        shown,
        values,
        tuple(NAMES.items()),
        has_password,
        errors or {},
        done,
        announcements,
    )
    return render(request, "signin/profile.html", page, status=status, headers=headers)


def _texts(attributes: JsonObject) -> dict[str, str]:
    """Values as a form shows them."""
    return {
        f"attribute.{name}": ("yes" if value else "") if isinstance(value, bool) else str(value)
        for name, value in attributes.items()
    }
