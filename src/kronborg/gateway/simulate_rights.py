"""What a route asks of a token, for one method: the route's own words and the rules that are for this method."""

from __future__ import annotations

from dataclasses import dataclass

from kronborg.gateway.access_model import ClaimRule, StepUp
from kronborg.gateway.model import Route


@dataclass(frozen=True, slots=True)
class Rights:
    """Every scope; of each set of roles at least one; every claim; every way of signing in."""

    scopes: tuple[str, ...]
    roles: tuple[tuple[str, ...], ...]
    claims: tuple[ClaimRule, ...]
    step_ups: tuple[StepUp, ...]


def rights_of(route: Route, method: str) -> Rights:
    """What a token must say so that a request with this method passes."""
    rules = [rule for rule in route.rules if not rule.methods or method in rule.covered]
    roles = [one for one in (route.roles, *(rule.roles for rule in rules)) if one]
    return Rights(
        tuple(dict.fromkeys((*route.scopes, *(scope for rule in rules for scope in rule.scopes)))),
        tuple(roles),
        tuple(claim for rule in rules for claim in rule.claims),
        tuple(one for one in (route.step_up, *(rule.step_up for rule in rules)) if one is not None),
    )


def told_rights(rights: Rights) -> str:
    """The same in words."""
    told = (
        [f"the {'scope' if len(rights.scopes) == 1 else 'scopes'} {', '.join(sorted(rights.scopes))}"]
        if rights.scopes
        else []
    )
    told += [
        f"the role {next(iter(any_of))}" if len(any_of) == 1 else f"one of the roles {', '.join(sorted(any_of))}"
        for any_of in rights.roles
    ]
    told += [f"the claim {one.claim}" for one in rights.claims]
    sentence = " and ".join(told)
    return sentence[:1].upper() + sentence[1:] + "."
