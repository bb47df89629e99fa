"""How strongly somebody signed in: authentication context class references as a ladder (OIDC Core §2, RFC 9470).

A rung includes every rung below it. Which rungs somebody can reach depends on the factors that an installation offers
(`offered_by`); whether this very person has one, or enrols one, is for the sign-in journey to see.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from kronborg.sessions.model import strength

PASSWORD: Final = "urn:kronborg:acr:password"  # noqa: S105  # a name
MULTI_FACTOR: Final = "urn:kronborg:acr:multi-factor"
PHISHING_RESISTANT: Final = "urn:kronborg:acr:phishing-resistant"

LADDER: Final = (PASSWORD, MULTI_FACTOR, PHISHING_RESISTANT)
"""From weak to strong."""
OFFERED: Final = (PASSWORD,)
"""What somebody can reach without any factor."""


def offered_by(factors: Collection[str]) -> tuple[str, ...]:
    """What somebody can reach where these kinds of factors are offered."""
    if not factors:
        return OFFERED
    return LADDER if "passkey" in factors else LADDER[:2]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for: any of these, the preferred first. `essential` when nothing else will do.

    Values that are not on the ladder are left out, unless they are essential. `at_least` is what the client asks for
    whatever its requests say.
    """

    values: tuple[str, ...] = ()
    essential: bool = False
    at_least: str = PASSWORD

    @property
    def strength(self) -> int:
        """How strong a sign-in (`sessions.model.strength`) would fulfil it: the weakest value that will do."""
        known = [LADDER.index(value) for value in self.values if value in LADDER]
        return max(LADDER.index(self.at_least), min(known, default=0))


ANYTHING: Final = Wanted()


def achieved(amr: Collection[str]) -> str:
    """The rung that a sign-in with these methods (RFC 8176) stands on."""
    return LADDER[strength(amr)]


def satisfied(wanted: Wanted, amr: Collection[str]) -> str | None:
    """The `acr` to tell: the preferred value that this sign-in fulfils; None when it fulfils none that is wanted."""
    height = strength(amr)
    if height < LADDER.index(wanted.at_least):
        return None
    if not wanted.values:
        return LADDER[height]
    return next((value for value in wanted.values if value in LADDER[: height + 1]), None)


def reachable(wanted: Wanted, offered: Collection[str]) -> bool:
    """Whether signing in once more could fulfil it."""
    return wanted.at_least in offered and (not wanted.values or any(value in offered for value in wanted.values))


def wanted_of(
    acr_values: tuple[str, ...], *, essential: tuple[str, ...] | None = None, at_least: str = PASSWORD
) -> Wanted:
    """What a request wants by `acr_values`, or by an essential claim (OIDC Core §5.5.1.1), which goes before."""
    if essential is not None:
        return Wanted(essential, essential=True, at_least=at_least)
    # OIDC Core §3.1.2.1: a voluntary claim; what nobody here knows cannot be meant.
    return Wanted(tuple(value for value in acr_values if value in LADDER), at_least=at_least)
