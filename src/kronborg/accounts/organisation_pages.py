"""`/console/organisations`: companies, their domains and members. Their own administrators find theirs here, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts import member_pages
from kronborg.accounts.member_pages import HOME, href_of, organisation_reached
from kronborg.accounts.model import Member, Organisation
from kronborg.accounts.organisations import (
    TXT,
    OrganisationDraft,
    create_organisation,
    delete_organisation,
    update_organisation,
)
from kronborg.accounts.organisations_store import list_members, list_organisations
from kronborg.accounts.user_action_pages import lines
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Principal, Resource
from kronborg.core.whole import whole
from kronborg.sessions.console_pages import (
    ConfirmPage,
    Paging,
    actor_of,
    agreed,
    asked,
    confirm,
    done_of,
    may,
    paged,
    problems_of,
)
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted, visit

NEW = f"{HOME}/new"
ROWS = 50
DONE = {
    "saved": "Saved.",
    "made": "The organisation is made.",
    "deleted": "The organisation is gone. Its members keep their accounts.",
    "confirmed": "The domain is confirmed.",
    "member": "Saved.",
    "removed": "They are no member any more.",
}


@dataclass(frozen=True, slots=True)
class OrganisationsPage(ConsolePage):
    """The list."""

    q: str
    organisations: Paging[Organisation]
    may_write: bool
    done: str | None


@dataclass(frozen=True, slots=True)
class OrganisationPage(ConsolePage):
    """One organisation with its members."""

    organisation: Organisation
    href: str
    txt: str
    q: str
    members: Paging[Member]
    may_write: bool
    may_delete: bool
    may_members: bool
    may_add: bool
    done: str | None


@dataclass(frozen=True, slots=True)
class OrganisationFormPage(ConsolePage):
    """The form of an organisation."""

    draft: OrganisationDraft
    href: str
    is_new: bool
    problems: tuple[Problem, ...]


def routes() -> list[Route]:
    """Everything below `/console/organisations`."""
    one = f"{HOME}/{{organisation_id}}"
    return [
        Route(HOME, show_organisations, methods=["GET"]),
        Route(NEW, show_new, methods=["GET"]),
        Route(NEW, submit_new, methods=["POST"]),
        *member_pages.routes(),
        Route(one, show_organisation, methods=["GET"]),
        Route(f"{one}/edit", show_edit, methods=["GET"]),
        Route(f"{one}/edit", submit_edit, methods=["POST"]),
        Route(f"{one}/delete", ask_delete, methods=["GET"]),
        Route(f"{one}/delete", submit_delete, methods=["POST"]),
        Route(f"{one}/domains/{{domain}}", ask_domain, methods=["GET"]),
        Route(f"{one}/domains/{{domain}}", submit_domain, methods=["POST"]),
    ]


async def show_organisations(request: Request) -> Response:
    """Organisations by short name; for who administers some, those."""
    here, own = await visit(request), ""
    if here is not None:
        principal: Principal = await request.app.state.principal_of(here)
        own = principal.administers[0] if principal.administers else ""
    found = await admitted(request, "organisations:read", Resource("organisation", organisation=own))
    if isinstance(found, Response):
        return found
    everything = may(request, found, "organisations:read", Resource("organisation"))
    q, after = asked(request), asked(request, "after")
    async with parts_of(request).database.read() as session:
        only = None if everything else found.principal.administers
        some = await list_organisations(session, search=q, after=after or None, limit=ROWS + 1, only=only)
    page = OrganisationsPage(
        found,
        "organisations",
        q,
        paged(request, some, ROWS, lambda one: one.id),
        may(request, found, "organisations:write", Resource("organisation")),
        done_of(request, DONE),
    )
    return render(request, "accounts/organisations.html", page, block="found")


async def show_organisation(request: Request) -> Response:
    """One organisation, its domains and members."""
    found, one = await organisation_reached(request, "organisations:read")
    if isinstance(found, Response):
        return found
    q, after = asked(request), asked(request, "after")
    async with parts_of(request).database.read() as session:
        members = await list_members(session, (one.id,), search=q, after=after, limit=ROWS + 1)
    resource = Resource("organisation", one.id, one.id)
    page = OrganisationPage(
        found,
        "organisations",
        one,
        href_of(one.id),
        TXT,
        q,
        paged(request, members, ROWS, lambda one: one.user.id),
        may(request, found, "organisations:write", resource),
        may(request, found, "organisations:delete", resource),
        may(request, found, "organisations:members", resource),
        may(request, found, "users:write", Resource("user")),
        done_of(request, DONE),
    )
    return render(request, "accounts/organisation.html", page, block="found")


async def show_new(request: Request) -> Response:
    """The form of a new organisation."""
    found = await admitted(request, "organisations:write", Resource("organisation"))
    return found if isinstance(found, Response) else _form(request, found, OrganisationDraft(""), NEW)


async def submit_new(request: Request) -> Response:
    """Make it."""
    form = await checked_form(request)
    found = await admitted(request, "organisations:write", Resource("organisation"), fresh=True, back=NEW)
    if isinstance(found, Response):
        return found
    draft = _draft(form, ())
    try:
        async with whole(parts_of(request).database) as session:
            made = await create_organisation(session, draft, actor=actor_of(found), now=clock.now())
    except (Invalid, Conflict) as refusal:
        return _form(request, found, draft, NEW, problems=problems_of(refusal, "organisation"))
    return redirect(request, f"{href_of(made.id)}?done=made")


async def show_edit(request: Request) -> Response:
    """The form of an organisation."""
    found, one = await organisation_reached(request, "organisations:write")
    return found if isinstance(found, Response) else _form(request, found, _as_draft(one), f"{href_of(one.id)}/edit")


async def submit_edit(request: Request) -> Response:
    """Save it; domains that stay keep their tokens, and stay confirmed."""
    form = await checked_form(request)
    found, one = await organisation_reached(request, "organisations:write", page="/edit")
    if isinstance(found, Response):
        return found
    draft = _draft(form, _as_draft(one).verified)
    try:
        async with whole(parts_of(request).database) as session:
            await update_organisation(session, one.id, draft, actor=actor_of(found), now=clock.now())
    except (Invalid, Conflict) as refusal:
        return _form(request, found, draft, f"{href_of(one.id)}/edit", problems=problems_of(refusal, "organisation"))
    return redirect(request, f"{href_of(one.id)}?done=saved")


async def ask_delete(request: Request) -> Response:
    """What removing it means; its short name has to be typed."""
    found, one = await organisation_reached(request, "organisations:delete", page="/delete")
    return found if isinstance(found, Response) else confirm(request, _question(found, one))


async def submit_delete(request: Request) -> Response:
    """Remove it."""
    form = await checked_form(request)
    found, one = await organisation_reached(request, "organisations:delete", page="/delete")
    if isinstance(found, Response):
        return found
    if not agreed(form, one.slug):
        return confirm(request, replace(_question(found, one), error="This is not the short name."))
    async with whole(parts_of(request).database) as session:
        await delete_organisation(session, one.id, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{HOME}?done=deleted")


async def ask_domain(request: Request) -> Response:
    """What to look for before a domain is confirmed."""
    domain: str = request.path_params["domain"]
    found, one = await organisation_reached(request, "organisations:write", page=f"/domains/{domain}")
    if isinstance(found, Response):
        return found
    known = next((each for each in one.domains if each.name == domain), None)
    if known is None:
        raise NotFound("the organisation has no such domain")
    page = ConfirmPage(
        found,
        "organisations",
        f"Confirm {domain}?",
        f"{one.name} shows that the domain is theirs by this TXT record. Look for it first, for example with dig.",
        "Confirm domain",
        f"{href_of(one.id)}/domains/{domain}",
        href_of(one.id),
        ("Who types an address of the domain at sign-in is led to the organisation's own identity provider, if any.",),
        (f"{domain}. TXT {TXT}{known.token}",),
        crumbs=(("Organisations", HOME), (one.name, href_of(one.id))),
        danger=False,
    )
    return confirm(request, page)


async def submit_domain(request: Request) -> Response:
    """Confirm it."""
    await checked_form(request)
    domain: str = request.path_params["domain"]
    found, one = await organisation_reached(request, "organisations:write", page=f"/domains/{domain}")
    if isinstance(found, Response):
        return found
    draft = _as_draft(one)
    if domain not in draft.domains:
        raise NotFound("the organisation has no such domain")
    async with whole(parts_of(request).database) as session:
        draft = replace(draft, verified=(*draft.verified, domain))
        await update_organisation(session, one.id, draft, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{href_of(one.id)}?done=confirmed")


def _as_draft(one: Organisation) -> OrganisationDraft:
    names = tuple(domain.name for domain in one.domains)
    return OrganisationDraft(
        one.slug, one.name, one.provider, names, tuple(domain.name for domain in one.domains if domain.verified)
    )


def _draft(values: Mapping[str, str], verified: tuple[str, ...]) -> OrganisationDraft:
    domains = tuple(line.lower() for line in lines(values.get("domains", "")))
    kept = tuple(name for name in verified if name in domains)
    return OrganisationDraft(
        values.get("slug", "").strip(),
        values.get("name", "").strip(),
        values.get("provider", "").strip(),
        domains,
        kept,
    )


def _form(
    request: Request, found: Admitted, draft: OrganisationDraft, href: str, *, problems: tuple[Problem, ...] = ()
) -> Response:
    page = OrganisationFormPage(found, "organisations", draft, href, href == NEW, problems)
    return render(request, "accounts/organisation_form.html", page, status=422 if problems else 200)


def _question(found: Admitted, one: Organisation) -> ConfirmPage:
    return ConfirmPage(
        found,
        "organisations",
        f"Delete {one.name}?",
        "The organisation is removed, and nobody is a member of it any more.",
        "Delete organisation",
        f"{href_of(one.id)}/delete",
        href_of(one.id),
        (
            "Its members keep their accounts, groups and roles.",
            "Its domains lead nobody to an identity provider any more.",
            "This cannot be undone.",
        ),
        crumbs=(("Organisations", HOME), (one.name, href_of(one.id))),
        typed=one.slug,
    )
