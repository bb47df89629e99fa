"""The nouns of what passed: one access record for each request that a gateway answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

SHADOW = " shadow:"
"""What the details of a record end with that something would have refused which only reports; its names follow."""

Decision = Literal["allowed", "reported", "refused", "failed"]
"""`allowed`: the service answered. `reported`: so it did, and something that only reports would have refused.
`refused`: the gateway said no. `failed`: nobody fit could answer."""


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """One request. Texts are bounded when they are read; what is not known is empty.

    `id` is the gateway's request id, unique over all nodes. `reason` is a name of `gateway.reasons`, empty when the
    request was allowed; `detail` and `flags` are the proxy's own words. `path` is without the query, which may hold
    secrets. `client`, `subject`, `token` (its `jti`), `session`, `grant` and `key` (an API key) are verified ones only.
    """

    id: str
    at: datetime
    node: str
    listener: str
    host: str
    method: str
    path: str
    route: str
    service: str
    status: int
    decision: Decision
    reason: str
    detail: str
    flags: str
    client: str
    subject: str
    token: str
    session: str
    grant: str
    key: str
    scopes: str
    address: str
    agent: str
    protocol: str
    trace: str
    upstream: str
    attempts: int
    duration_us: int
    upstream_us: int
    bytes_in: int
    bytes_out: int

    @property
    def reported(self) -> tuple[str, ...]:
        """What would have refused it and only reports: limits and quotas in shadow mode by their names, reasons."""
        names = self.detail.rpartition(SHADOW)
        return tuple(names[2].split(",")) if names[1] else ()
