"""What the gateway does with a request, decided in Python exactly as the proxy decides it, with its trail.

Pure. `prepare` reads a snapshot once, `decide` then takes microseconds: for "what would this request get", "who may
call this", and for replaying what passed against a draft. Tests hold it against a live Envoy. What a snapshot does not
say (a revocation, a limit used up) comes in as `Facts`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

from kronborg.gateway.access_model import Addresses, StepUp, networks_of
from kronborg.gateway.envoy.filters import phantom
from kronborg.gateway.envoy.filters.jwt import issuers_of
from kronborg.gateway.listener_model import Listener
from kronborg.gateway.model import HEALTH, METHODS, Route, Snapshot
from kronborg.gateway.reasons import REASONS
from kronborg.gateway.shared_policies import settled
from kronborg.gateway.simulate_binding import binding
from kronborg.gateway.simulate_claims import (
    bare,
    claim_fits,
    client_of,
    described,
    listed,
    number,
    roles_of,
    scopes_of,
    subject_of,
    text,
    words,
)
from kronborg.gateway.simulate_find import (
    Group,
    chosen,
    is_allowed_origin,
    methods_of,
    misfit,
    odd_weight,
    table_for,
    tables_of,
)
from kronborg.gateway.simulate_limits import concurrency, content, early_arrest, late_arrests, quota
from kronborg.gateway.simulate_nouns import Call, Decision, Held, Unfit
from kronborg.gateway.simulate_path import normal_path
from kronborg.gateway.simulate_policy import Asked, permits
from kronborg.gateway.simulate_rights import rights_of, told_rights
from kronborg.gateway.simulate_way import Ready, Way

SKEW_SECONDS = 5
"""How far clocks may differ, as the proxy is told."""
_AHEAD_SECONDS = 60


_EXTERNAL = Listener()


def prepare(snapshot: Snapshot, here: Listener = _EXTERNAL) -> Ready:
    """Read a snapshot for deciding what comes in at this listener; the costly part, done once."""
    snapshot = settled(snapshot)
    bound = frozenset(audience.uri for audience in snapshot.audiences if audience.bound)
    return Ready(snapshot, tables_of(snapshot, here), bound)


def decide(ready: Ready, call: Call, *, now: datetime) -> Decision:
    """What this request gets at this moment."""
    way = Way(ready, call, now)
    found = _find(way)
    if isinstance(found, Decision):
        return found
    for check in _CHECKS:
        refused = check(way, found)
        if refused is not None:
            return refused
    if found.redirect is not None:
        way.passed("service", "The gateway sends the caller elsewhere.")
        return way.end("gateway", found.redirect.code, route=found)
    way.passed("service", f"The service {found.service} answers.")
    return way.end("service", 0, route=found)


def _find(way: Way) -> Decision | Route:
    """The host, then the path, then method and conditions. What is not served is an answer too."""
    call = way.call
    path = normal_path(call.path)
    if path is None:
        return way.refuse("connection", 400, "ambiguous_path", "A path that can be read in one way only.")
    if any("_" in name for name in call.headers):
        return way.refuse("connection", 400, "malformed_request", "Header names without underscores.")
    way.path = path
    table = table_for(way.ready.tables, call.host)
    outside = _outside(way, way.ready.snapshot.addresses, None)
    if outside is not None:
        return outside
    if path == HEALTH:
        way.passed("routing", "The gateway's own health.", path)
        return way.end("gateway", 200)
    if table is None:
        return way.refuse("connection", 421, "unknown_host", "A host name that is served here.", call.host)
    way.passed("connection", "A host name that is served here.", call.host)
    if call.method not in METHODS:
        return way.refuse("routing", 405, "method_not_allowed", "One of " + ", ".join(METHODS) + ".", call.method)
    if table.twisted.fullmatch(path):
        return way.refuse("routing", 400, "ambiguous_path", "A path that every party reads alike.", path)
    group = None if table.documents_first and path in table.documents else table.group(path)
    if group is None and path in table.documents and path not in table.twins:
        return _document(way, path)
    if group is None:
        return way.refuse("routing", 404, "no_route", "A path that some route stands at.", path)
    return _pick(way, group)


def _document(way: Way, path: str) -> Decision:
    status = {"GET": 200, "HEAD": 200, "OPTIONS": 204}.get(way.call.method)
    if status is None:
        return way.refuse("routing", 405, "method_not_allowed", "GET, HEAD or OPTIONS.", way.call.method)
    way.passed("routing", "The metadata of a protected resource (RFC 9728).", path)
    return way.end("gateway", status)


def _pick(way: Way, group: Group) -> Decision | Route:
    preflight = _preflight(way, group)
    if preflight is not None:
        return preflight
    odd = odd_weight(group, way.call)
    if odd is not None:
        return way.refuse("routing", 400, "malformed_request", f"A weight in {odd} that is a number in its range.")
    route = chosen(group, way.call)
    if route is None:
        if misfit(group, way.call) == 404:
            return way.refuse("routing", 404, "no_route", "The conditions of some route at this path.", way.path)
        asked = f"One of {', '.join(methods_of(group))}."
        return way.refuse("routing", 405, "method_not_allowed", asked, way.call.method)
    way.passed("routing", f"The route {route.name} takes {way.call.method} here.", way.path)
    if route.grpc and way.call.body > route.max_body:
        return way.refuse("content", 413, "body_too_large", f"A body of at most {route.max_body} bytes.", route=route)
    return route


def _preflight(way: Way, group: Group) -> Decision | None:
    """A preflight is answered for the first route of the path that web pages may call by the method asked for."""
    headers = way.call.headers
    asked_for, origin = headers.get("access-control-request-method"), headers.get("origin")
    if way.call.method != "OPTIONS" or asked_for is None or origin is None:
        return None
    route = next((one for one in group.routes if one.cors and asked_for in (one.methods or METHODS)), None)
    if route is None or route.cors is None:
        return None
    asked = "A web page of " + ", ".join(sorted(route.cors.origins)) + "."
    if is_allowed_origin(route.cors, origin):
        way.passed("routing", asked, origin)
        return way.end("gateway", 200, route=route)
    return way.refuse("access", 403, "not_permitted", asked, origin, route)


def _addresses(way: Way, route: Route) -> Decision | None:
    return _outside(way, route.addresses, route)


def _outside(way: Way, asked: Addresses | None, route: Route | None) -> Decision | None:
    """Whether the caller's address is refused by what is asked of all, or of this route."""
    if asked is None or not (asked.allow or asked.deny):
        return None
    told = f"An address among {', '.join(asked.allow)}" if asked.allow else "Any address"
    told += f", but not {', '.join(asked.deny)}." if asked.deny else "."
    here = ip_address(way.call.address)
    inside = not asked.allow or any(here in network for network in _networks(asked.allow))
    if not inside or any(here in network for network in _networks(asked.deny)):
        return way.refuse("address", 403, "address_refused", told, way.call.address, route)
    way.passed("address", told, way.call.address)
    return None


@lru_cache(maxsize=4096)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return networks_of(texts)


def _token(way: Way, route: Route) -> Decision | None:
    """RFC 6750 section 2.1, RFC 9068 section 4."""
    if route.public:
        return None
    kinds = " or ".join(_KINDS[kind] for kind in route.credentials)
    asked = f"{kinds} for {route.audience}."
    token = way.call.token
    # With a route that takes no key, the header is thrown away at the door.
    traded = phantom.is_used(route, way.ready.snapshot)
    keyed = phantom.KEY_HEADER in way.call.headers
    if traded and keyed and token is not None:
        # RFC 6750 section 2: one way to send a credential for each request.
        return way.refuse("token", 400, "two_credentials", "One credential.", "two", route)
    if token is None and not (traded and keyed):
        return way.refuse("token", 401, "missing_token", asked, "nothing", route)
    if token is None:
        token = Unfit("a key that was not looked at")
    fault = token.why if isinstance(token, Unfit) else _fault(token, way, route)
    if fault is not None:
        return way.refuse("token", 401, "invalid_token", asked, fault, route)
    if isinstance(token, Held):
        way.passed("token", asked, described(token, way.source))
    return None


_KINDS = {"token": "An access token", "api_key": "An API key", "personal_token": "A personal token"}


def _fault(held: Held, way: Way, route: Route) -> str | None:
    """What is wrong with a token whose signature is right."""
    claims, moment, snapshot = held.claims, way.now.timestamp(), way.ready.snapshot
    issuer = claims.get("iss")
    if issuer != snapshot.issuer:
        way.source = next((one for one in issuers_of(route, snapshot) if one.issuer == issuer), None)
        if way.source is None:
            return "a token of an issuer that is not asked for here"
    expires, begins = number(claims.get("exp")), number(claims.get("nbf"))
    if expires is None:
        return "a token that never expires"
    if moment > expires + SKEW_SECONDS:
        return "an expired token"
    if begins is not None and moment < begins - SKEW_SECONDS:
        return "a token that is not valid yet"
    wanted = {route.audience or ""}
    if way.source is not None:
        wanted = {one.audience for one in way.source.audiences if one.api == route.audience}
    audiences = words(claims.get("aud"))
    if not {bare(one) for one in wanted} & {bare(one) for one in audiences}:
        return "a token for " + (", ".join(audiences) or "no API")
    if held.typ != "at+jwt" and not (way.source is not None and way.source.any_type):
        return "a token of another type, such as an ID token"
    if client_of(held, way.source) is None or (way.source is not None and subject_of(held, way.source) is None):
        return "a token that names no client"
    if held.credential not in route.credentials:
        return f"{_KINDS[held.credential].lower()}, which the route does not take"
    return None


def _access(way: Way, route: Route) -> Decision | None:
    """The proxy tries its policies by their names: claims, then roles, then scopes, then Cedar."""
    held = way.call.token
    if route.public or not isinstance(held, Held):
        return None
    rights = rights_of(route, way.call.method)
    scopes, roles = scopes_of(held, way.source), roles_of(held, way.source)
    for rule in rights.claims:
        if not claim_fits(rule, held):
            asked = f"The claim {rule.claim} with one of: {', '.join(rule.values)}."
            return way.refuse("access", 403, "missing_claim", asked, "another value or none", route)
    for any_of in rights.roles:
        if not set(any_of) & set(roles):
            asked = f"One of the roles {', '.join(sorted(any_of))}."
            return way.refuse("access", 403, "missing_role", asked, listed("roles", roles), route)
    if not set(rights.scopes) <= set(scopes):
        asked = f"Every one of the scopes {', '.join(sorted(rights.scopes))}."
        return way.refuse("access", 403, "missing_scope", asked, listed("scopes", scopes), route)
    if rights.scopes or rights.roles or rights.claims:
        way.passed("access", told_rights(rights), f"{listed('scopes', scopes)}; {listed('roles', roles)}")
    return _policy(way, route, held, scopes, roles)


def _policy(way: Way, route: Route, held: Held, scopes: tuple[str, ...], roles: tuple[str, ...]) -> Decision | None:
    if route.policy is None:
        return None
    asked = Asked(
        way.call.method,
        way.path,
        subject_of(held, way.source) or "",
        client_of(held, way.source) or "",
        scopes,
        roles,
        held.claims,
        "" if way.source is None else f"{way.source.name}:",
    )
    told = "What the Cedar policy of the route permits."
    if not permits(route.policy, route.name, asked):
        return way.refuse("policy", 403, "policy_denied", told, "not permitted", route)
    way.passed("policy", told)
    return None


def _revocation(way: Way, route: Route) -> Decision | None:
    if route.public:
        return None
    asked = "A token that was not revoked, nor its session, grant, client or user."
    if way.call.facts.revoked:
        return way.refuse("revocation", REASONS["revoked"].status, "revoked", asked, "revoked", route)
    way.passed("revocation", asked)
    return None


def _step_up(way: Way, route: Route) -> Decision | None:
    """RFC 9470: how the person signed in, and how long ago."""
    held = way.call.token
    if route.public or not isinstance(held, Held):
        return None
    for asked in rights_of(route, way.call.method).step_ups:
        if not _strong_enough(asked, held, way.now):
            found = f"acr {text(held.claims.get('acr')) or 'none'}"
            return way.refuse("step_up", 401, "step_up_required", _sign_in(asked), found, route)
        way.passed("step_up", _sign_in(asked))
    return None


def _sign_in(asked: StepUp) -> str:
    kinds = f"A sign-in of the kind {' or '.join(asked.acr)}" if asked.acr else "A sign-in"
    return kinds + (f", at most {int(asked.max_age.total_seconds())} seconds ago." if asked.max_age else ".")


def _strong_enough(asked: StepUp, held: Held, now: datetime) -> bool:
    if asked.acr and held.claims.get("acr") not in asked.acr:
        return False
    at = number(held.claims.get("auth_time"))
    if asked.max_age is None:
        return True
    moment = int(now.timestamp())
    return at is not None and moment - at <= asked.max_age.total_seconds() and at - moment <= _AHEAD_SECONDS


_Check = Callable[[Way, Route], Decision | None]
_CHECKS: tuple[_Check, ...] = (
    _addresses,
    early_arrest,
    _token,
    _access,
    _revocation,
    binding,
    _step_up,
    quota,
    late_arrests,
    concurrency,
    content,
)
"""What a request goes through once its route is found, first to last."""
