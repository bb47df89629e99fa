"""`/console/services` and `/console/routes`: the lists, and one of each with what it asks of whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Page

from kronborg.core import clock
from kronborg.core.durations import write_duration
from kronborg.core.errors import NotFound
from kronborg.core.html import render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.gateway import edit_pages
from kronborg.gateway.documents_coverage import Coverage, coverage
from kronborg.gateway.documents_model import ServiceDocument
from kronborg.gateway.documents_store import content_of, find_document
from kronborg.gateway.model import METHODS, Route, Service
from kronborg.gateway.route_form import yaml_of
from kronborg.gateway.simulate_rights import rights_of, told_rights
from kronborg.gateway.store import find_route, find_service, list_routes, list_services
from kronborg.sessions.console_pages import Paging, asked, done_of, may, paged
from kronborg.sessions.model import ConsolePage
from kronborg.sessions.visits import admitted

ROWS = 50
DONE = {
    "saved": "Saved and published. The gateway follows within a second.",
    "removed": "Removed and published. The gateway follows within a second.",
}


@dataclass(frozen=True, slots=True)
class RouteRow:
    """A route in the list, its protection at a glance."""

    name: str
    where: str
    methods: str
    service: str
    badges: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RoutesPage(ConsolePage):
    """The list of routes."""

    q: str
    routes: Paging[RouteRow]
    may_write: bool
    done: str | None


@dataclass(frozen=True, slots=True)
class ServicesPage(ConsolePage):
    """The list of services."""

    q: str
    services: Paging[Service]
    may_write: bool
    done: str | None


@dataclass(frozen=True, slots=True)
class RoutePage(ConsolePage):
    """One route. `needs`: by methods what a caller must have. `limits`: what is held to numbers."""

    route: Route
    where: str
    badges: tuple[tuple[str, str], ...]
    needs: tuple[tuple[str, str], ...]
    limits: tuple[tuple[str, str], ...]
    yaml: str
    may_write: bool
    done: str | None


@dataclass(frozen=True, slots=True)
class ServicePage(ConsolePage):
    """One service, and the first routes that it answers."""

    service: Service
    facts: tuple[tuple[str, str], ...]
    routes: tuple[RouteRow, ...]
    document: ServiceDocument | None
    coverage: Coverage
    yaml: str
    may_write: bool
    done: str | None
    now: datetime


def routes() -> list[Page]:
    """Everything below `/console/services` and `/console/routes`."""
    return [
        Page("/console/services", show_services, methods=["GET"]),
        Page("/console/routes", show_routes, methods=["GET"]),
        *edit_pages.routes(),
        Page("/console/services/{name}", show_service, methods=["GET"]),
        Page("/console/services/{name}/document", download_document, methods=["GET"]),
        Page("/console/routes/{name}", show_route, methods=["GET"]),
    ]


async def show_routes(request: Request) -> Response:
    """Routes by name, some at a time."""
    found = await admitted(request, "routes:read", Resource("route"))
    if isinstance(found, Response):
        return found
    q, after = asked(request), asked(request, "after")
    async with parts_of(request).database.read() as session:
        some = await list_routes(session, after=after, search=q, limit=ROWS + 1)
    shown = paged(request, [row_of(one) for one in some], ROWS, lambda one: one.name)
    page = RoutesPage(
        found, "routes", q, shown, may(request, found, "routes:write", Resource("route")), done_of(request, DONE)
    )
    return render(request, "gateway/routes.html", page, block="found")


async def show_services(request: Request) -> Response:
    """Services by name, some at a time."""
    found = await admitted(request, "services:read", Resource("service"))
    if isinstance(found, Response):
        return found
    q, after = asked(request), asked(request, "after")
    async with parts_of(request).database.read() as session:
        some = await list_services(session, after=after, search=q, limit=ROWS + 1)
    shown = paged(request, some, ROWS, lambda one: one.name)
    writes = may(request, found, "services:write", Resource("service"))
    page = ServicesPage(found, "services", q, shown, writes, done_of(request, DONE))
    return render(request, "gateway/services.html", page, block="found")


async def show_route(request: Request) -> Response:
    """One route, with its effective policy."""
    found = await admitted(request, "routes:read", Resource("route"))
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.read() as session:
        route = await find_route(session, str(request.path_params["name"])[:63])
    if route is None:
        raise NotFound("there is no route with this name")
    page = RoutePage(
        found,
        "routes",
        route,
        where_of(route),
        badges_of(route),
        needs_of(route),
        limits_of(route),
        yaml_of(route),
        may(request, found, "routes:write", Resource("route")),
        done_of(request, DONE),
    )
    return render(request, "gateway/route.html", page)


async def show_service(request: Request) -> Response:
    """One service."""
    found = await admitted(request, "services:read", Resource("service"))
    if isinstance(found, Response):
        return found
    name = str(request.path_params["name"])[:63]
    async with parts_of(request).database.read() as session:
        service = await find_service(session, name)
        answered = await list_routes(session, search=f'"service":"{name}"', limit=ROWS)
        document = await find_document(session, name)
        text = None if document is None or not document.digest else await content_of(session, document.digest)
    if service is None:
        raise NotFound("there is no service with this name")
    rows = tuple(row_of(route) for route in answered)
    writes = may(request, found, "services:write", Resource("service"))
    own = [route for route in answered if name in route.services]
    covers = Coverage() if text is None else await anyio.to_thread.run_sync(coverage, text, own)
    page = ServicePage(
        found,
        "services",
        service,
        facts_of(service),
        rows,
        document,
        covers,
        yaml_of(service),
        writes,
        done_of(request, DONE),
        clock.now(),
    )
    return render(request, "gateway/service.html", page)


async def download_document(request: Request) -> Response:
    """The OpenAPI document of a service, as it is kept."""
    found = await admitted(request, "services:read", Resource("service"))
    if isinstance(found, Response):
        return found
    name = str(request.path_params["name"])[:63]
    async with parts_of(request).database.read() as session:
        document = await find_document(session, name)
        text = None if document is None or not document.digest else await content_of(session, document.digest)
    if text is None:
        raise NotFound("the service has no document")
    headers = {"content-disposition": f'attachment; filename="{name}-openapi.json"', "cache-control": "no-store"}
    return Response(text, media_type="application/json", headers=headers)


def facts_of(service: Service) -> tuple[tuple[str, str], ...]:
    """Where it is and what happens when it fails, in words."""
    found = [*service.urls, *(f"{one.url} (weight {one.weight})" for one in service.replicas)]
    if service.registration is not None:
        found.append(f"what {', '.join(service.registration.clients)} registers")
    check, breaker, fallback, retries = service.health_check, service.breaker, service.fallback, service.retries
    asked = "not asked" if check is None else f"asked every {write_duration(check.every)}"
    if check is not None and check.kind == "http":
        asked += f" at {check.path}"
    again = "not sent again" if retries is None else f"sent again up to {_times(retries.attempts)}"
    left = "never left alone"
    if breaker is not None:
        slow = ""
        if breaker.slow_after is not None:
            slow = f" or {breaker.slow_rate} % take longer than {write_duration(breaker.slow_after)}"
        left = f"left alone for {write_duration(breaker.open_for)} when {breaker.error_rate} % of calls fail{slow}"
    instead = "the caller gets the failure"
    if fallback is not None:
        instead = f"the service {fallback.service}" if fallback.service else f"an answer with status {fallback.status}"
    return (
        ("Replicas", ", ".join(found)),
        ("Protocol", "HTTP/2" if service.http2 else "HTTP/1.1"),
        ("Health", asked),
        ("A call that fails is", again),
        ("A service that fails is", left),
        ("What answers instead", instead),
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def row_of(route: Route) -> RouteRow:
    """A route at a glance."""
    return RouteRow(route.name, where_of(route), ", ".join(route.methods) or "any", route.service, badges_of(route))


def where_of(route: Route) -> str:
    """Host and path as people write them."""
    below = "/…" if route.path.kind == "prefix" else ""
    return (route.host or "") + (route.path.stem if below else route.path.value) + below


def badges_of(route: Route) -> tuple[tuple[str, str], ...]:
    """Its protection in a few words, each with the kind of its badge."""
    badges: list[tuple[str, str]] = [("Public", "warn")] if route.public else [("Token", "good")]
    if route.scopes:
        badges.append((f"{len(route.scopes)} scope{'s' if len(route.scopes) > 1 else ''}", "brand"))
    if route.roles:
        badges.append(("Roles", "brand"))
    if route.rules or route.policy or route.step_up:
        badges.append(("Rules", "brand"))
    if route.addresses:
        badges.append(("Addresses", "brand"))
    if route.spike_arrest or route.rate_limit or route.quotas or route.concurrency:
        badges.append(("Limits", ""))
    return tuple(badges)


def needs_of(route: Route) -> tuple[tuple[str, str], ...]:
    """What a caller must have, by methods: those that need the same stand together."""
    if route.public:
        return (("Any method" if not route.methods else ", ".join(route.methods), "Nothing: everyone gets through."),)
    by_need: dict[str, list[str]] = {}
    for method in route.methods or METHODS:
        rights = rights_of(route, method)
        has = rights.scopes or rights.roles or rights.claims
        said = told_rights(rights) if has else "No scope, role or claim besides."
        for one in rights.step_ups:
            said += " A sign-in" + (f" of the kind {' or '.join(one.acr)}" if one.acr else "")
            said += f" at most {int(one.max_age.total_seconds())} seconds old." if one.max_age else "."
        by_need.setdefault(said, []).append(method)
    return tuple((", ".join(methods), said) for said, methods in by_need.items())


def limits_of(route: Route) -> tuple[tuple[str, str], ...]:
    """What is held to numbers."""
    found = []
    for name, arrest in (("Spike arrest", route.spike_arrest), ("Second rate", route.rate_limit)):
        if arrest is not None:
            found.append((name, f"{arrest.told}, {arrest.room:,} at once"))
    found += [(f"Quota {quota.name}", quota.told) for quota in route.quotas]
    if route.concurrency is not None:
        found.append(("At once", f"{route.concurrency.count} per {route.concurrency.per}"))
    if route.addresses is not None:
        allowed, denied = ", ".join(route.addresses.allow) or "any", ", ".join(route.addresses.deny)
        found.append(("Addresses", allowed + (f", but not {denied}" if denied else "")))
    found.append(("Largest body", f"{route.max_body:,} bytes"))
    found.append(("Answer within", f"{route.timeout.total_seconds():g} seconds"))
    return tuple(found)
