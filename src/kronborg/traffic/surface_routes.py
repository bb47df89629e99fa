"""What is published, route by route, and what is to be said of it. Pure: a snapshot goes in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from kronborg.gateway.model import METHODS, Route, Snapshot
from kronborg.traffic.surface_kinds_model import KINDS
from kronborg.traffic.surface_model import Access, Exposure, Finding

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def finding(kind: str, place: str, detail: str, link: str, *, at: str = "") -> Finding:
    """A finding of a kind at a place; the same place gives the same id on every day. `at` tells places of one name
    apart."""
    mark = hashlib.sha256(f"{kind}\n{at or place}".encode()).hexdigest()[:20]
    return Finding(mark, kind, KINDS[kind].severity, place, detail, link)


def exposures_of(snapshot: Snapshot) -> tuple[Exposure, ...]:
    """Each route as what it lets in, in the order of host and path."""
    found = [exposure_of(route, whole=snapshot.addresses is not None) for route in snapshot.routes]
    return tuple(sorted(found, key=lambda one: (one.host, one.path, one.route)))


def exposure_of(route: Route, *, whole: bool = False) -> Exposure:
    """One route; `whole`: the whole gateway has a list of addresses."""
    access: Access = "narrowed" if _is_narrowed(route) else "token"
    limits = (
        *(("spike arrest",) if route.spike_arrest else ()),
        *(("rate limit",) if route.rate_limit else ()),
        *(f"quota {quota.name}" for quota in route.quotas),
        *(("calls at once",) if route.concurrency else ()),
    )
    return Exposure(
        route=route.name,
        service=route.service,
        host=route.host or "",
        kind=route.path.kind,
        path=route.path.value,
        methods=route.methods or METHODS,
        access="public" if route.public else access,
        audience=route.audience or "",
        scopes=route.scopes,
        roles=route.roles,
        rules=len(route.rules),
        policy=route.policy is not None or bool(route.policies),
        step_up=route.step_up is not None,
        credentials=route.credentials,
        bound=route.bound,
        issuers=route.issuers,
        addresses=whole or route.addresses is not None,
        limits=limits,
        listeners=route.listeners,
    )


def _is_narrowed(route: Route) -> bool:
    """Whether some token of the API is not enough."""
    rules = any(rule.scopes or rule.roles or rule.claims or rule.step_up for rule in route.rules)
    return bool(route.scopes or route.roles or rules or route.policy or route.policies or route.step_up)


def route_link(name: str) -> str:
    """The page of a route."""
    return f"/console/routes/{name}"


def route_findings(routes: Sequence[Route], exposures: Sequence[Exposure]) -> Iterator[Finding]:
    """What is open, broad or without bounds."""
    by_name = {route.name: route for route in routes}
    for one in exposures:
        route, link = by_name[one.route], route_link(one.route)
        place = f"{one.route}: {one.place}"
        if route.redirect is None:
            kind = _broad(one, every=not route.methods)
            if kind is not None:
                yield finding(kind, place, _methods(one), link, at=one.route)
            if one.kind == "prefix" and one.path == "/" and kind != "open_to_all":
                yield finding("whole_host", place, f"Service {one.service}", link, at=one.route)
            if not route.methods and kind not in ("open_to_all", "open_writes"):
                yield finding("every_method", place, _methods(one), link, at=one.route)
            if not one.limits:
                unlimited = "unlimited_open" if one.access == "public" else "unlimited"
                yield finding(unlimited, place, f"Service {one.service}", link, at=one.route)
        if route.cors is not None and route.cors.credentials:
            wide = [origin for origin in route.cors.origins if "*" in origin]
            if wide:
                yield finding("wide_cors", place, f"Origins {', '.join(wide)}", link, at=one.route)


def _broad(one: Exposure, *, every: bool) -> str | None:
    """What is wrong with who may pass, if anything."""
    if one.access == "public":
        if one.kind == "prefix" and one.path == "/" and every:
            return "open_to_all"
        return "open_reads" if _READS.issuperset(one.methods) else "open_writes"
    return "any_token" if one.access == "token" else None


def _methods(one: Exposure) -> str:
    return f"Methods {', '.join(one.methods)}; service {one.service}"
