"""Says every reason why a snapshot cannot be published; an empty answer means it can.

Nothing is open by omission: a route that is neither `public: true` nor names an audience is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from difflib import get_close_matches
from urllib.parse import urlsplit

from kronborg.core.collecting import without_collecting
from kronborg.core.errors import Problem
from kronborg.gateway import limits_problems, path_problems, traffic_problems
from kronborg.gateway.access_problems import access_problems
from kronborg.gateway.content_problems import content_problems
from kronborg.gateway.listener_problems import service_tls_problems
from kronborg.gateway.model import Route, Service, Snapshot
from kronborg.gateway.path_problems import host_is_valid as host_is_valid
from kronborg.gateway.path_problems import is_absolute
from kronborg.gateway.path_problems import path_is_valid as path_is_valid
from kronborg.gateway.resilience_problems import resilience_problems
from kronborg.gateway.revocation_model import CANARY

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,128}")
_LARGEST_BODY = 64 * 1024 * 1024
_LONGEST = timedelta(minutes=10)
_MOST = 20_000


def problems_of(snapshot: Snapshot) -> tuple[Problem, ...]:
    """Every reason against publishing `snapshot`, in the order a reader would look for them."""
    with without_collecting():
        return tuple(_problems_of(snapshot))


def _problems_of(snapshot: Snapshot) -> list[Problem]:
    found: list[Problem] = []
    if not is_absolute(snapshot.issuer):
        found.append(Problem("issuer", "is not an absolute URL", "write it as https://host[:port]"))
    found += [
        Problem("hosts", "a host name is not valid", "use a plain lower-case host name without a port")
        for host in snapshot.hosts
        if not host_is_valid(host)
    ]
    found += _repeated("services", [service.name for service in snapshot.services])
    for service in snapshot.services:
        found += _service(service)
        found += service_tls_problems(service)
        found += resilience_problems(service, {one.name for one in snapshot.services} if service.fallback else set())
    found += _repeated("routes", [route.name for route in snapshot.routes])
    if len(snapshot.routes) > _MOST:
        found.append(Problem("routes", "there are too many routes", f"publish at most {_MOST}"))
    found += _confusable(audience.uri for audience in snapshot.audiences)
    if any(audience.uri == CANARY for audience in snapshot.audiences):
        found.append(Problem(f"audiences.{CANARY}", "is the gateway's own", "give the API another name"))
    known = {audience.uri: audience.scopes for audience in snapshot.audiences}
    unreadable = {audience.uri for audience in snapshot.audiences if not audience.readable}
    services = {service.name: service for service in snapshot.services}
    for route in snapshot.routes:
        found += _route(route, services)
        found += _access(route, known)
        if route.audience in unreadable:
            found.append(_cannot_read(route))
        found += _limits(route)
    found += access_problems(snapshot)
    found += content_problems(snapshot)
    found += limits_problems.problems_of(snapshot)
    found += path_problems.clashes(snapshot)
    return found


def _cannot_read(route: Route) -> Problem:
    return Problem(
        f"routes.{route.name}.audience",
        "the gateway cannot check the tokens of this API: they are encrypted, or signed as Ed25519",
        "use EdDSA or another algorithm without encryption_jwks, or reference tokens",
    )


def name_is_valid(name: str) -> bool:
    """A short name, as services, routes and drafts have."""
    return _NAME.fullmatch(name) is not None


def _confusable(uris: Iterable[str]) -> Iterator[Problem]:
    """Envoy compares audiences without the scheme http(s) and a last slash."""
    seen: dict[str, str] = {}
    for uri in sorted(uris):
        bare = re.sub(r"^https?://", "", uri).removesuffix("/")
        if seen.setdefault(bare, uri) != uri:
            yield Problem(
                f"audiences.{uri}",
                f"differs from {seen[bare]} only by the scheme or a last slash",
                "give one of the two another name",
            )


def _repeated(where: str, names: list[str]) -> Iterator[Problem]:
    for name in sorted(name for name, times in Counter(names).items() if times > 1):
        yield Problem(f"{where}.{name}", "the name is used more than once", "rename one of them")


def _nearest(name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), 1)
    return f"did you mean {near[0]}?" if near else "declare it first"


def _service(service: Service) -> Iterator[Problem]:
    where = f"services.{service.name}"
    if _NAME.fullmatch(service.name) is None:
        yield Problem(where, "the name is not valid", "use a-z, 0-9 and -, at most 63 characters")
    urls = service.urls or tuple(replica.url for replica in service.replicas)
    if not urls and service.registration is None:
        yield Problem(f"{where}.urls", "there is no URL", "name at least one replica")
    for url in urls:
        if not is_absolute(url) or urlsplit(url).path not in ("", "/"):
            yield Problem(f"{where}.urls", "is not an absolute URL", "write http://host:port, without a path")
    if len({urlsplit(url).scheme for url in urls if is_absolute(url)}) > 1:
        yield Problem(f"{where}.urls", "http and https are mixed", "use one scheme for all replicas")
    if len({_named(url) for url in urls if is_absolute(url)}) > 1 and urls[0][:5] == "https":
        yield Problem(f"{where}.urls", "https replicas differ in host", "use one certificate name for all")
    if not timedelta(0) < service.connect_timeout <= _LONGEST:
        yield Problem(f"{where}.connect_timeout", "is out of range", "use more than 0 and at most 10 minutes")


def _named(url: str) -> str:
    return urlsplit(url).hostname or ""


def _route(route: Route, services: dict[str, Service]) -> Iterator[Problem]:
    where = f"routes.{route.name}"
    if _NAME.fullmatch(route.name) is None:
        yield Problem(where, "the name is not valid", "use a-z, 0-9 and -, at most 63 characters")
    if not route.listeners or any(_NAME.fullmatch(name) is None for name in route.listeners):
        yield Problem(f"{where}.listeners", "names no listener", "write external, internal, or names of listeners")
    yield from path_problems.problems_of(route)
    if route.redirect is None and route.service not in services:
        yield Problem(f"{where}.service", "the service is unknown", _nearest(route.service, set(services)))
    if route.redirect is not None and route.service:
        yield Problem(f"{where}.service", "is not asked, for the route redirects", "drop one of the two")
    yield from traffic_problems.problems_of(route, services)


def _access(route: Route, known: dict[str, tuple[str, ...]]) -> Iterator[Problem]:
    where = f"routes.{route.name}"
    if route.public:
        unasked = route.bound == "required" or route.when_stale is not None
        if route.audience is not None or route.scopes or route.roles or unasked:
            yield Problem(
                where,
                "is public and yet names an audience, scopes or roles",
                "drop `public`, or drop what a token would be checked for",
            )
        return
    if route.audience is None:
        yield Problem(
            where,
            "names neither `public: true` nor an audience",
            "name the audience whose tokens may pass, or say `public: true`",
        )
        return
    if route.audience not in known:
        yield Problem(f"{where}.audience", "the audience is unknown", _nearest(route.audience, set(known)))
    for scope in route.scopes:
        if _SCOPE.fullmatch(scope) is None:
            yield Problem(f"{where}.scopes", "is not a scope", "use printable ASCII without space and quotes")
        elif route.audience in known and scope not in known[route.audience]:
            yield Problem(
                f"{where}.scopes",
                "the audience has no such scope",
                _nearest(scope, set(known[route.audience])),
            )
    for role in route.roles:
        if _SCOPE.fullmatch(role) is None:
            yield Problem(f"{where}.roles", "is not a role", "use printable ASCII without space and quotes")


def _limits(route: Route) -> Iterator[Problem]:
    where = f"routes.{route.name}"
    if not timedelta(0) < route.timeout <= _LONGEST:
        yield Problem(f"{where}.timeout", "is out of range", "use more than 0 and at most 10 minutes")
    if not 0 < route.max_body <= _LARGEST_BODY:
        yield Problem(f"{where}.max_body", "is out of range", "use 1 to 67108864 bytes")
