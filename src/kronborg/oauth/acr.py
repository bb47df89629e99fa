"""How strongly somebody signed in: authentication context class references as a ladder (OIDC Core §2, RFC 9470).

A rung includes every rung below it. Which rungs a person can reach depends on the methods there are; a new method adds
what it is called in `amr` to a rung, and the rung to `OFFERED`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

PASSWORD: Final = "urn:kronborg:acr:password"  # noqa: S105  # a name
MULTI_FACTOR: Final = "urn:kronborg:acr:multi-factor"
PHISHING_RESISTANT: Final = "urn:kronborg:acr:phishing-resistant"

LADDER: Final = (PASSWORD, MULTI_FACTOR, PHISHING_RESISTANT)
"""From weak to strong."""
OFFERED: Final = (PASSWORD,)
"""What somebody can reach with the methods of today."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for: any of these, the preferred first. `essential` when nothing else will do.

    Values that are not on the ladder are left out, unless they are essential.
    """

    values: tuple[str, ...] = ()
    essential: bool = False


ANYTHING: Final = Wanted()


def achieved(amr: Collection[str]) -> str:
    """The rung that a sign-in with these methods (RFC 8176) stands on."""
    # RFC 8176 §2: `mfa` says several factors, `hwk` and `swk` a key that signs for this very site (WebAuthn).
    if "mfa" in amr:
        return PHISHING_RESISTANT if {"hwk", "swk"} & set(amr) else MULTI_FACTOR
    return PASSWORD


def satisfied(wanted: Wanted, amr: Collection[str]) -> str | None:
    """The `acr` to tell: the preferred value that this sign-in fulfils; None when it fulfils none that is wanted."""
    stands_on = achieved(amr)
    if not wanted.values:
        return stands_on
    height = LADDER.index(stands_on)
    return next((value for value in wanted.values if value in LADDER[: height + 1]), None)


def reachable(wanted: Wanted, offered: Collection[str]) -> bool:
    """Whether signing in once more could fulfil it."""
    return any(value in offered for value in wanted.values)


def wanted_of(acr_values: tuple[str, ...], *, essential: tuple[str, ...] | None = None) -> Wanted:
    """What a request wants by `acr_values`, or by an essential claim (OIDC Core §5.5.1.1), which goes before."""
    if essential is not None:
        return Wanted(essential, essential=True)
    # OIDC Core §3.1.2.1: a voluntary claim; what nobody here knows cannot be meant.
    return Wanted(tuple(value for value in acr_values if value in LADDER))
