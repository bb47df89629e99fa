"""Who is near or over a quota right now, and letting somebody begin anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kronborg.core.db import Database, Session
from kronborg.core.errors import NotFound
from kronborg.core.events import record
from kronborg.limits.store import Used, ask_reset, most_used

State = Literal["over", "near", "fine"]
NEAR = 0.8
"""Who has used this much of a quota is shown as near its end."""
MOST = 200


@dataclass(frozen=True, slots=True)
class Live:
    """How far somebody is with a quota. `who` is what is counted, `node` the gateway that counts on its own, if any."""

    quota: str
    identity: str
    who: str
    node: str
    used: int
    count: int
    resets: datetime

    @property
    def state(self) -> State:
        """Over, near, or neither."""
        if self.used >= self.count:
            return "over"
        return "near" if self.used >= self.count * NEAR else "fine"

    @property
    def percent(self) -> int:
        """Of what the quota allows, rounded down, so that 100 is the whole."""
        return 100 if not self.count else min(100, self.used * 100 // self.count)


async def live(database: Database, *, now: datetime, quota: str = "", who: str = "", limit: int = 100) -> list[Live]:
    """The counters nearest to their end first; those of one quota, or of who begins with `who`."""
    async with database.read() as session:
        found = await most_used(session, now=now, quota=quota, who=who, limit=min(limit, MOST))
    return [_live(one) for one in found]


async def reset(session: Session, quota: str, identity: str, *, actor: str, now: datetime) -> None:
    """Let a counter begin anew; gateways hear of it within two seconds. Raises `NotFound`."""
    if not await most_used(session, now=now, quota=quota, identity=identity, limit=1):
        raise NotFound("there is no such counter")
    await ask_reset(session, quota, identity, now=now)
    await record(session, "quota.reset", actor=actor, subject=quota, now=now, detail={"identity": identity})


def _live(one: Used) -> Live:
    node, marked, who = one.identity.rpartition("\t") if one.identity.count("\t") == 1 else ("", "", one.identity)
    return Live(one.quota, one.identity, who, node if marked else "", one.used, one.count, one.resets)
