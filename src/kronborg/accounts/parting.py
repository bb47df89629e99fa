"""What becomes of the accounts that came from a directory or provider when it is removed."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from kronborg.accounts.store import disable_managed, release_managed
from kronborg.core.db import Session
from kronborg.core.events import record_each

Parting = Literal["release", "disable", "keep"]
PARTINGS: Final[tuple[Parting, ...]] = ("release", "disable", "keep")


async def part(session: Session, manager: str, how: Parting, *, actor: str, now: datetime) -> int:
    """Let the accounts of a source that is gone (`managed_by`) go; how many there were.

    `release` makes them ordinary accounts, which get a password by a reset; `disable` lets nobody in besides; `keep`
    leaves them locked, for a source that is made again under its key.
    """
    if how == "keep":
        return 0
    if how == "disable":
        shut = await disable_managed(session, manager, now=now)
        changed = {"changed": {"disabled": [False, True]}}
        await record_each(session, "user.updated", shut, actor=actor, now=now, detail=changed)
        await record_each(session, "user.disabled", shut, actor=actor, now=now)
    free = await release_managed(session, manager, now=now)
    detail = {"changed": {"managed_by": [manager, ""]}}
    await record_each(session, "user.updated", free, actor=actor, now=now, detail=detail)
    return len(free)
