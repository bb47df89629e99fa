"""Where a gateway hears what it should run: from the database, or (fleet/remote.py) from a control plane far away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from kronborg.core.db import Database
from kronborg.gateway.model import Delivery, Snapshot
from kronborg.gateway.revocation_model import RevocationPolicy
from kronborg.gateway.store import last_acked, latest_published, latest_version, record_delivery

Keys = Callable[[], Awaitable[str]]
"""The issuer's public JWKS as JSON text; equal keys give equal text."""


DeliveryRecord = Callable[[Delivery, datetime], Awaitable[None]]
"""Keeps what a gateway said to a version."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a gateway should run: a snapshot, the keys that sign its tokens, and the digest of the snapshot.

    `revocation` is what to do about revoked tokens when this comes from elsewhere; `mark` is equal for equal offers.
    """

    snapshot: Snapshot
    keys: str
    digest: str
    mark: tuple[int, str]
    revocation: RevocationPolicy | None = None


class Source(Protocol):
    """Who says what a gateway should run. Each raises what its transport raises; the deliverer tries again."""

    async def mark(self) -> tuple[int, str] | None:
        """The mark of the newest offer; cheap enough to ask several times a second. None: nothing is known."""

    async def latest(self) -> Offer | None:
        """The newest offer."""

    async def last_good(self) -> Offer | None:
        """The newest that this gateway took; its keys may be of that time."""

    async def record(self, said: Delivery, *, now: datetime) -> None:
        """Keep what the gateway said."""


@dataclass(frozen=True, slots=True)
class DatabaseSource(Source):
    """The database of this installation. `empty` is offered before the first version; `proxy` is the gateway's name."""

    database: Database
    keys: Keys
    empty: Snapshot
    proxy: str
    revocation: RevocationPolicy | None = None

    async def mark(self) -> tuple[int, str] | None:
        """The newest version and the keys of this moment."""
        keys = await self.keys()
        return await latest_version(self.database), keys

    async def latest(self) -> Offer | None:
        """The newest published snapshot with the keys of this moment."""
        keys = await self.keys()
        async with self.database.read() as session:
            published = await latest_published(session)
        if published is None:
            return Offer(self.empty, keys, "", (0, keys), self.revocation)
        snapshot = published.snapshot
        return Offer(snapshot, keys, published.digest, (snapshot.version, keys), self.revocation)

    async def last_good(self) -> Offer | None:
        """The newest that this proxy took."""
        async with self.database.read() as session:
            good = await last_acked(session, self.proxy)
        return None if good is None else Offer(good.snapshot, "", good.digest, (good.snapshot.version, ""))

    async def record(self, said: Delivery, *, now: datetime) -> None:
        """Keep it beside the version."""
        async with self.database.write() as session:
            await record_delivery(session, said, now=now)
