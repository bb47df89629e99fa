"""The nouns of sign-in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from kronborg.factors.model import FactorSettings


@dataclass(frozen=True, slots=True)
class PasswordSettings:
    """Argon2id parameters (OWASP's first choice for 19 MiB) and what a password must be; lengths in characters."""

    memory_kib: int = 19456
    passes: int = 2
    lanes: int = 1
    at_once: int = 2
    waiting: int = 64
    shortest: int = 12
    longest: int = 256
    strength: int = 2
    """From 0 (anything) to 4: what zxcvbn must give at least."""
    history: int = 0
    """So many passwords before, the present one included, cannot be chosen again."""
    breached_url: str | None = None
    """A service of leaked passwords that is asked by k-anonymity; the prefix is put behind it."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many failures are free, how fast they are forgotten, and how the wait grows after that.

    After `free` failures each further one doubles the wait, from `first_wait` up to `longest_wait`; one failure
    is forgotten in every `forget_each`.
    """

    free: int
    first_wait: timedelta
    longest_wait: timedelta
    forget_each: timedelta


@dataclass(frozen=True, slots=True)
class Account:
    """What one statement tells of somebody who signs in."""

    id: str
    username: str
    disabled: bool
    kind: str
    managed_by: str
    encoded: str | None
    """The hash of the password, if there is one here."""

    @property
    def may_sign_in(self) -> bool:
        """Whether this is a person whose account is open."""
        return not self.disabled and self.kind == "person"


@dataclass(frozen=True, slots=True)
class ThrottleSettings:
    """The counters. A known device is judged by `device` alone, so nobody elsewhere can lock its owner out.

    `spray` counts the accounts that one address tries, `spread` the addresses from which one account is tried: slow to
    forget, since those who guess so are patient.
    """

    device: Allowance = Allowance(10, timedelta(seconds=2), timedelta(minutes=5), timedelta(minutes=5))
    pair: Allowance = Allowance(5, timedelta(seconds=2), timedelta(minutes=15), timedelta(minutes=10))
    address: Allowance = Allowance(50, timedelta(seconds=2), timedelta(minutes=15), timedelta(minutes=1))
    subnet: Allowance = Allowance(250, timedelta(seconds=2), timedelta(minutes=15), timedelta(seconds=15))
    account: Allowance = Allowance(100, timedelta(seconds=2), timedelta(minutes=5), timedelta(minutes=1))
    spray: Allowance = Allowance(60, timedelta(seconds=5), timedelta(hours=1), timedelta(minutes=5))
    spread: Allowance = Allowance(60, timedelta(seconds=2), timedelta(minutes=5), timedelta(minutes=5))


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """All settings of this slice; session lifetimes are in `core.parts.Parts`."""

    passwords: PasswordSettings = field(default_factory=PasswordSettings)
    throttle: ThrottleSettings = field(default_factory=ThrottleSettings)
    device_lifetime: timedelta = timedelta(days=365)
    factors: FactorSettings = field(default_factory=FactorSettings)
