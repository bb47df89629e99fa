"""Publishing: what is declared, as one snapshot, all of it or none."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kronborg.core import events
from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import Invalid
from kronborg.gateway.model import Audience, Limits, Snapshot
from kronborg.gateway.snapshot import digest, freeze
from kronborg.gateway.store import add_snapshot, latest_published, list_routes, list_services
from kronborg.gateway.validate import problems_of

HOSTS = ("localhost", "127.0.0.1")
"""The names a gateway on one's own machine answers to."""


async def draft(
    session: ReadSession,
    *,
    issuer: str,
    audiences: tuple[Audience, ...],
    hosts: tuple[str, ...] = HOSTS,
    limits: Limits | None = None,
) -> Snapshot:
    """What would be published now: the services and routes as they are declared."""
    return Snapshot(
        issuer=issuer,
        services=await list_services(session),
        routes=await list_routes(session),
        audiences=audiences,
        hosts=hosts,
        limits=limits or Limits(),
    )


async def publish(session: Session, snapshot: Snapshot, *, author: str, now: datetime) -> Snapshot:
    """Store `snapshot` as the next version and return it so numbered.

    A snapshot equal to the latest makes no new version. Raises `Invalid` with every reason against it.
    """
    problems = problems_of(snapshot)
    if problems:
        raise Invalid(*problems)
    content = freeze(snapshot)
    mark = digest(content)
    before = await latest_published(session)
    if before is not None and before.digest == mark:
        return before.snapshot
    version = 1 if before is None else before.snapshot.version + 1
    await add_snapshot(session, version=version, content=content, digest=mark, author=author, now=now)
    await events.record(
        session,
        "gateway.published",
        actor=author,
        subject=str(version),
        now=now,
        detail={"digest": mark, "routes": len(snapshot.routes), "services": len(snapshot.services)},
    )
    return replace(snapshot, version=version)
