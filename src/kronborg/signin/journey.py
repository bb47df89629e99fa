"""What is still missing before somebody is signed in: a pure decision over what was proved, what the person has, what
the installation asks for, and what the application behind it wants.

    identify → prove → second factor → (enrol, where it is required) → session → back to `next`

Half-way there is nothing but the sealed `Proof`: no session, no row. Every page of the journey decides again.
"""

from __future__ import annotations

from dataclasses import dataclass

from kronborg.factors.model import KINDS, RECOVERY, FactorSettings
from kronborg.sessions.model import MULTI_FACTOR, PHISHING_RESISTANT, strength
from kronborg.sessions.proof import Proof


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the page that sent somebody here wants: how strong a sign-in, and whether it said so itself.

    What is `explicit` (`acr_values`, `max_age`, `prompt=login`) is not satisfied by a browser that is remembered.
    """

    strength: int = 0
    explicit: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of somebody: the kinds of their factors, their groups, and the browser they sit at."""

    kinds: frozenset[str] = frozenset()
    groups: tuple[str, ...] = ()
    recovery: bool = False
    email_verified: bool = False
    remembered: bool = False
    risky: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is missing."""


@dataclass(frozen=True, slots=True)
class AskFactor:
    """One of these is missing, the strongest first: kinds of factors, and `recovery`."""

    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MustEnrol:
    """The person has nothing that would do, and has to enrol one of these."""

    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot be done here."""


Step = Finish | AskFactor | MustEnrol | Refuse


def what_next(proof: Proof, person: Person, policy: FactorSettings, wanted: Wanted) -> Step:
    """The next step of the journey."""
    stands = strength(proof.amr)
    usable = tuple(kind for kind in KINDS if kind in person.kinds and kind in policy.offered)
    by_policy = _by_policy(person, policy, wanted, has_one=bool(usable))
    needed = max(wanted.strength, by_policy)
    if stands >= needed:
        return Finish()
    if needed >= PHISHING_RESISTANT and "passkey" in usable:
        return AskFactor(("passkey",))
    if stands < MULTI_FACTOR:
        if usable:
            # A recovery code stands in for what is lost, and for nothing stronger.
            lost = (RECOVERY,) if person.recovery else ()
            return AskFactor((*usable, *lost))
        if _only_risky(person, policy, wanted):
            return AskFactor(("email",))
    able = _able(person, policy, needed)
    if able:
        return MustEnrol(able)
    # What the installation asks for cannot be waived. What an application asks for is its own to hear about: it is told
    # how strong the sign-in was.
    return Finish() if stands >= by_policy else Refuse()


def _by_policy(person: Person, policy: FactorSettings, wanted: Wanted, *, has_one: bool) -> int:
    if policy.policy == "off":
        return 0
    if person.remembered and not person.risky and not wanted.explicit:
        return 0
    # Who is in danger and has nothing to show is not made to enrol: that would be whoever knows the password.
    risky = person.risky and (has_one or _can_be_mailed(person, policy))
    return MULTI_FACTOR if has_one or _is_required(person, policy) or risky else 0


def _is_required(person: Person, policy: FactorSettings) -> bool:
    named = {group.casefold() for group in policy.required_groups}
    return policy.policy == "required" or any(group.casefold() in named for group in person.groups)


def _only_risky(person: Person, policy: FactorSettings, wanted: Wanted) -> bool:
    """Whether nothing but the situation asks for a second factor; a letter to a verified address will do then."""
    asked = wanted.strength > 0 or _is_required(person, policy)
    return person.risky and not asked and _can_be_mailed(person, policy)


def _can_be_mailed(person: Person, policy: FactorSettings) -> bool:
    return person.email_verified and "email" in policy.offered


def _able(person: Person, policy: FactorSettings, needed: int) -> tuple[str, ...]:
    """What this person could enrol that would do."""
    able = tuple(kind for kind in policy.offered if kind != "email" or person.email_verified)
    return tuple(kind for kind in able if needed < PHISHING_RESISTANT or kind == "passkey")
