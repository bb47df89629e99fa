"""Where a gateway hears what it should run: from the database, or (fleet/remote.py) from a control plane far away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from kronborg.core.db import Database
from kronborg.gateway.access_model import Addresses
from kronborg.gateway.content_model import Bots
from kronborg.gateway.model import Delivery, Snapshot
from kronborg.gateway.revocation_model import RevocationPolicy
from kronborg.gateway.store import last_acked, latest_published, latest_version, record_delivery
from kronborg.gateway.token_issuers import with_keys
from kronborg.gateway.token_issuers_store import keys_now

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
    addresses: Addresses | None = None
    """Where every request may come from, as the settings say."""
    trusted_proxies: tuple[str, ...] = ()
    """Proxies in front of the gateway, as the settings say."""
    certificate_header: str | None = None
    """The header in which they pass the certificate of a caller on."""
    bots: Bots | None = None
    legacy_headers: bool = False
    """Whether answers carry the headers about limits that older clients know, as the settings say."""

    async def mark(self) -> tuple[int, str] | None:
        """The newest version and the keys of this moment, ours and those of other issuers."""
        keys = await self.keys()
        return await latest_version(self.database), keys + str(await keys_now(self.database.lookup) or "")

    async def latest(self) -> Offer | None:
        """The newest published snapshot with the keys of this moment."""
        keys = await self.keys()
        async with self.database.read() as session:
            published = await latest_published(session)
        others = await keys_now(self.database.lookup)
        known, digest = (self.empty, "") if published is None else (published.snapshot, published.digest)
        snapshot = self.completed(known, others)
        mark = (0 if published is None else snapshot.version, keys + str(others or ""))
        return Offer(snapshot, keys, digest, mark, self.revocation)

    async def last_good(self) -> Offer | None:
        """The newest that this proxy took."""
        async with self.database.read() as session:
            good = await last_acked(session, self.proxy)
        if good is None:
            return None
        snapshot = self.completed(good.snapshot, await keys_now(self.database.lookup))
        return Offer(snapshot, "", good.digest, (snapshot.version, ""))

    def completed(self, snapshot: Snapshot, others: Mapping[str, str]) -> Snapshot:
        """A published snapshot with what is not published but of this moment."""
        known = with_keys(snapshot, others)
        limits = replace(known.limits, legacy_headers=known.limits.legacy_headers or self.legacy_headers)
        return replace(
            known,
            addresses=self.addresses,
            trusted_proxies=self.trusted_proxies,
            certificate_header=self.certificate_header,
            bots=self.bots,
            limits=limits,
        )

    async def record(self, said: Delivery, *, now: datetime) -> None:
        """Keep it beside the version."""
        async with self.database.write() as session:
            await record_delivery(session, said, now=now)
