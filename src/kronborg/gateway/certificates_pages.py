"""`/console/certificates`: what the gateway shows, until when, who needs it; uploading, ordering, forgetting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.certificates import keep
from kronborg.certificates.model import Certificate
from kronborg.certificates.store import find_certificate, list_certificates
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.gateway import certificates
from kronborg.sessions.console_pages import ConfirmPage, actor_of, confirm, done_of, may, must, problems_of
from kronborg.sessions.model import ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/certificates"
SECTION = "certificates"
CERTIFICATE = Resource("certificate")
DONE = {
    "kept": "It is kept; listeners show it within seconds.",
    "wished": "It is ordered within a minute, and again before it ends.",
    "removed": "The certificate and its key are forgotten.",
}
SOON = timedelta(days=14)
_LONGEST = 65_536

State = Literal["waiting", "failed", "ended", "soon", "good"]


@dataclass(frozen=True, slots=True)
class Row:
    """A certificate with how it is and who needs it."""

    one: Certificate
    state: State
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListPage(ConsolePage):
    """Every certificate."""

    rows: tuple[Row, ...]
    may_write: bool
    done: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class OnePage(ConsolePage):
    """One certificate."""

    row: Row
    may_write: bool
    may_delete: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class FormPage(ConsolePage):
    """Uploading or ordering. The private key is never shown again, not even to whoever just typed it."""

    ordering: bool
    has_acme: bool
    name: str = ""
    chain: str = ""
    hosts: str = ""
    problems: tuple[Problem, ...] = ()


def routes() -> list[Route]:
    """Everything below `/console/certificates`."""
    return [
        Route(HOME, show_all, methods=["GET"]),
        Route(f"{HOME}/-/upload", upload, methods=["GET", "POST"]),
        Route(f"{HOME}/-/order", order, methods=["GET", "POST"]),
        Route(f"{HOME}/{{name}}", show_one, methods=["GET"]),
        Route(f"{HOME}/{{name}}/delete", delete, methods=["GET", "POST"]),
    ]


async def show_all(request: Request) -> Response:
    """Every certificate by name."""
    found = await admitted(request, "certificates:read", CERTIFICATE)
    if isinstance(found, Response):
        return found
    now, parts = clock.now(), parts_of(request)
    async with parts.database.read() as session:
        users = await certificates.needs(session, parts.shown_certificates)
        rows = [Row(one, state_of(one, now), users.get(one.name, ())) for one in await list_certificates(session)]
    may_write = may(request, found, "certificates:write", CERTIFICATE)
    page = ListPage(found, SECTION, tuple(rows), may_write, done_of(request, DONE), now)
    return render(request, "gateway/certificates.html", page)


async def show_one(request: Request) -> Response:
    """One certificate, without its key."""
    found = await admitted(request, "certificates:read", CERTIFICATE)
    if isinstance(found, Response):
        return found
    now, row = clock.now(), await _existing(request)
    this = Resource("certificate", row.one.name)
    page = OnePage(
        found,
        SECTION,
        row,
        may(request, found, "certificates:write", this),
        may(request, found, "certificates:delete", this) and not row.users,
        now,
    )
    return render(request, "gateway/certificate.html", page)


async def upload(request: Request) -> Response:
    """Keep a certificate that somebody brings, with its key."""
    form = await checked_form(request) if request.method == "POST" else None
    found = await admitted(request, "certificates:write", CERTIFICATE, fresh=True, back=f"{HOME}/-/upload")
    if isinstance(found, Response):
        return found
    parts = parts_of(request)
    if form is None:
        named = request.query_params.get("name", "")[:63]
        return _form(request, FormPage(found, SECTION, False, parts.has_acme, named))
    name, chain, key = (form.get(field, "").strip()[:_LONGEST] for field in ("name", "chain", "key"))
    must(request, found, "certificates:write", Resource("certificate", name))
    try:
        async with whole(parts.database) as session:
            await keep.upload(session, parts.vault, name, chain, key, actor=actor_of(found), now=clock.now())
    except Invalid as refusal:
        problems = problems_of(refusal, "name")
        return _form(request, FormPage(found, SECTION, False, parts.has_acme, name, chain, problems=problems))
    return redirect(request, f"{HOME}?done=kept")


async def order(request: Request) -> Response:
    """Have the ACME server make a certificate."""
    form = await checked_form(request) if request.method == "POST" else None
    found = await admitted(request, "certificates:write", CERTIFICATE, fresh=True, back=f"{HOME}/-/order")
    if isinstance(found, Response):
        return found
    parts = parts_of(request)
    if form is None:
        return _form(request, FormPage(found, SECTION, True, parts.has_acme))
    name, hosts = (form.get(field, "").strip()[:_LONGEST] for field in ("name", "hosts"))
    must(request, found, "certificates:write", Resource("certificate", name))
    try:
        async with whole(parts.database) as session:
            await keep.wish(session, name, tuple(hosts.split()), actor=actor_of(found), now=clock.now())
    except Invalid as refusal:
        problems = problems_of(refusal, "name")
        return _form(request, FormPage(found, SECTION, True, parts.has_acme, name, hosts=hosts, problems=problems))
    return redirect(request, f"{HOME}?done=wished")


async def delete(request: Request) -> Response:
    """Ask, then forget it; refused while the gateway needs it."""
    form = await checked_form(request) if request.method == "POST" else None
    name = str(request.path_params["name"])[:63]
    here = f"{HOME}/{name}/delete"
    found = await admitted(request, "certificates:delete", Resource("certificate", name), fresh=True, back=here)
    if isinstance(found, Response):
        return found
    row, parts = await _existing(request), parts_of(request)
    question = ConfirmPage(
        found,
        SECTION,
        "Forget this certificate?",
        "The certificate and its private key are deleted.",
        "Delete",
        here,
        f"{HOME}/{name}",
        effects=("Nobody can bring the key back.",),
        names=(name,),
        crumbs=(("Certificates", HOME),),
        error=f"It is needed by {', '.join(row.users)}." if row.users else "",
    )
    if form is None or row.users:
        return confirm(request, question)
    try:
        async with whole(parts.database) as session:
            shown = parts.shown_certificates
            await certificates.remove(session, name, shown, actor=actor_of(found), now=clock.now())
    except Conflict as refusal:
        raise Invalid(*problems_of(refusal, "name")) from None
    return redirect(request, f"{HOME}?done=removed")


def state_of(one: Certificate, now: datetime) -> State:
    """How a certificate is, in a word."""
    if one.not_after is None:
        return "failed" if one.failure else "waiting"
    if one.not_after <= now:
        return "ended"
    if one.failure:
        return "failed"
    return "soon" if one.not_after - now < SOON else "good"


def _form(request: Request, page: FormPage) -> Response:
    return render(request, "gateway/certificate_new.html", page, status=422 if page.problems else 200)


async def _existing(request: Request) -> Row:
    parts, name = parts_of(request), str(request.path_params["name"])[:63]
    async with parts.database.read() as session:
        one = await find_certificate(session, name)
        if one is None:
            raise NotFound("there is no certificate of this name")
        users = await certificates.needs(session, parts.shown_certificates)
    return Row(one, state_of(one, clock.now()), users.get(name, ()))
