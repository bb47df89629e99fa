"""The fleet as people and machines are shown it, one reading for console, command line and admin API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kronborg.core.db import ReadSession
from kronborg.fleet.model import MOST_SKEW, Node, State
from kronborg.fleet.store import list_nodes
from kronborg.gateway.store import newest_version

ENDS_SOON_DAYS = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """One gateway. Milliseconds where a name says so; `skew_ms` is how far its clock is ahead of ours."""

    name: str
    local: bool
    state: State
    version: int
    newest: int
    digest: str
    took: str
    offered: int
    reason: str
    kronborg: str
    envoy: str
    skew_ms: int
    skewed: bool
    certificate_expires_at: datetime | None
    ends_soon: bool
    joined_at: datetime
    seen_at: datetime | None
    revocation_ms: int | None
    uptime: int
    connections: int
    requests: int
    buffered: int

    def fields(self) -> dict[str, object]:
        """By name, for output."""
        return {name: getattr(self, name) for name in self.__slots__}


async def shown(session: ReadSession, *, now: datetime) -> list[Shown]:
    """Every gateway, by name."""
    newest = await newest_version(session)
    return [show_node(node, newest, now) for node in await list_nodes(session)]


def show_node(node: Node, newest: int, now: datetime) -> Shown:
    """A node as it is shown, given the newest published version."""
    said = node.standing
    ends = node.expires_at
    return Shown(
        name=node.name,
        local=node.local,
        state=node.state(newest, now=now),
        version=0 if said is None else said.version,
        newest=newest,
        digest="" if said is None else said.digest,
        took="none" if said is None else said.took,
        offered=0 if said is None else said.offered,
        reason="" if said is None else said.reason,
        kronborg="" if said is None else said.kronborg,
        envoy="" if said is None else said.envoy,
        skew_ms=int(node.skew.total_seconds() * 1000),
        skewed=abs(node.skew) > MOST_SKEW,
        certificate_expires_at=ends,
        ends_soon=ends is not None and (ends - now).days < ENDS_SOON_DAYS,
        joined_at=node.joined_at,
        seen_at=node.seen_at,
        revocation_ms=None if said is None or said.revocation_ms < 0 else said.revocation_ms,
        uptime=0 if said is None else said.uptime,
        connections=0 if said is None else said.connections,
        requests=0 if said is None else said.requests,
        buffered=0 if said is None else said.buffered,
    )
