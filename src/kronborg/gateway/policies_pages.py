"""`/console/policies`: Cedar policies that routes share, with the routes that use each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Page

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.drafts import wish
from kronborg.gateway.drafts_store import find_change, list_drafts
from kronborg.gateway.policy_changes import retire_policy, routes_with, save_policy
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.routes_pages import RouteRow, row_of
from kronborg.gateway.shared_policies import policy_problems
from kronborg.gateway.shared_policies_store import find_policy, list_policies
from kronborg.gateway.store import list_routes
from kronborg.sessions.console_pages import (
    Choice,
    ConfirmPage,
    actor_of,
    asked,
    confirm,
    done_of,
    may,
    must,
    problems_of,
)
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/policies"
MOST_SHOWN = 100
_POLICY = Resource("policy")
_DRAFTS = "/console/publishing/drafts"
DONE = {
    "saved": "Saved and published. The gateway follows within a second.",
    "removed": "Removed and published. The gateway follows within a second.",
}


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy in the list, with the number of its routes."""

    policy: NamedPolicy
    routes: int


@dataclass(frozen=True, slots=True)
class PoliciesPage(ConsolePage):
    """The list."""

    rows: tuple[PolicyRow, ...]
    may_write: bool
    done: str | None


@dataclass(frozen=True, slots=True)
class PolicyPage(ConsolePage):
    """One policy, and the first of the routes that use it."""

    policy: NamedPolicy
    routes: tuple[RouteRow, ...]
    used: int
    may_write: bool
    may_delete: bool
    done: str | None


@dataclass(frozen=True, slots=True)
class PolicyFormPage(ConsolePage):
    """The form of a new one, or of the one called `name`, whose routes are told."""

    name: str
    values: Mapping[str, str]
    drafts: tuple[tuple[str, str], ...]
    used: tuple[str, ...]
    problems: tuple[Problem, ...] = ()

    def error(self, field: str) -> str | None:
        """What is wrong with a field, in a sentence."""
        found = next((one for one in self.problems if one.where == field), None)
        return None if found is None else found.detail + (f": {found.mend}" if found.mend else "")


def routes() -> list[Page]:
    """Everything below `/console/policies`."""
    one = f"{HOME}/{{name}}"
    return [
        Page(HOME, show_policies, methods=["GET"]),
        Page(f"{HOME}/-/new", edit, methods=["GET", "POST"]),
        Page(one, show_policy, methods=["GET"]),
        Page(f"{one}/edit", edit, methods=["GET", "POST"]),
        Page(f"{one}/remove", remove, methods=["GET", "POST"]),
    ]


async def show_policies(request: Request) -> Response:
    """Every policy (there are at most 200)."""
    found = await admitted(request, "policies:read", _POLICY)
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.read() as session:
        used = [name for route in await list_routes(session) for name in route.policies]
        rows = tuple(PolicyRow(one, used.count(one.name)) for one in await list_policies(session))
    writes = may(request, found, "policies:write", _POLICY)
    return render(
        request, "gateway/policies.html", PoliciesPage(found, "policies", rows, writes, done_of(request, DONE))
    )


async def show_policy(request: Request) -> Response:
    """One policy and its routes."""
    found = await admitted(request, "policies:read", _POLICY)
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.read() as session:
        policy = await _existing(session, request)
        used = await routes_with(session, policy.name)
    page = PolicyPage(
        found,
        "policies",
        policy,
        tuple(row_of(one) for one in used[:MOST_SHOWN]),
        len(used),
        may(request, found, "policies:write", Resource("policy", policy.name)),
        may(request, found, "policies:delete", Resource("policy", policy.name)),
        done_of(request, DONE),
    )
    return render(request, "gateway/policy.html", page)


async def edit(request: Request) -> Response:
    """The form, and what it makes: published at once, or put into a draft."""
    form = await checked_form(request) if request.method == "POST" else None
    name = str(request.path_params.get("name", ""))[:63]
    found = await admitted(request, "policies:write", Resource("policy", name), fresh=True, back=request.url.path)
    if isinstance(found, Response):
        return found
    if form is None:
        return await _form(request, found, name, await _written(request, name))
    draft, wanted = form.get("draft", ""), NamedPolicy(name or form.get("name", "").strip(), _text(form))
    must(request, found, "policies:write", Resource("policy", wanted.name))
    try:
        async with whole(parts_of(request).database) as session:
            if not name and await find_policy(session, wanted.name) is not None:
                raise Invalid(Problem("name", "there is a policy with this name already", "take another"))
            if draft:
                await _wish(session, found, draft, wanted.name, wanted)
            else:
                await save_policy(session, wanted, actor=actor_of(found), now=clock.now())
                await _publish(request, session, found, form.get("comment", "") or f"Policy {wanted.name} saved")
    except NotFound as refusal:
        return await _form(request, found, name, form, (Problem("draft", refusal.detail),))
    except (Invalid, Conflict) as refusal:
        return await _form(request, found, name, form, problems_of(refusal, "text"))
    return redirect(request, f"{_DRAFTS}/{draft}" if draft else f"{HOME}/{wanted.name}?done=saved")


async def remove(request: Request) -> Response:
    """Ask, then remove it, at once or in a draft; refused while a route uses it."""
    form = await checked_form(request) if request.method == "POST" else None
    one = f"{HOME}/{request.path_params['name']}"
    this = Resource("policy", str(request.path_params["name"])[:63])
    found = await admitted(request, "policies:delete", this, fresh=True, back=f"{one}/remove")
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.read() as session:
        policy = await _existing(session, request)
        used = [route.name for route in await routes_with(session, policy.name)]
        drafts = await list_drafts(session)
    offered = (("", "now, published at once"), *((draft.name, f"in the draft {draft.name}") for draft in drafts))
    choice = Choice("draft", "When", offered)
    question = ConfirmPage(
        found,
        "policies",
        "Remove this policy?",
        "No route uses it." if not used else f"{len(used)} routes use it: take it out of them first, or in a draft.",
        "Remove",
        f"{one}/remove",
        one,
        tuple(f"Route {name} uses it." for name in used[:20]),
        (policy.name,),
        crumbs=(("Policies", HOME), (policy.name, one)),
        choice=choice,
    )
    if form is None:
        return confirm(request, question)
    draft = choice.made(form)
    try:
        async with whole(parts_of(request).database) as session:
            if draft:
                await _wish(session, found, draft, policy.name, None)
            else:
                await retire_policy(session, policy.name, actor=actor_of(found), now=clock.now())
                await _publish(request, session, found, f"Policy {policy.name} removed in the console")
    except (Invalid, Conflict) as refusal:
        said = "; ".join(f"{each.where} {each.detail}" for each in problems_of(refusal, "policy"))[:500]
        return confirm(request, replace(question, error=said))
    return redirect(request, f"{_DRAFTS}/{draft}" if draft else f"{HOME}?done=removed")


async def _wish(session: Session, found: Admitted, draft: str, name: str, wanted: NamedPolicy | None) -> None:
    problems = () if wanted is None else tuple(policy_problems(wanted))
    if problems:
        raise Invalid(*problems)
    await wish(session, draft, "policy", name, wanted, actor=actor_of(found), now=clock.now())


async def _publish(request: Request, session: Session, found: Admitted, comment: str) -> None:
    parts = parts_of(request)
    await publish_declared(
        session,
        issuer=parts.issuer,
        gateway_url=parts.gateway_url,
        author=actor_of(found),
        now=clock.now(),
        comment=comment,
    )


def _text(form: Mapping[str, str]) -> str:
    """The text as a file has it: browsers end lines their own way."""
    return form.get("text", "").replace("\r\n", "\n").strip() + "\n"


async def _written(request: Request, name: str) -> Mapping[str, str]:
    """What the form shows first: the policy as a draft has it where one is named."""
    draft = asked(request, "draft")
    if not name:
        return {"draft": draft}
    async with parts_of(request).database.read() as session:
        held = await find_change(session, draft, "policy", name) if draft else None
        if held is not None and isinstance(held.after, NamedPolicy):
            return {"text": held.after.text, "draft": draft}
        return {"text": (await _existing(session, request)).text, "draft": draft}


async def _form(
    request: Request, found: Admitted, name: str, values: Mapping[str, str], problems: tuple[Problem, ...] = ()
) -> Response:
    async with parts_of(request).database.read() as session:
        drafts = await list_drafts(session)
        used = tuple(route.name for route in await routes_with(session, name)) if name else ()
    offered = (("", "Publish at once"), *((one.name, f"Put into the draft {one.name}") for one in drafts))
    whole_form = {**dict.fromkeys(("name", "text", "draft", "comment"), ""), **values}
    page = PolicyFormPage(found, "policies", name, whole_form, offered, used, problems)
    return render(request, "gateway/policy_form.html", page, status=422 if problems else 200)


async def _existing(session: ReadSession, request: Request) -> NamedPolicy:
    found = await find_policy(session, str(request.path_params["name"])[:63])
    if found is None:
        raise NotFound("there is no policy with this name")
    return found
