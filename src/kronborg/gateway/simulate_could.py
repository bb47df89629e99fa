"""Whether a route's Cedar policy could permit a client anything at all, as far as that is certain beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from kronborg.gateway.policies import formula_of, needs_decision
from kronborg.gateway.policy_formula import Both, Either, Formula, Not, Test


@dataclass(frozen=True, slots=True)
class Known:
    """What is certain of every token that a client can have. `alone`: it is about nobody but the client."""

    method: str
    client: str
    scopes: frozenset[str]
    alone: bool


def could_permit(policy: str, route: str, known: Known) -> bool:
    """False where a policy permits none of the tokens that a client can have; a True may depend on the request."""
    return needs_decision(policy, route) or _could(formula_of(policy, route), known) is not False


def _could(formula: Formula, known: Known) -> bool | None:
    """What a formula says whatever else is so; None where it depends."""
    match formula:
        case Both(parts):
            found = [_could(part, known) for part in parts]
            return False if False in found else None if None in found else True
        case Either(parts):
            found = [_could(part, known) for part in parts]
            return True if True in found else None if None in found else False
        case Not(part):
            said = _could(part, known)
            return None if said is None else not said
        case Test():
            return _certain(formula, known)


def _certain(test: Test, known: Known) -> bool | None:
    text = str(test.value)
    match test.kind:
        case "client":
            return known.client == text
        case "method":
            return known.method == text
        case "subject" if known.alone:
            return known.client == text
        # It need not ask for each scope that it may ask for.
        case "scope" if text not in known.scopes:
            return False
    return None
