"""Whether a route's Cedar policy permits a request, by the formula that the proxy is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kronborg.core.json import JsonValue
from kronborg.gateway.linear import matcher
from kronborg.gateway.policies import Facts, decide, formula_of, needs_decision
from kronborg.gateway.policy_formula import Both, Either, Formula, Not, Test


@dataclass(frozen=True, slots=True)
class Asked:
    """What a policy may ask of one request. `prefix` stands before the names of another issuer's people and clients."""

    method: str
    path: str
    subject: str
    client: str
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    claims: Mapping[str, JsonValue]
    prefix: str = ""


def permits(policy: str, route: str, asked: Asked) -> bool:
    """The answer. Raises nothing for a policy that could be published."""
    if needs_decision(policy, route):
        facts = Facts(
            subject=asked.prefix + asked.subject,
            client=asked.prefix + asked.client,
            method=asked.method,
            route=route,
            path=asked.path,
            scopes=asked.scopes,
            roles=asked.roles,
            claims=asked.claims,
        )
        return decide(policy, facts)
    return _holds(formula_of(policy, route), asked)


def _holds(formula: Formula, asked: Asked) -> bool:
    match formula:
        case Both(parts):
            return all(_holds(part, asked) for part in parts)
        case Either(parts):
            return any(_holds(part, asked) for part in parts)
        case Not(part):
            return not _holds(part, asked)
        case Test():
            return _test(formula, asked)


def _test(test: Test, asked: Asked) -> bool:
    text = str(test.value)
    match test.kind:
        case "subject":
            return asked.prefix + asked.subject == text
        case "client":
            return asked.prefix + asked.client == text
        case "method":
            return asked.method == text
        case "path":
            return asked.path == text
        case "path_like":
            return matcher(text, lines=True)(asked.path)
        case "scope":
            return text in asked.scopes
        case "role":
            return text in asked.roles
        case "present":
            return claim_at(asked.claims, test.path) is not None
        case "claim":
            return same(claim_at(asked.claims, test.path), test.value)
        case _:
            found = claim_at(asked.claims, test.path)
            return isinstance(found, (list, tuple)) and any(same(one, test.value) for one in found)


def claim_at(claims: JsonValue, path: Sequence[str]) -> JsonValue:
    """What stands inside a token; None where nothing does."""
    found = claims
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def same(found: JsonValue, wanted: str | bool | int | float) -> bool:
    """Equal as JSON: `true` is not 1."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return isinstance(found, bool) and isinstance(wanted, bool) and found == wanted
    return found == wanted
