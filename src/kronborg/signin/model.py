"""The nouns of sign-in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta


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
class ThrottleSettings:
    """Four counters. A known device is judged by `device` alone, so nobody elsewhere can lock its owner out."""

    device: Allowance = Allowance(10, timedelta(seconds=2), timedelta(minutes=5), timedelta(minutes=5))
    pair: Allowance = Allowance(5, timedelta(seconds=2), timedelta(minutes=15), timedelta(minutes=10))
    address: Allowance = Allowance(50, timedelta(seconds=2), timedelta(minutes=15), timedelta(minutes=1))
    account: Allowance = Allowance(100, timedelta(seconds=2), timedelta(minutes=5), timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """All settings of this slice; session lifetimes are in `core.parts.Parts`."""

    passwords: PasswordSettings = field(default_factory=PasswordSettings)
    throttle: ThrottleSettings = field(default_factory=ThrottleSettings)
    device_lifetime: timedelta = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an attempt comes from, as far as the network and the browser tell."""

    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A signed-in browser. `id` is the `sid` of tokens; the cookie's secret is kept as a digest only."""

    id: str
    user_id: str
    amr: tuple[str, ...]
    auth_time: datetime
    last_seen_at: datetime
    expires_at: datetime
    user_agent: str
    address: str


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by somebody who is signed in."""

    user_id: str
    session_id: str
    auth_time: datetime
    amr: tuple[str, ...]
    username: str
    name: str
    email: str | None
    password_changed_at: datetime | None = None

    @property
    def shown_name(self) -> str:
        """What to call this person on a page."""
        return self.name or self.username


def device_of(user_agent: str) -> str:
    """`Firefox on Linux`: what a person recognises of a User-Agent header."""
    browsers = (
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS", "Firefox"),
        ("CriOS", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    )
    systems = (
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS", "Mac"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    )
    browser = next((name for mark, name in browsers if mark in user_agent), "Unknown browser")
    system = next((name for mark, name in systems if mark in user_agent), None)
    return browser if system is None else f"{browser} on {system}"
