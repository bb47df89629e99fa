"""What the gateway does with a request, decided in Python exactly as the proxy decides it, with its trail.

Pure. `prepare` reads a snapshot once, `decide` then takes microseconds: for "what would this request get", "who may
call this", and for replaying what passed against a draft. Tests hold it against a live Envoy. What a snapshot does not
say (a revocation, a limit used up) comes in as `Facts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kronborg.core.json import JsonValue
from kronborg.gateway.model import HEALTH, METHODS, WELL_KNOWN, Route, Snapshot
from kronborg.gateway.protected_resource import describe
from kronborg.gateway.reasons import REASONS, Stage
from kronborg.gateway.simulate_model import STAGES, Call, Decision, Ending, Held, Step, Unfit
from kronborg.gateway.simulate_path import normal_path

SKEW_SECONDS = 5
"""How far clocks may differ, as the proxy is told."""

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]*))(?::[0-9]*)?")
_SCHEME = re.compile(r"^https?://")
_ENCODED = "3b|5c|7f|[01][0-9a-f]|25(?:2e|2f|3b|5c)"
_SPECIAL = "!$&'()*+,=:@"


@dataclass(frozen=True, slots=True)
class _Group:
    """The routes of one path, of which the method picks one."""

    routes: tuple[Route, ...]

    @property
    def is_guarded(self) -> bool:
        return any(not route.public for route in self.routes)


@dataclass(frozen=True, slots=True)
class _Table:
    """What one host name serves."""

    exact: Mapping[str, _Group]
    prefixes: Mapping[str, _Group]
    documents: frozenset[str]
    documents_first: bool
    twisted: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Ready:
    """A snapshot, read for deciding."""

    snapshot: Snapshot
    tables: Mapping[str, _Table]


@dataclass(slots=True)
class _Way:
    """A request on its way, and the trail behind it."""

    call: Call
    now: datetime
    issuer: str
    steps: list[Step] = field(default_factory=list)

    def passed(self, stage: Stage, asked: str, found: str = "") -> None:
        self.steps.append(Step(stage, "passed", asked, found))

    def end(
        self, ending: Ending, status: int, reason: str = "", *, route: Route | None = None, last: Step | None = None
    ) -> Decision:
        """The decision, its trail made whole: what was not asked for is unused, what was not come to unreached."""
        if last is not None:
            self.steps.append(last)
        seen = {step.stage: step for step in self.steps}
        stop = STAGES.index(last.stage) if last is not None else len(STAGES)
        trail = tuple(
            seen.get(stage) or Step(stage, "unused" if place < stop else "unreached")
            for place, stage in enumerate(STAGES)
        )
        name, service = ("", "") if route is None else (route.name, route.service)
        return Decision(ending, status, reason, name, service, trail, self.now)

    def refuse(
        self, stage: Stage, status: int, reason: str, asked: str, found: str = "", route: Route | None = None
    ) -> Decision:
        return self.end("refused", status, reason, route=route, last=Step(stage, "refused", asked, found))


def prepare(snapshot: Snapshot) -> Ready:
    """Read a snapshot for deciding; the costly part, done once."""
    own: dict[str, list[Route]] = {}
    general: list[Route] = []
    for route in snapshot.routes:
        (general if route.host is None else own.setdefault(route.host, [])).append(route)
    tables: dict[str, _Table] = {}
    shared: dict[tuple[int, bool], _Table] = {}
    for host in {*snapshot.hosts, *own}:
        is_general, specific = host in snapshot.hosts, own.get(host, [])
        known = shared.get((0, is_general)) if not specific else None
        table = known or _table([*specific, *(general if is_general else ())], snapshot)
        if not specific:
            shared[0, is_general] = table
        tables[host] = table
    return Ready(snapshot, tables)


def _table(routes: Sequence[Route], snapshot: Snapshot) -> _Table:
    exact: dict[str, list[Route]] = {}
    prefixes: dict[str, list[Route]] = {}
    for route in sorted(routes, key=lambda route: route.name):
        (exact if route.path.kind == "exact" else prefixes).setdefault(route.path.stem, []).append(route)
    special = sorted({letter for route in routes for letter in route.path.value if letter in _SPECIAL})
    encoded = "|".join((_ENCODED, *(f"{ord(letter):02x}" for letter in special)))
    first = any(f"{WELL_KNOWN}/".startswith(f"{stem}/") for stem in prefixes)
    return _Table(
        {path: _Group(tuple(found)) for path, found in exact.items()},
        {path: _Group(tuple(found)) for path, found in prefixes.items()},
        frozenset(describe(routes, snapshot).documents),
        first,
        re.compile(rf"(?i)[;\\]|%(?:{encoded})"),
    )


def decide(ready: Ready, call: Call, *, now: datetime) -> Decision:
    """What this request gets at this moment."""
    way = _Way(call, now, ready.snapshot.issuer)
    found = _find(way, ready)
    if isinstance(found, Decision):
        return found
    for check in _CHECKS:
        refused = check(way, found)
        if refused is not None:
            return refused
    way.passed("service", f"The service {found.service} answers.")
    return way.end("service", 0, route=found)


def _find(way: _Way, ready: Ready) -> Decision | Route:
    """The host, then the path, then the method. Raises nothing: what is not served is an answer too."""
    call = way.call
    path = normal_path(call.path)
    if path is None or any("_" in name for name in call.headers):
        return way.refuse("connection", 400, "malformed_request", "A request that can be read in one way only.")
    table = ready.tables.get(_host_of(call.host))
    if path == HEALTH:
        way.passed("routing", "The gateway's own health.", path)
        return way.end("gateway", 200)
    if table is None:
        return way.refuse("connection", 421, "unknown_host", "A host name that is served here.", call.host)
    way.passed("connection", "A host name that is served here.", call.host)
    if call.method not in METHODS:
        return way.refuse("routing", 405, "method_not_allowed", "One of " + ", ".join(METHODS) + ".", call.method)
    if table.twisted.search(path):
        return way.refuse("routing", 400, "ambiguous_path", "A path that every party reads alike.", path)
    if path in table.documents and (table.documents_first or _group(table, path) is None):
        return _document(way, path)
    group = _group(table, path)
    if group is None:
        return way.refuse("routing", 404, "no_route", "A path that some route stands at.", path)
    return _pick(way, group, path)


def _host_of(host: str) -> str:
    found = _HOST.fullmatch(host.lower())
    return "" if found is None else found[1] or found[2] or ""


def _group(table: _Table, path: str) -> _Group | None:
    """The routes of the most specific path."""
    group = table.exact.get(path)
    if group is not None:
        return group
    if path.endswith("/"):
        twin = table.exact.get(path[:-1])
        if twin is not None and twin.is_guarded and path[:-1] not in table.prefixes:
            return None
    stem = path.rstrip("/") if path.endswith("/") else path
    while stem:
        group = table.prefixes.get(stem)
        if group is not None:
            return group
        stem = stem.rpartition("/")[0]
    return table.prefixes.get("")


def _document(way: _Way, path: str) -> Decision:
    status = {"GET": 200, "HEAD": 200, "OPTIONS": 204}.get(way.call.method)
    if status is None:
        return way.refuse("routing", 405, "method_not_allowed", "GET, HEAD or OPTIONS.", way.call.method)
    way.passed("routing", "The metadata of a protected resource (RFC 9728).", path)
    return way.end("gateway", status)


def _pick(way: _Way, group: _Group, path: str) -> Decision | Route:
    call = way.call
    preflight = _preflight(way, group)
    if preflight is not None:
        return preflight
    for route in group.routes:
        if not route.methods or call.method in route.methods:
            way.passed("routing", f"The route {route.name} takes {call.method} here.", path)
            return route
    allowed = sorted({method for route in group.routes for method in route.methods}, key=METHODS.index)
    return way.refuse("routing", 405, "method_not_allowed", f"One of {', '.join(allowed)}.", call.method)


def _preflight(way: _Way, group: _Group) -> Decision | None:
    """A preflight is answered for the first route of the path that web pages may call, and only for its origins."""
    headers = way.call.headers
    route = next((route for route in group.routes if route.cors), None)
    asks = headers.get("access-control-request-method") in METHODS and "origin" in headers
    if route is None or route.cors is None or way.call.method != "OPTIONS" or not asks:
        return None
    asked = "A web page of " + ", ".join(sorted(route.cors.origins)) + "."
    if headers["origin"] in route.cors.origins:
        way.passed("routing", asked, headers["origin"])
        return way.end("gateway", 200, route=route)
    return way.refuse("access", 403, "not_permitted", asked, headers["origin"], route)


def _token(way: _Way, route: Route) -> Decision | None:
    """RFC 6750 section 2.1, RFC 9068 section 4."""
    if route.public:
        return None
    asked = f"An access token for {route.audience}."
    token = way.call.token
    if token is None:
        return way.refuse("token", 401, "missing_token", asked, "no token", route)
    fault = token.why if isinstance(token, Unfit) else _fault(token, way, route)
    if fault is not None:
        return way.refuse("token", 401, "invalid_token", asked, fault, route)
    way.passed("token", asked, _described(token))
    return None


def _fault(held: Held, way: _Way, route: Route) -> str | None:
    """What is wrong with a token whose signature is right."""
    claims, moment = held.claims, way.now.timestamp()
    if claims.get("iss") != way.issuer:
        return "another issuer's token"
    expires, begins = _number(claims.get("exp")), _number(claims.get("nbf"))
    if expires is None:
        return "a token that never expires"
    if moment > expires + SKEW_SECONDS:
        return "an expired token"
    if begins is not None and moment < begins - SKEW_SECONDS:
        return "a token that is not valid yet"
    audiences = _words(claims.get("aud"))
    if _bare(route.audience or "") not in {_bare(one) for one in audiences}:
        return "a token for " + (", ".join(audiences) or "no API")
    if held.typ != "at+jwt":
        return "a token of another type, such as an ID token"
    if _text(claims.get("client_id")) is None:
        return "a token that names no client"
    return None


def _access(way: _Way, route: Route) -> Decision | None:
    """Roles come before scopes: the proxy tries the policies by their names."""
    held = way.call.token
    if route.public or not isinstance(held, Held) or not (route.scopes or route.roles):
        return None
    scopes, roles = scopes_of(held), roles_of(held)
    asked = _rights(route)
    if route.roles and not set(route.roles) & set(roles):
        return way.refuse("access", 403, "missing_role", asked, _listed("roles", roles), route)
    if not set(route.scopes) <= set(scopes):
        return way.refuse("access", 403, "missing_scope", asked, _listed("scopes", scopes), route)
    way.passed("access", asked, f"{_listed('scopes', scopes)}; {_listed('roles', roles)}")
    return None


def _revocation(way: _Way, route: Route) -> Decision | None:
    if route.public:
        return None
    asked = "A token that was not revoked, nor its session, grant, client or user."
    if way.call.facts.revoked:
        return way.refuse("revocation", REASONS["revoked"].status, "revoked", asked, "revoked", route)
    way.passed("revocation", asked)
    return None


def _spike_arrest(way: _Way, route: Route) -> Decision | None:
    arrest = route.spike_arrest
    if arrest is None:
        return None
    asked = f"At most {arrest.rate} per {arrest.per}, {arrest.burst} at once."
    if "spike_arrest" in way.call.facts.spent:
        return way.refuse("spike_arrest", 429, "spike_arrest", asked, "faster than that", route)
    way.passed("spike_arrest", asked)
    return None


def _content(way: _Way, route: Route) -> Decision | None:
    asked = f"A body of at most {route.max_body} bytes."
    if way.call.body > route.max_body:
        return way.refuse("content", 413, "body_too_large", asked, f"{way.call.body} bytes", route)
    way.passed("content", asked, f"{way.call.body} bytes")
    return None


_Check = Callable[[_Way, Route], Decision | None]
_CHECKS: tuple[_Check, ...] = (_token, _access, _revocation, _spike_arrest, _content)
"""What a request goes through once its route is found, first to last."""


def scopes_of(held: Held) -> tuple[str, ...]:
    """The scopes of a token (RFC 9068 section 2.2.3)."""
    return tuple((_text(held.claims.get("scope")) or "").split(" "))


def roles_of(held: Held) -> tuple[str, ...]:
    """Its roles."""
    roles = held.claims.get("roles")
    return tuple(role for role in roles if isinstance(role, str)) if isinstance(roles, (list, tuple)) else ()


def _rights(route: Route) -> str:
    scopes = "Every one of the scopes " + ", ".join(sorted(route.scopes)) if route.scopes else ""
    roles = ("one of the roles " if scopes else "One of the roles ") + ", ".join(sorted(route.roles))
    return (f"{scopes} and {roles}" if scopes and route.roles else scopes or roles) + "."


def _listed(what: str, names: Iterable[str]) -> str:
    return f"{what}: " + (", ".join(name for name in names if name) or "none")


def _described(held: Held) -> str:
    client, subject = _text(held.claims.get("client_id")), _text(held.claims.get("sub"))
    return f"client {client}" + (f", subject {subject}" if subject and subject != client else "")


def _bare(audience: str) -> str:
    """As the proxy compares: without the scheme http(s) and a last slash."""
    return _SCHEME.sub("", audience).removesuffix("/")


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _words(value: JsonValue) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, (list, tuple)) else ()
