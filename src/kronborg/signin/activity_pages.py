"""`/account/activity`: what happened to an account, in plain words, the newest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.events import Event
from kronborg.core.html import redirect, render
from kronborg.core.languages import N_
from kronborg.core.parts import parts_of
from kronborg.sessions.model import AccountPage
from kronborg.sessions.visits import sign_in_url, visit
from kronborg.signin.activity_store import events_about

PAGE = 30

WORDS: Mapping[str, tuple[str, str]] = {
    "session.begun": ("leave", N_("Signed in")),
    "session.renewed": ("leave", N_("Signed in again in the same browser")),
    "session.ended": ("leave", N_("Signed out")),
    "signin.refused": ("alert", N_("Somebody tried to sign in, in vain")),
    "password.set": ("key", N_("The password was set")),
    "user.password_reset": ("key", N_("The password was chosen anew, by a link")),
    "user.created": ("user", N_("The account was made")),
    "user.registered": ("user", N_("You registered")),
    "user.invited": ("user", N_("You were invited")),
    "user.invitation_accepted": ("user", N_("You accepted the invitation")),
    "user.updated": ("user", N_("The profile was changed")),
    "user.email_verified": ("check", N_("An e-mail address was confirmed")),
    "user.disabled": ("alert", N_("The account was switched off")),
    "user.enabled": ("check", N_("The account was switched on")),
    "user.locked_down": ("alert", N_("The account was locked by the link in a letter")),
    "factor.added": ("shield", N_("A second factor was added")),
    "factor.removed": ("shield", N_("A second factor was removed")),
    "factor.reset": ("shield", N_("All second factors were removed")),
    "factor.refused": ("alert", N_("A second factor was wrong")),
    "recovery.made": ("shield", N_("Recovery codes were made")),
    "recovery.used": ("shield", N_("A recovery code was used")),
    "browser.remembered": ("screen", N_("A browser was remembered")),
    "browser.forgotten": ("screen", N_("Remembered browsers were forgotten")),
    "identity.linked": ("user", N_("A way to sign in elsewhere was linked")),
    "identity.unlinked": ("user", N_("A way to sign in elsewhere was unlinked")),
    "consent.granted": ("apps", N_("An app was allowed to use the account")),
    "consent.withdrawn": ("apps", N_("An app was no longer allowed to use the account")),
    "personal_token.created": ("key", N_("An access token was made")),
    "personal_token.rotated": ("key", N_("An access token was made anew")),
    "personal_token.revoked": ("key", N_("An access token was revoked")),
    "user.exported": ("info", N_("All data about you was downloaded")),
}
"""Event name → icon and words. What is not here is nothing a person would want to read."""


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """One line. `by` is empty for the person, else who did it, marked for translation."""

    icon: str
    text: str
    by: str
    address: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ActivityPage(AccountPage):
    """What `signin/activity.html` shows; `older` is the number to go on with."""

    events: tuple[ShownEvent, ...]
    older: int | None
    is_first: bool
    now: datetime


def routes() -> list[Route]:
    """`/account/activity`."""
    return [Route("/account/activity", show_activity, methods=["GET"])]


async def show_activity(request: Request) -> Response:
    """A page of it, by keyset."""
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request))
    text = request.query_params.get("before", "")
    before = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
    async with parts_of(request).database.read() as session:
        found = await events_about(session, here.user_id, tuple(WORDS), before=before, limit=PAGE + 1)
    events = tuple(_shown(event) for event in found[:PAGE])
    older = found[PAGE - 1].seq if len(found) > PAGE else None
    page = ActivityPage(here, "activity", events, older, before is None, clock.now())
    return render(request, "signin/activity.html", page)


def _shown(event: Event) -> ShownEvent:
    icon, text = WORDS[event.name]
    kind = event.actor.partition(":")[0]
    by = ""
    if event.actor == "system":
        by = N_("automatically")
    elif event.actor != event.subject and kind != "anonymous":
        by = N_("by an administrator")
    address = event.detail.get("address")
    return ShownEvent(icon, text, by, address if isinstance(address, str) else "", event.at)
