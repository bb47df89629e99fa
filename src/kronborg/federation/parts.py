"""What federation needs besides `core.parts.Parts`: the way out of the process, and who else lets somebody in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from kronborg.core.db import ReadSession
from kronborg.core.fetch import Fetcher
from kronborg.core.pace import Pace

OtherWays = Callable[[ReadSession, str], Awaitable[bool]]
"""Whether a user can sign in without any provider: slices above this one know of passwords."""


STARTS = 600
"""Ways to a provider begun by one network within ten minutes: a row each, so that a flood stays a small one."""


@dataclass(frozen=True, slots=True)
class FederationParts:
    """Kept at `app.state.federation`, made once by the composition root."""

    fetcher: Fetcher
    other_ways: OtherWays
    starts: Pace = field(default_factory=lambda: Pace(most=STARTS))
