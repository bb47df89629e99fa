"""Judges the attack surface: everything that is reachable, what is wrong with it, and a score. Pure: facts go in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from kronborg.core.durations import write_duration
from kronborg.gateway.linear import matcher
from kronborg.traffic.surface_access import access_findings
from kronborg.traffic.surface_facts_model import Facts, Operation
from kronborg.traffic.surface_model import SEVERITIES, Acknowledgement, Exposure, Finding, Surface
from kronborg.traffic.surface_routes import exposures_of, finding, route_findings, route_link
from kronborg.traffic.surface_score import score_of

MOST_FINDINGS = 20_000
"""Of more, the gravest are kept."""
_REDIRECTS = "redirects"
"""What a listener serves that only sends callers on to HTTPS."""
_PUBLIC_LISTENERS = "/console/surface/listeners"


def judge(facts: Facts, acknowledged: Iterable[Acknowledgement] = (), *, now: datetime) -> Surface:
    """The surface of this moment. An acknowledgement counts until it ends."""
    exposures = exposures_of(facts.snapshot)
    found = [*_listeners(facts), *route_findings(facts.snapshot.routes, exposures)]
    found += [*_unused(facts, exposures, now), *_documents(facts), *_around(facts), *access_findings(facts, now=now)]
    rank = {severity: place for place, severity in enumerate(SEVERITIES)}
    unique = {one.id: one for one in reversed(found)}
    ordered = sorted(unique.values(), key=lambda one: (rank[one.severity], one.kind, one.place))[:MOST_FINDINGS]
    known = {one.finding for one in acknowledged if one.ends_at > now}
    standing = tuple(one.id for one in ordered if one.id in known)
    return Surface(
        at=now,
        version=facts.snapshot.version,
        score=score_of(one for one in ordered if one.id not in known),
        listeners=facts.listeners,
        exposures=exposures,
        findings=tuple(ordered),
        acknowledged=standing,
        known_since=facts.evidence.since,
    )


def _listeners(facts: Facts) -> Iterator[Finding]:
    for one in facts.listeners:
        if one.beyond and not one.tls and not one.serves.startswith(_REDIRECTS):
            yield finding("plain_listener", one.name, f"{one.address}: {one.serves}", _PUBLIC_LISTENERS)


def _unused(facts: Facts, exposures: Iterable[Exposure], now: datetime) -> Iterator[Finding]:
    """Routes that nobody called, where the counts reach back far enough to say so."""
    start = now - facts.settings.unused
    if facts.evidence.since is None or facts.evidence.since > start:
        return
    for one in exposures:
        since = facts.routes_since.get(one.route)
        if one.route not in facts.evidence.routes and (since is None or since <= start):
            detail = f"No request within {write_duration(facts.settings.unused)}"
            yield finding("unused_route", f"{one.route}: {one.place}", detail, route_link(one.route), at=one.route)


def _documents(facts: Facts) -> Iterator[Finding]:
    """What callers were answered at, beside what the service's OpenAPI document says."""
    for service, operations in facts.documents.items():
        link = f"/console/traffic/requests?q=service:{service}&span=7d"
        shadows: dict[str, int] = {}
        deprecated: dict[str, int] = {}
        for seen in facts.evidence.seen.get(service, ()):
            operation = _operation(operations, seen.method, seen.path)
            if operation is None:
                shadow = f"{seen.method} {shape_of(seen.path)}"
                shadows[shadow] = shadows.get(shadow, 0) + seen.n
            elif operation.deprecated:
                name = f"{operation.method} {operation.path}"
                deprecated[name] = deprecated.get(name, 0) + seen.n
        for kind, places in (("shadow_path", shadows), ("deprecated_called", deprecated)):
            for place, count in sorted(places.items()):
                yield finding(kind, f"{service}: {place}", f"{count} of the newest requests", link)


def _operation(operations: Iterable[Operation], method: str, path: str) -> Operation | None:
    """The operation of a request; one without places in its path comes before others (OpenAPI 3.1 §4.8.8.2)."""
    found = None
    for one in operations:
        if one.method == method and matcher(one.regex)(path):
            if "{" not in one.path:
                return one
            found = found or one
    return found


_PLACE = re.compile(r"[0-9]+|[0-9a-fA-F-]{16,}|(?=[^/]*[0-9])[A-Za-z0-9_-]{12,}")


def shape_of(path: str) -> str:
    """A path whose numbers and ids are told as places, so that a thousand orders are one path."""
    return "/".join("{…}" if _PLACE.fullmatch(part) else part for part in path[:200].split("/"))


def _around(facts: Facts) -> Iterator[Finding]:
    for one in facts.probes:
        if one.outcome == "answered":
            detail = f"{one.method} {one.url} answered {one.status} without a token on {one.at.date().isoformat()}"
            yield finding("around_gateway", one.service, detail[:300], f"/console/services/{one.service}")
