"""Forms of services and routes: saved and published at once, or put into a draft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Page

from kronborg.clients.store import list_apis
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.db import Session
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.gateway.drafts import wish
from kronborg.gateway.drafts_store import find_change, find_draft, list_drafts
from kronborg.gateway.form_fields import ShownGroup, Values, shown
from kronborg.gateway.model import METHODS, Route, Service
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.route_form import (
    PATHS,
    FieldHelp,
    errors_of,
    groups_of,
    help_of,
    hints_of,
    route_in,
    route_values,
    service_in,
    service_values,
)
from kronborg.gateway.routing import remove_route, remove_service, save_route, save_service
from kronborg.gateway.shared_policies_store import list_policies
from kronborg.gateway.store import find_route, find_service, list_routes, list_services
from kronborg.gateway.validate import name_is_valid
from kronborg.sessions.console_pages import Choice, ConfirmPage, actor_of, asked, confirm, must, problems_of
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted

Kind = Literal["service", "route"]
NEW_ROUTE: Values = {"kind": "prefix", "at": "/", "access": "token", "timeout": "15s", "max_body": "1MiB"}
NEW_SERVICE: Values = {"connect_timeout": "1s", "dns_refresh": "5s"}
PATH_LABELS = ("This path and all below it", "This path only", "Template", "Regular expression")
TEXTS = (
    *("name", "more", "draft", "comment", "urls", "replicas", "http2", "idle", "retry_keyed"),
    *("service", "host", "audience", "scopes", "roles", "policies", "cookies"),
)
MOST_OFFERED = 200


@dataclass(frozen=True, slots=True)
class ThingForm(ConsolePage):
    """The form of a service or a route."""

    kind: Kind
    name: str
    values: Values
    problems: tuple[Problem, ...]
    more: tuple[Problem, ...]
    errors: Mapping[str, str]
    groups: Mapping[str, tuple[ShownGroup, ...]]
    hints: Mapping[str, str]
    help: tuple[FieldHelp, ...]
    drafts: tuple[tuple[str, str], ...]
    services: tuple[str, ...]
    apis: tuple[tuple[str, str], ...]
    paths: tuple[tuple[str, str], ...]
    methods: tuple[str, ...]
    policies: tuple[str, ...]

    @property
    def service_choices(self) -> tuple[tuple[str, str], ...]:
        """The services that a route may name."""
        return (("", "None: the route redirects"), *((one, one) for one in self.services))

    @property
    def home(self) -> str:
        """The list that it belongs to."""
        return f"/console/{self.section}"

    @property
    def action(self) -> str:
        """Where the form is sent."""
        return f"{self.home}/{self.name}/edit" if self.name else f"{self.home}/-/new"

    def error(self, field: str) -> str | None:
        """What is wrong with a field, in a sentence."""
        return self.errors.get(field)


def routes() -> list[Page]:
    """The forms of both."""
    found = []
    for home, kind in (("/console/services", _Forms("service")), ("/console/routes", _Forms("route"))):
        found += [
            Page(f"{home}/-/new", kind.show_new, methods=["GET"]),
            Page(f"{home}/-/new", kind.make, methods=["POST"]),
            Page(f"{home}/{{name}}/edit", kind.show, methods=["GET"]),
            Page(f"{home}/{{name}}/edit", kind.change, methods=["POST"]),
            Page(f"{home}/{{name}}/remove", kind.remove, methods=["GET", "POST"]),
        ]
    return found


class _Forms:
    """The handlers for one kind."""

    def __init__(self, kind: Kind) -> None:
        self.kind: Kind = kind
        self.section, self.home = f"{kind}s", f"/console/{kind}s"

    async def show_new(self, request: Request) -> Response:
        """The form of a new one."""
        found = await self._admitted(request)
        if isinstance(found, Response):
            return found
        usual = dict(NEW_SERVICE if self.kind == "service" else NEW_ROUTE) | {"draft": asked(request, "draft")}
        return await self._form(request, found, "", usual)

    async def show(self, request: Request) -> Response:
        """The form of one there is, as a draft has it where one is named."""
        found = await self._admitted(request)
        if isinstance(found, Response):
            return found
        name, draft = _name(request), asked(request, "draft")
        async with parts_of(request).database.read() as session:
            held = await find_change(session, draft, self.kind, name) if draft else None
            finds = find_service if self.kind == "service" else find_route
            thing = held.after if held is not None and held.after is not None else await finds(session, name)
        if thing is None:
            raise NotFound(f"there is no {self.kind} with this name")
        match thing:
            case Service():
                values = service_values(thing)
            case Route():
                values = route_values(thing)
            case _:
                raise TypeError("a draft holds a service or a route under this kind")
        return await self._form(request, found, name, values | {"draft": draft})

    async def make(self, request: Request) -> Response:
        """Make one."""
        return await self._save(request, "")

    async def change(self, request: Request) -> Response:
        """Change one."""
        return await self._save(request, _name(request))

    async def remove(self, request: Request) -> Response:
        """Ask, then remove it, at once or in a draft."""
        form = await checked_form(request) if request.method == "POST" else None
        name = _name(request)
        one = f"{self.home}/{name}"
        found = await self._admitted(request, fresh=True, back=f"{one}/remove")
        if isinstance(found, Response):
            return found
        async with parts_of(request).database.read() as session:
            finds = find_service if self.kind == "service" else find_route
            if await finds(session, name) is None:
                raise NotFound(f"there is no {self.kind} with this name")
            drafts = await list_drafts(session)
        offered = (("", "now, published at once"), *((draft.name, f"in the draft {draft.name}") for draft in drafts))
        choice = Choice("draft", "When", offered)
        question = ConfirmPage(
            found,
            self.section,
            f"Remove this {self.kind}?",
            "Nobody gets through here any more." if self.kind == "route" else "No route may name it any more.",
            "Remove",
            f"{one}/remove",
            one,
            names=(name,),
            crumbs=((self.section.title(), self.home), (name, one)),
            choice=choice,
        )
        if form is None:
            return confirm(request, question)
        draft = choice.made(form)
        if not draft:
            must(request, found, f"{self.section}:delete", Resource(self.kind, name))
        try:
            await self._carry_out(request, found, name, None, draft, "")
        except (Invalid, Conflict) as refusal:
            said = "; ".join(f"{one.where} {one.detail}" for one in problems_of(refusal, self.kind))[:500]
            return confirm(request, _with(question, said))
        return redirect(request, f"/console/publishing/drafts/{draft}" if draft else f"{self.home}?done=removed")

    async def _save(self, request: Request, name: str) -> Response:
        form = await checked_form(request)
        back = f"{self.home}/{name}/edit" if name else f"{self.home}/-/new"
        found = await self._admitted(request, fresh=True, back=back)
        if isinstance(found, Response):
            return found
        values: Values = {**form, **({"name": name} if name else {})}
        values["name"] = values.get("name", "").strip()
        draft = values.get("draft", "")
        must(request, found, f"{self.section}:write", Resource(self.kind, values["name"]))
        try:
            if not name_is_valid(values["name"]):
                raise Invalid(Problem("name", "is not valid", "use a-z, 0-9 and -, at most 63 characters"))
            thing = service_in(values) if self.kind == "service" else route_in(values)
            if not name:
                await self._is_free(request, values["name"])
            await self._carry_out(request, found, thing.name, thing, draft, values.get("comment", ""))
        except (Invalid, Conflict, NotFound) as refusal:
            wrong = (
                problems_of(refusal, "name")
                if not isinstance(refusal, NotFound)
                else (Problem("draft", refusal.detail),)
            )
            return await self._form(request, found, name, values, wrong)
        return redirect(
            request, f"/console/publishing/drafts/{draft}" if draft else f"{self.home}/{thing.name}?done=saved"
        )

    async def _is_free(self, request: Request, name: str) -> None:
        async with parts_of(request).database.read() as session:
            finds = find_service if self.kind == "service" else find_route
            if await finds(session, name) is not None:
                raise Invalid(Problem("name", f"there is a {self.kind} with this name already", "take another"))

    async def _carry_out(
        self, request: Request, found: Admitted, name: str, thing: Service | Route | None, draft: str, comment: str
    ) -> None:
        """Publish the change, or let the draft have it. Raises `Invalid`, `Conflict`, `NotFound`."""
        parts, actor, now = parts_of(request), actor_of(found), clock.now()
        async with whole(parts.database) as session:
            if draft:
                if await find_draft(session, draft) is None:
                    raise NotFound("there is no draft with this name any more")
                await wish(session, draft, self.kind, name, thing, actor=actor, now=now)
                return
            await _declare(session, self.kind, name, thing, actor)
            await publish_declared(
                session,
                issuer=parts.issuer,
                gateway_url=parts.gateway_url,
                author=actor,
                now=now,
                comment=comment
                or f"{self.kind.title()} {name} {'removed' if thing is None else 'saved'} in the console",
            )

    async def _admitted(self, request: Request, *, fresh: bool = False, back: str | None = None) -> Admitted | Response:
        """Who may write the one that the address names; of a new one, `_save` asks once its name is known."""
        name = str(request.path_params.get("name", ""))[:63]
        return await admitted(request, f"{self.section}:write", Resource(self.kind, name), fresh=fresh, back=back)

    async def _form(
        self,
        request: Request,
        found: Admitted,
        name: str,
        values: Values,
        problems: tuple[Problem, ...] = (),
    ) -> Response:
        async with parts_of(request).database.read() as session:
            drafts = await list_drafts(session)
            services = await list_services(session, limit=MOST_OFFERED)
            apis = await list_apis(session)
            policies = await list_policies(session)
        offered = [("", "Publish at once"), *((one.name, f"Put into the draft {one.name}") for one in drafts)]
        kind = Service if self.kind == "service" else Route
        usual = dict.fromkeys(TEXTS, "")
        errors = errors_of(problems, kind, values.get("name", ""), values)
        page = ThingForm(
            found,
            self.section,
            self.kind,
            name,
            {**NEW_SERVICE, **NEW_ROUTE, **usual, **values},
            tuple(one for one in problems if not one.where.startswith("more:")),
            tuple(one for one in problems if one.where.startswith("more:")),
            errors,
            {group.name: shown(group, values, errors) for group in groups_of(kind)},
            hints_of(kind),
            help_of(kind),
            tuple(offered),
            tuple(one.name for one in services),
            tuple((one.audience, f"{one.name} ({one.audience})" if one.name else one.audience) for one in apis),
            tuple(zip(PATHS, PATH_LABELS, strict=True)),
            METHODS,
            tuple(one.name for one in policies),
        )
        return render(request, "gateway/form.html", page, status=422 if problems else 200)


async def _declare(session: Session, kind: Kind, name: str, thing: Service | Route | None, actor: str) -> None:
    now = clock.now()
    match thing:
        case Service():
            await save_service(session, thing, actor=actor, now=now)
        case Route():
            await save_route(session, thing, actor=actor, now=now)
        case None if kind == "route":
            await remove_route(session, name, actor=actor, now=now)
        case None:
            if any(route.service == name for route in await list_routes(session)):
                raise Conflict("a route needs this service: remove the route first")
            await remove_service(session, name, actor=actor, now=now)


def _name(request: Request) -> str:
    return str(request.path_params["name"])[:63]


def _with(question: ConfirmPage, error: str) -> ConfirmPage:
    return replace(question, error=error)
