"""The nouns of the attack surface: what is reachable and how it is protected, findings, the score, what changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Severity = Literal["critical", "high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")
Access = Literal["public", "token", "narrowed"]
"""`token`: any token of the API opens it. `narrowed`: scopes, roles, rules, a policy or step-up ask for more."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Somewhere the installation can be connected to; `beyond` this machine or not."""

    name: str
    address: str
    serves: str
    tls: bool
    beyond: bool
    by: str = ""
    """How callers prove who they are, before anything else is asked."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """What one route lets in. `host` empty means every name; `methods` are spelled out."""

    route: str
    service: str
    host: str
    kind: str
    path: str
    methods: tuple[str, ...]
    access: Access
    audience: str = ""
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    rules: int = 0
    policy: bool = False
    step_up: bool = False
    credentials: tuple[str, ...] = ("token",)
    bound: str = ""
    issuers: tuple[str, ...] = ()
    addresses: bool = False
    limits: tuple[str, ...] = ()
    listeners: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Host and path as one reads them."""
        return f"{self.host or 'any host'}{' ' if not self.host else ''}{self.path}{'/…' if self.is_open_ended else ''}"

    @property
    def is_open_ended(self) -> bool:
        """Whether it is a prefix that does not end in a slash already."""
        return self.kind == "prefix" and not self.path.endswith("/")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. `id` stays the same from day to day; `place` is where it is, `link` the page to mend it."""

    id: str
    kind: str
    severity: Severity
    place: str
    detail: str
    link: str


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody knows of a finding and lives with it, until a day, for a reason."""

    finding: str
    kind: str
    place: str
    reason: str
    author: str
    created_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Surface:
    """All of it at one moment. `known_since` is how far back the traffic's counts reach; None when there are none."""

    at: datetime
    version: int
    score: int
    listeners: tuple[Listener, ...]
    exposures: tuple[Exposure, ...]
    findings: tuple[Finding, ...]
    acknowledged: tuple[str, ...] = ()
    known_since: datetime | None = None

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that nobody has acknowledged."""
        known = frozenset(self.acknowledged)
        return tuple(one for one in self.findings if one.id not in known)


@dataclass(frozen=True, slots=True)
class Day:
    """What is kept of one day, for the trend."""

    day: str
    at: datetime
    version: int
    score: int
    critical: int
    high: int
    medium: int
    low: int


@dataclass(frozen=True, slots=True)
class Change:
    """One method of one path that differs between two dates, and in what."""

    host: str
    path: str
    method: str
    route: str
    what: str


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs between two dates."""

    reachable: tuple[Change, ...]
    opened: tuple[Change, ...]
    weaker: tuple[Change, ...]
    closed: tuple[Change, ...]
    stronger: tuple[Change, ...]

    @property
    def any(self) -> bool:
        """Whether there is any difference."""
        return any((self.reachable, self.opened, self.weaker, self.closed, self.stronger))
