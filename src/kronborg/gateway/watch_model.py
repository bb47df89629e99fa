"""What an installation says of its attack surface and of alerts: told by `server.surface` and `server.alerts`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from kronborg.core.durations import Span
from kronborg.core.errors import Problem
from kronborg.gateway.edge_model import EDGE


@dataclass(frozen=True, slots=True)
class SurfaceSettings:
    """When something of the attack surface becomes a finding."""

    __pydantic_config__ = EDGE

    probe: bool = False
    """Whether the worker asks each service, past the gateway and without a token, if it answers. A service may say
    otherwise for itself."""
    unused: Span = timedelta(days=30)
    """A route, scope or key that nobody used for this long is unused."""
    longest_token: Span = timedelta(hours=1)
    """Access tokens that last longer are found."""
    longest_refresh: Span = timedelta(days=90)
    """Refresh tokens that last longer are found."""
    longest_key: Span = timedelta(days=180)
    """API keys that last longer are found."""
    oldest_secret: Span = timedelta(days=365)
    """Client secrets that are older are found."""
    certificates: Span = timedelta(days=14)
    """Certificates that end within this time are found."""


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Who is told of alerts whose rule names nobody."""

    __pydantic_config__ = EDGE

    mail: tuple[str, ...] = ()
    """E-mail addresses. Webhooks hear of `alert.fired` and `alert.resolved` in any case."""


MOST_TOLD = 20
_ADDRESS = re.compile(r"[^\s@<>,;]{1,100}@[^\s@<>,;]{1,150}")


def is_address(text: str) -> bool:
    """Whether a letter can be sent there."""
    return _ADDRESS.fullmatch(text) is not None and text.isprintable()


def watch_problems(surface: SurfaceSettings, alerts: AlertSettings) -> Iterator[Problem]:
    """What would make no sense."""
    if not timedelta(days=1) <= surface.unused <= timedelta(days=90):
        yield Problem("server.surface.unused", "is not between a day and 90 days", "counts are kept for 90 days")
    if len(alerts.mail) > MOST_TOLD or not all(map(is_address, alerts.mail)):
        yield Problem("server.alerts.mail", "holds no e-mail address, or too many", "write ops@company.example")
