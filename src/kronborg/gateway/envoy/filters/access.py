"""Who may pass a route: an access token, every scope, one of the roles. Closed by default.

The filter refuses when a named policy matches; the name tells the answer which challenge to send. In the
listener it has no policy that allows anything, so a route that says nothing is closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.access_model import AccessRule, ClaimRule, TokenIssuer, claim_path
from kronborg.gateway.envoy.filters import jwt, phantom
from kronborg.gateway.envoy.filters.principals import Reader, claim, header, member, principal_of
from kronborg.gateway.envoy.replies import INVALID_TOKEN, MISSING_CLAIM, MISSING_ROLE, MISSING_SCOPE, POLICY_DENIED
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Route, Snapshot
from kronborg.gateway.policies import formula_of, needs_decision

NAME = "access"
_TYPE = "envoy.extensions.filters.http.rbac.v3."
_NUMBER = re.compile(r"-?[0-9]{1,15}")


def listener_filter() -> JsonObject:
    """Refuses everything that no route opened."""
    return {"name": NAME, "typed_config": typed(_TYPE + "RBAC", rules={"action": "ALLOW", "policies": {}})}


def route_config(route: Route, snapshot: Snapshot) -> JsonObject:
    """The refusals of a protected route. Envoy tries them by name: an unfit token comes before a missing right."""
    sources: tuple[TokenIssuer | None, ...] = (None, *jwt.issuers_of(route, snapshot))
    refusals: dict[str, list[JsonObject]] = {}
    for source in sources:
        own = _Source(source, alone=len(sources) == 1)
        _add(refusals, INVALID_TOKEN, own, (), *_genuine(route, source))
        for rule in (AccessRule((), route.scopes, route.roles), *route.rules):
            _add(refusals, MISSING_SCOPE, own, rule.covered, *(_scope(one, source) for one in sorted(rule.scopes)))
            if rule.roles:
                roles = [_role(role, source) for role in sorted(rule.roles)]
                _add(refusals, MISSING_ROLE, own, rule.covered, {"or_ids": {"ids": roles}})
            _add(refusals, MISSING_CLAIM, own, rule.covered, *(_claim_rule(one) for one in rule.claims))
        # What needs a decision per request is asked by `guard`.
        if route.policy is not None and not needs_decision(route.policy, route.name):
            permitted = principal_of(formula_of(route.policy, route.name), _reader(source))
            _add(refusals, POLICY_DENIED, own, (), permitted)
    policies: dict[str, JsonValue] = {
        name: {"permissions": [{"any": True}], "principals": principals} for name, principals in refusals.items()
    }
    return typed(_TYPE + "RBACPerRoute", rbac={"rules": {"action": "DENY", "policies": policies}})


@dataclass(frozen=True, slots=True)
class _Source:
    """Whose token it was: `issuer` None for our own. `alone`: nobody else's could have come this far."""

    issuer: TokenIssuer | None
    alone: bool

    def condition(self) -> list[JsonObject]:
        """What a request from this source looks like."""
        if self.alone:
            return []
        if self.issuer is None:
            return [{"not_id": {"header": {"name": jwt.ISSUER, "present_match": True}}}]
        return [header(jwt.ISSUER, {"exact": self.issuer.issuer})]


def _add(
    refusals: dict[str, list[JsonObject]], name: str, source: _Source, methods: Sequence[str], *conditions: JsonObject
) -> None:
    """Refuse what comes from this source by one of these methods (any, when empty), unless every condition holds."""
    if not conditions:
        return
    refused: JsonObject = {"not_id": {"and_ids": {"ids": list(conditions)}}}
    when = source.condition()
    if methods:
        when.append(header(":method", {"safe_regex": {"regex": "|".join(sorted(methods))}}))
    refusals.setdefault(name, []).append({"and_ids": {"ids": [*when, refused]}} if when else refused)


def _genuine(route: Route, source: TokenIssuer | None) -> Iterator[JsonObject]:
    # That there is one credential and of which type, `inspect` looks at once per token: here it took longer than all
    # the rest. An ID token names no client_id; an access token always does (RFC 9068 section 2.2).
    yield {"header": {"name": jwt.CLIENT, "present_match": True}}
    if source is not None:
        yield {"header": {"name": jwt.SUBJECT, "present_match": True}}
    if "token" not in route.credentials:
        kinds = "|".join(sorted(route.credentials))
        yield header(phantom.CREDENTIAL, {"safe_regex": {"regex": kinds}})


def _scope(scope: str, source: TokenIssuer | None) -> JsonObject:
    listed = header(jwt.SCOPE, {"safe_regex": {"regex": rf"(?:.* )?{re.escape(scope)}(?: .*)?"}})
    if source is None:
        return listed
    # Some issuers write an array, which cannot become a header.
    return {"or_ids": {"ids": [listed, claim((source.scope_claim,), member({"string_match": {"exact": scope}}))]}}


def _role(role: str, source: TokenIssuer | None) -> JsonObject:
    path = ("roles",) if source is None else claim_path(source.roles_claim)
    return claim(path, member({"string_match": {"exact": role}}))


def _claim_rule(rule: ClaimRule) -> JsonObject:
    found: list[JsonObject] = []
    for value in rule.values:
        for said in _meanings(value):
            found += [claim(rule.path, said), claim(rule.path, member(said))]
    return {"or_ids": {"ids": found}}


def _meanings(value: str) -> Iterator[JsonObject]:
    """A value as it may stand in a token: a text, a truth, a number."""
    yield {"string_match": {"exact": value}}
    if value in ("true", "false"):
        yield {"bool_match": value == "true"}
    if _NUMBER.fullmatch(value):
        yield {"double_match": {"exact": float(value)}}


def _reader(source: TokenIssuer | None) -> Reader:
    """Which names a policy calls a subject and a client by, and where it finds scopes and roles."""
    if source is None:
        return Reader(scope=lambda name: _scope(name, None), role=lambda name: _role(name, None))
    return Reader(
        scope=lambda name: _scope(name, source),
        role=lambda name: _role(name, source),
        prefix=f"{source.name}:",
    )
