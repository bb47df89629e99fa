"""Drafts in the console: made, looked at with what they open and close, published or discarded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Page

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.gateway import drafts
from kronborg.gateway.drafts import Looked
from kronborg.gateway.drafts_store import Kind
from kronborg.sessions.console_pages import ConfirmPage, actor_of, confirm, done_of, may, problems_of
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/publishing"
DONE = {
    "made": "The draft is there. Put services and routes into it with their own forms.",
    "undone": "The change is out of the draft.",
    "rebased": "The draft stands on what is published now.",
}


@dataclass(frozen=True, slots=True)
class NewDraftPage(ConsolePage):
    """The form of a new draft."""

    name: str
    comment: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class DraftPage(ConsolePage):
    """One draft beside what is published."""

    looked: Looked
    may_write: bool
    may_publish: bool
    problems: tuple[Problem, ...]
    done: str | None
    now: datetime


def routes() -> list[Page]:
    """Everything below `/console/publishing/drafts`."""
    one = f"{HOME}/drafts/{{name}}"
    return [
        Page(f"{HOME}/drafts/-/new", show_new, methods=["GET"]),
        Page(f"{HOME}/drafts/-/new", make, methods=["POST"]),
        Page(one, show_draft, methods=["GET"]),
        Page(f"{one}/publish", publish, methods=["POST"]),
        Page(f"{one}/rebase", rebase, methods=["POST"]),
        Page(f"{one}/undo/{{kind}}/{{subject}}", undo, methods=["POST"]),
        Page(f"{one}/discard", discard, methods=["GET", "POST"]),
    ]


async def show_new(request: Request) -> Response:
    """The form of a new draft."""
    found = await admitted(request, "routes:write", Resource("route"))
    if isinstance(found, Response):
        return found
    return render(request, "gateway/draft_new.html", NewDraftPage(found, "publishing", "", ""))


async def make(request: Request) -> Response:
    """Make a draft."""
    form = await checked_form(request)
    found = await admitted(request, "routes:write", Resource("route"), back=f"{HOME}/drafts/-/new")
    if isinstance(found, Response):
        return found
    name, comment = form.get("name", "").strip(), form.get("comment", "")
    try:
        async with whole(parts_of(request).database) as session:
            await drafts.make_draft(session, name, comment=comment, actor=actor_of(found), now=clock.now())
    except (Invalid, Conflict) as refusal:
        page = NewDraftPage(found, "publishing", name, comment, problems_of(refusal, "name"))
        return render(request, "gateway/draft_new.html", page, status=422)
    return redirect(request, f"{HOME}/drafts/{name}?done=made")


async def show_draft(request: Request) -> Response:
    """One draft: what it changes, what that means, what is in its way."""
    found = await admitted(request, "routes:read", Resource("route"))
    return found if isinstance(found, Response) else await _page(request, found)


async def publish(request: Request) -> Response:
    """Publish it, if it is still what was looked at."""
    form = await checked_form(request)
    name = _name(request)
    found = await admitted(request, "config:write", Resource("config"), fresh=True, back=f"{HOME}/drafts/{name}")
    if isinstance(found, Response):
        return found
    parts = parts_of(request)
    try:
        async with whole(parts.database) as session:
            await drafts.publish_draft(
                session,
                name,
                issuer=parts.issuer,
                gateway_url=parts.gateway_url,
                actor=actor_of(found),
                now=clock.now(),
                comment=form.get("comment", ""),
                digest=form.get("digest", ""),
            )
    except (Invalid, Conflict) as refusal:
        return await _page(request, found, problems_of(refusal, "draft"))
    return redirect(request, f"{HOME}?done=published")


async def rebase(request: Request) -> Response:
    """Take what is published now as what the draft was decided against."""
    await checked_form(request)
    name = _name(request)
    found = await admitted(request, "routes:write", Resource("route"), back=f"{HOME}/drafts/{name}")
    if isinstance(found, Response):
        return found
    async with whole(parts_of(request).database) as session:
        await drafts.rebase(session, name, now=clock.now())
    return redirect(request, f"{HOME}/drafts/{name}?done=rebased")


async def undo(request: Request) -> Response:
    """Take one change out of the draft."""
    await checked_form(request)
    name, subject = _name(request), str(request.path_params["subject"])[:63]
    found = await admitted(request, "routes:write", Resource("route"), back=f"{HOME}/drafts/{name}")
    if isinstance(found, Response):
        return found
    known: dict[str, Kind] = {"service": "service", "policy": "policy"}
    kind = known.get(str(request.path_params["kind"]), "route")
    async with whole(parts_of(request).database) as session:
        await drafts.undo(session, name, kind, subject, now=clock.now())
    return redirect(request, f"{HOME}/drafts/{name}?done=undone")


async def discard(request: Request) -> Response:
    """Ask, then throw it away."""
    form = await checked_form(request) if request.method == "POST" else None
    name = _name(request)
    one = f"{HOME}/drafts/{name}"
    found = await admitted(request, "routes:write", Resource("route"), back=f"{one}/discard")
    if isinstance(found, Response):
        return found
    if form is not None:
        async with whole(parts_of(request).database) as session:
            await drafts.discard(session, name, actor=actor_of(found), now=clock.now())
        return redirect(request, f"{HOME}?done=discarded")
    async with parts_of(request).database.read() as session:
        draft = await drafts.draft_named(session, name)
    question = ConfirmPage(
        found,
        "publishing",
        "Discard this draft?",
        f"Its {draft.changes} changes are thrown away. What is published stays as it is.",
        "Discard",
        f"{one}/discard",
        one,
        names=(name,),
        crumbs=(("Publishing", HOME), (name, one)),
    )
    return confirm(request, question)


async def _page(request: Request, found: Admitted, problems: tuple[Problem, ...] = ()) -> Response:
    parts = parts_of(request)
    async with parts.database.read() as session:
        looked = await drafts.look(session, _name(request), issuer=parts.issuer, gateway_url=parts.gateway_url)
    page = DraftPage(
        found,
        "publishing",
        replace(looked, problems=looked.problems[:100]),
        may(request, found, "routes:write", Resource("route")),
        may(request, found, "config:write", Resource("config")),
        problems,
        done_of(request, DONE),
        clock.now(),
    )
    return render(request, "gateway/draft.html", page, status=422 if problems else 200)


def _name(request: Request) -> str:
    name = str(request.path_params["name"])
    if len(name) > 63:
        raise NotFound("there is no draft with this name")
    return name
