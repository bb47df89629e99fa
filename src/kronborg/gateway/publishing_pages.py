"""`/console/publishing`: what is published, its history, what differs between versions, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Page

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Invalid, NotFound
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.gateway import draft_pages
from kronborg.gateway.difference import Difference, difference
from kronborg.gateway.drafts_store import Draft, list_drafts
from kronborg.gateway.model import Delivery
from kronborg.gateway.publish import draft as declared
from kronborg.gateway.versions import compare_versions, roll_back, would_roll_back
from kronborg.gateway.versions_store import Version, deliveries_of, find_version, list_versions
from kronborg.sessions.console_pages import ConfirmPage, Paging, actor_of, asked, confirm, done_of, may, paged
from kronborg.sessions.model import ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/publishing"
ROWS = 30
DONE = {
    "published": "Published. The gateway follows within a second.",
    "back": "The old version was published once more, as a new one.",
    "discarded": "The draft is gone.",
}
Deliveries = Mapping[int, tuple[tuple[Delivery, datetime], ...]]


@dataclass(frozen=True, slots=True)
class PublishingPage(ConsolePage):
    """Drafts and versions."""

    drafts: tuple[Draft, ...]
    versions: Paging[Version]
    said: Deliveries
    may_write: bool
    done: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class VersionPage(ConsolePage):
    """One version: what it changed since `since`, and what gateways said."""

    version: Version
    since: int
    others: tuple[int, ...]
    difference: Difference | None
    said: tuple[tuple[Delivery, datetime], ...]
    is_latest: bool
    may_roll_back: bool
    now: datetime


def routes() -> list[Page]:
    """Everything below `/console/publishing`."""
    return [
        Page(HOME, show, methods=["GET"]),
        *draft_pages.routes(),
        Page(f"{HOME}/versions/{{number:int}}", show_version, methods=["GET"]),
        Page(f"{HOME}/versions/{{number:int}}/rollback", go_back, methods=["GET", "POST"]),
    ]


async def show(request: Request) -> Response:
    """Drafts, then versions, the newest first."""
    found = await admitted(request, "routes:read", Resource("route"))
    if isinstance(found, Response):
        return found
    before = asked(request, "before")
    async with parts_of(request).database.read() as session:
        drafts = await list_drafts(session)
        rows = await list_versions(session, before=_number(before), limit=ROWS + 1)
        said = await deliveries_of(session, [one.number for one in rows])
    writes = may(request, found, "routes:write", Resource("route"))
    shown = paged(request, rows, ROWS, lambda one: one.number, by="before")
    page = PublishingPage(found, "publishing", drafts, shown, said, writes, done_of(request, DONE), clock.now())
    return render(request, "gateway/publishing.html", page)


async def show_version(request: Request) -> Response:
    """One version, and what differs from another."""
    found = await admitted(request, "routes:read", Resource("route"))
    if isinstance(found, Response):
        return found
    number = request.path_params["number"]
    async with parts_of(request).database.read() as session:
        version = await find_version(session, _number(str(number)) or 0)
        if version is None:
            raise NotFound("there is no version of this number, or it is not kept any more")
        others = tuple(one.number for one in await list_versions(session, limit=ROWS) if one.number != number)
        since = _number(asked(request, "since"))
        since = since if since is not None else max((one for one in others if one < number), default=0)
        try:
            differs = await compare_versions(session, since, number)
        except NotFound:
            differs = None
        said = (await deliveries_of(session, [number])).get(number, ())
        latest = (await list_versions(session, limit=1))[0].number == number
    writes = may(request, found, "config:write", Resource("config"))
    page = VersionPage(found, "publishing", version, since, others, differs, said, latest, writes, clock.now())
    return render(request, "gateway/version.html", page)


async def go_back(request: Request) -> Response:
    """Ask, with what would change; then publish the old version once more."""
    form = await checked_form(request) if request.method == "POST" else None
    number = int(request.path_params["number"])
    one = f"{HOME}/versions/{number}"
    found = await admitted(request, "config:write", Resource("config"), fresh=True, back=f"{one}/rollback")
    if isinstance(found, Response):
        return found
    parts = parts_of(request)
    async with parts.database.read() as session:
        wanted, _ = await would_roll_back(
            session, _number(str(number)) or 0, issuer=parts.issuer, gateway_url=parts.gateway_url
        )
        now = await declared(session, issuer=parts.issuer, gateway_url=parts.gateway_url)
    differs = difference(now, wanted)
    error = ""
    if form is not None:
        try:
            async with whole(parts.database) as writing:
                actor, at = actor_of(found), clock.now()
                await roll_back(
                    writing, number, issuer=parts.issuer, gateway_url=parts.gateway_url, actor=actor, now=at
                )
            return redirect(request, f"{HOME}?done=back")
        except Invalid as refusal:
            error = "; ".join(f"{one.where} {one.detail}" for one in refusal.problems)[:500]
    question = ConfirmPage(
        found,
        "publishing",
        f"Go back to version {number}?",
        f"Its services, routes and policies are published once more: {len(differs.changes)} differ from today.",
        "Go back",
        f"{one}/rollback",
        one,
        effects=tuple(f"{word.kind.title()} {word.name}: {word.text}." for word in differs.words[:30]),
        crumbs=(("Publishing", HOME), (f"Version {number}", one)),
        error=error,
    )
    return confirm(request, question)


def _number(text: str) -> int | None:
    """A number of a version; None when the text is none, or none that any database takes."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
