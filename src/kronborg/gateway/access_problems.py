"""Says what is wrong with who may pass a route: its rules, step-up, policy, credentials, issuers and addresses."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import timedelta

from kronborg.core.errors import Problem
from kronborg.gateway.access_model import (
    ALGORITHMS,
    CREDENTIALS,
    AccessRule,
    Addresses,
    StepUp,
    TokenIssuer,
    claim_is_valid,
    networks_of,
)
from kronborg.gateway.model import METHODS, Route, Snapshot
from kronborg.gateway.policies import needs_decision
from kronborg.gateway.policy_formula import Malformed
from kronborg.gateway.shared_policies import settled

_WORD = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,128}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_CLAIM = re.compile(r"[A-Za-z0-9_:/-]{1,200}")
_RESERVED = ("http", "https", "pat", "urn")
"""What the names of clients, or of people's tokens, may begin with before a colon."""
_MOST_NETWORKS = 200
_LONGEST_AGE = timedelta(days=365)


def access_problems(snapshot: Snapshot) -> Iterator[Problem]:
    """Every reason against publishing that this module knows."""
    yield from _addresses("addresses", snapshot.addresses)
    known = {issuer.name for issuer in snapshot.issuers}
    yield from _issuers(snapshot)
    scopes = {audience.uri: set(audience.scopes) for audience in snapshot.audiences}
    bound = {audience.uri for audience in snapshot.audiences if audience.bound}
    shared = {policy.name for policy in snapshot.policies}
    for route, whole in zip(snapshot.routes, settled(snapshot).routes, strict=True):
        where = f"routes.{route.name}"
        yield from _addresses(f"{where}.addresses", route.addresses)
        asked = route.rules or route.step_up or whole.policy or route.issuers or route.credentials != ("token",)
        if route.public:
            if asked:
                yield Problem(where, "is public and yet asks for something of a token", "drop `public`, or the rest")
            continue
        for rule in route.rules:
            yield from _rule(f"{where}.rules", route, rule, scopes.get(route.audience or "", set()))
        yield from _step_up(f"{where}.step_up", route.step_up)
        yield from _credentials(f"{where}.credentials", route, bound=route.audience in bound)
        if not shared.issuperset(route.policies):
            yield Problem(f"{where}.policies", "names a policy that there is not", "declare it under policies")
        yield from _policy(f"{where}.{'policies' if route.policies else 'policy'}", whole)
        for name in route.issuers:
            if name not in known:
                yield Problem(f"{where}.issuers", "the issuer is unknown", "declare it under token_issuers")
            elif not any(one.api == route.audience for i in snapshot.issuers if i.name == name for one in i.audiences):
                yield Problem(f"{where}.issuers", "the issuer has no audience for this API", "map one to it")


def _rule(where: str, route: Route, rule: AccessRule, known: set[str]) -> Iterator[Problem]:
    if not (rule.scopes or rule.roles or rule.claims or rule.step_up):
        yield Problem(where, "a rule asks for nothing", "name scopes, roles, claims or step_up")
    for method in rule.methods:
        if method not in METHODS or (route.methods and method not in route.methods):
            yield Problem(where, "names a method that the route does not take", "add it to `methods`, or drop it")
    for scope in rule.scopes:
        if scope not in known:
            yield Problem(where, "names a scope that the audience does not have", "declare it first")
    for role in rule.roles:
        if _WORD.fullmatch(role) is None:
            yield Problem(where, "names something that is no role", "use printable ASCII without space and quotes")
    for claim in rule.claims:
        if not claim_is_valid(claim.claim):
            yield Problem(where, "names something that is no claim", "write its name, or a JSON Pointer")
        if not claim.values or len(claim.values) > 100 or any(len(value) > 500 for value in claim.values):
            yield Problem(where, "a claim has no values, more than 100, or one that is too long")
    yield from _step_up(where, rule.step_up)


def _step_up(where: str, asked: StepUp | None) -> Iterator[Problem]:
    if asked is None:
        return
    if not asked.acr and asked.max_age is None:
        yield Problem(where, "asks for nothing", "name acr or max_age")
    if len(asked.acr) > 10 or any(_WORD.fullmatch(one) is None for one in asked.acr):
        yield Problem(where, "holds more than 10 classes, or one with a space or a quote")
    if asked.max_age is not None and not timedelta(seconds=1) <= asked.max_age <= _LONGEST_AGE:
        yield Problem(f"{where}.max_age", "is out of range", "use 1s to 365d")


def _credentials(where: str, route: Route, *, bound: bool) -> Iterator[Problem]:
    if not route.credentials or any(one not in CREDENTIALS for one in route.credentials):
        yield Problem(where, "is empty, or holds an unknown kind", "use some of " + ", ".join(CREDENTIALS))
    if set(route.credentials) - {"token"}:
        if route.step_up is not None or any(rule.step_up for rule in route.rules):
            yield Problem(where, "takes keys, behind which nobody signed in, and yet asks for step_up", "drop one")
        if bound:
            yield Problem(where, "takes keys for an API of bound tokens only", "take tokens only")


def _policy(where: str, route: Route) -> Iterator[Problem]:
    if route.policy is None:
        return
    # What the proxy cannot decide by itself it asks the guard.
    try:
        needs_decision(route.policy, route.name)
    except Malformed as malformed:
        yield Problem(where, f"does not stand: {malformed}", "see docs/how-to/gateway-access")


def _addresses(where: str, asked: Addresses | None) -> Iterator[Problem]:
    if asked is None:
        return
    try:
        several = len(networks_of((*asked.allow, *asked.deny)))
    except ValueError:
        yield Problem(where, "holds something that is no address or network", "write 192.0.2.0/24 or 2001:db8::/32")
        return
    if several > 2 * _MOST_NETWORKS:
        yield Problem(where, "holds more than 200 networks")
    if not several:
        yield Problem(where, "names no network", "drop it, or name some")


def _issuers(snapshot: Snapshot) -> Iterator[Problem]:
    seen = {snapshot.issuer}
    for one in snapshot.issuers:
        where = f"token_issuers.{one.name}"
        if one.issuer in seen:
            yield Problem(f"{where}.issuer", "is ours, or that of another one", "each issuer stands once")
        seen.add(one.issuer)
        yield from issuer_problems(where, one, {audience.uri for audience in snapshot.audiences})


def issuer_problems(where: str, one: TokenIssuer, audiences: Collection[str]) -> Iterator[Problem]:
    """What is wrong with one of the other issuers; `audiences` are our APIs."""
    if _NAME.fullmatch(one.name) is None or one.name in _RESERVED:
        yield Problem(where, "the name is not valid", "use a-z, 0-9 and -, but not http, https, pat or urn")
    if not one.issuer or len(one.issuer) > 500 or not one.issuer.isascii() or not one.issuer.isprintable():
        yield Problem(f"{where}.issuer", "is empty, too long, or holds unusual characters")
    if not one.audiences or len(one.audiences) > 50:
        yield Problem(f"{where}.audiences", "are none, or more than 50", "say which audience stands for which API")
    for mapping in one.audiences:
        if mapping.api not in audiences:
            yield Problem(f"{where}.audiences", "names an unknown API", "declare it first")
        if not mapping.audience:
            yield Problem(f"{where}.audiences", "holds an empty audience")
    if not one.algorithms or any(algorithm not in ALGORITHMS for algorithm in one.algorithms):
        yield Problem(f"{where}.algorithms", "are none, or unknown", "use some of " + ", ".join(ALGORITHMS))
    for claim in (one.client_claim, one.subject_claim, one.scope_claim):
        # Envoy would look inside other claims at a dot.
        if _CLAIM.fullmatch(claim) is None:
            yield Problem(where, "names something that is no claim", "use letters, digits, _, :, / and -")
    if not claim_is_valid(one.roles_claim):
        yield Problem(f"{where}.roles_claim", "is no claim", "write its name, or a JSON Pointer")
