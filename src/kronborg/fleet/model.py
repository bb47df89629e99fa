"""The nouns of the fleet: nodes, what they say about themselves, invitations, and the authority that knows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

Took = Literal["acked", "rejected", "none"]
State = Literal["serving", "behind", "rejected", "silent", "waiting"]
"""`serving`: on the newest version. `behind`: on an older one. `rejected`: refused the newest. `silent`: not heard of
for a while. `waiting`: never heard of."""

SILENT_AFTER = timedelta(seconds=30)
"""A gateway reports every few seconds; after this long without a report it counts as gone."""
WAIT_SECONDS = 20.0
"""How long a gateway's question for news waits at the control plane; then it asks again."""
MOST_SKEW = timedelta(seconds=10)
"""More than this between two clocks makes valid tokens fail."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a gateway says about itself, as of `at` by its own clock.

    `version` and `digest` are what it serves; `offered`, `took` and `reason` what it said to the newest version it saw,
    with Envoy's own reason. `revocation_ms` is how far behind its revocations are, -1 when that is not known;
    `buffered` are bytes of access records that the control plane has not yet got.
    """

    at: datetime
    kronborg: str = ""
    envoy: str = ""
    version: int = 0
    digest: str = ""
    offered: int = 0
    took: Took = "none"
    reason: str = ""
    live: bool = False
    uptime: int = 0
    connections: int = 0
    requests: int = 0
    revocation_ms: int = -1
    buffered: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A gateway of the fleet. `id` is in its certificate; it may show those of `serial` and `former_serial`.

    `skew` is how far its clock was ahead of ours at its last report.
    """

    name: str
    id: str
    local: bool
    joined_at: datetime
    serial: str = ""
    former_serial: str = ""
    expires_at: datetime | None = None
    seen_at: datetime | None = None
    standing: Standing | None = None
    skew: timedelta = field(default=timedelta())

    def state(self, newest: int, *, now: datetime) -> State:
        """How it stands, given the newest published version."""
        if self.seen_at is None or self.standing is None:
            return "waiting"
        if now - self.seen_at > SILENT_AFTER or not self.standing.live:
            return "silent"
        if self.standing.took == "rejected" and self.standing.offered >= newest:
            return "rejected"
        return "serving" if self.standing.version >= newest else "behind"


@dataclass(frozen=True, slots=True)
class Invitation:
    """A node that may join once, until `expires_at`; who asked for it."""

    name: str
    author: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class StoredAuthority:
    """The fleet's certificate authority: its certificate in PEM and its sealed key."""

    certificate: str
    sealed_key: str
    created_at: datetime
    expires_at: datetime
