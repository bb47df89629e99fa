"""Which listeners there are, so that a route that names another is told when it is published.

The gateway of this machine is told by its settings. One that joined from another machine has listeners of its own,
which only it knows: as long as there is one, any name may be one of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches

from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import Problem
from kronborg.gateway import listener_names_store as store
from kronborg.gateway.listener_model import DEFAULT, KINDS
from kronborg.gateway.model import Snapshot

OWN = ""
"""The gateway of this machine."""
_ANY = "*"


async def note_listeners(session: Session, names: Sequence[str], *, now: datetime) -> None:
    """What the gateway of this machine has."""
    told = " ".join(sorted({DEFAULT, *names}))
    if (await store.read_names(session)).get(OWN) != told:
        await store.put_names(session, OWN, told, now=now)


async def note_joined(session: Session, node: str, *, now: datetime) -> None:
    """A gateway joined, whose listeners nobody here knows."""
    await store.put_names(session, node, _ANY, now=now)


async def note_parted(session: Session, node: str) -> None:
    """A gateway is gone."""
    await store.drop_names(session, node)


async def unknown_listeners(session: ReadSession, snapshot: Snapshot) -> tuple[Problem, ...]:
    """Reasons against publishing: routes that are to be served on a listener which no gateway has."""
    if all(set(route.listeners) <= set(KINDS) for route in snapshot.routes):
        return ()
    told = await store.read_names(session)
    if OWN not in told or _ANY in told.values():
        return ()
    known = {*KINDS, *(name for names in told.values() for name in names.split())}
    return tuple(
        Problem(f"routes.{route.name}.listeners", "there is no such listener", _nearest(name, known))
        for route in snapshot.routes
        for name in sorted(set(route.listeners) - known)
    )


def _nearest(name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), 1)
    return f"did you mean {near[0]}?" if near else "there are " + ", ".join(sorted(known))
