"""Who keeps the counters of quotas, and what happens when they are away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kronborg.limits.model import EDGE

Keeper = Literal["process", "database", "valkey"]
WhenAway = Literal["process", "closed"]


@dataclass(frozen=True, slots=True)
class QuotaPolicy:
    """How quotas are kept and told."""

    __pydantic_config__ = EDGE

    counters: Keeper = "process"
    """`process`: in the memory of the control process, stored each second; a crash forgets at most what came since.
    `database`: each lease is a transaction; exact over several gateways. `valkey`: the same at more speed."""
    valkey: str = "valkey://127.0.0.1:6379/0"
    """Where Valkey is: `valkey://host:port/number`, with TLS `valkeys://`."""
    valkey_password_file: str = ""
    """A file with its password."""
    when_away: WhenAway = "process"
    """While Valkey does not answer: `process` counts here, apart from other gateways; `closed` grants no leases, and
    what is counted stops at what each gateway counted itself."""
    legacy_headers: bool = False
    """Add `X-RateLimit-Limit`, `-Remaining` and `-Reset` to answers, for older clients."""
