"""Clients and APIs as this process last saw them: what the hot path reads instead of the database.

An entry lives for `FRESH`; that bounds how long another process may still serve a client that was just disabled. In the
process that makes a change, `changed()` runs after the commit and empties every directory at once; the verbs of
`register` see to that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from kronborg.clients import dynamic_store, store
from kronborg.clients.admission import NOBODY, Admission
from kronborg.clients.model import Api, Client
from kronborg.clients.profiles import contradiction, hardened
from kronborg.clients.settings import Profile
from kronborg.core.db import Database
from kronborg.core.log import get_logger

log = get_logger("kronborg.clients")

FRESH = timedelta(milliseconds=500)
SELDOM = timedelta(seconds=30)
MAX_CLIENTS = 4096
NOTED = timedelta(hours=1)


class _Generation:
    """Counts the changes made in this process."""

    number = 0


def changed() -> None:
    """Clients or APIs were changed in this process, and the change is committed."""
    _Generation.number += 1


@dataclass(frozen=True, slots=True)
class Apis:
    """All APIs of the installation, by audience and by scope."""

    by_audience: dict[str, Api]
    by_scope: dict[str, Api]
    web_origins: frozenset[str]
    """The origins that any client registered for calls from a browser."""


class Documents(Protocol):
    """Makes clients of metadata documents: `MetadataDocuments.client`, which stands above this module."""

    async def __call__(self, client_id: str, scopes: Collection[str], *, now: datetime) -> Client | None: ...


class Directory:
    """One per process and database; for use from one event loop. `profile` is that of the installation."""

    def __init__(
        self,
        database: Database,
        profile: Profile = "none",
        *,
        admission: Admission = NOBODY,
        documents: Documents | None = None,
    ) -> None:
        self._database = database
        self.admission = admission
        self._documents = documents
        self._used: dict[str, datetime] = {}
        self._profile: Profile = profile
        self._told: set[str] = set()
        self._generation = _Generation.number
        self._clients: dict[str, tuple[Client, datetime]] = {}
        self._apis: tuple[Apis, datetime] | None = None
        self._opt_ins: tuple[tuple[frozenset[str], frozenset[str]], datetime] | None = None

    async def client(self, client_id: str, *, now: datetime) -> Client | None:
        """The client as its profiles make it, at most `FRESH` old, disabled or not; None when there is none."""
        self._forget_what_changed()
        known = self._clients.get(client_id)
        if known is not None and abs(now - known[1]) < FRESH:
            return known[0]
        generation = _Generation.number
        client = await self._read(client_id, now=now)
        if client is not None and (self._profile != "none" or client.settings.profile != "none"):
            client = self._held(client)
        if client is None:
            self._clients.pop(client_id, None)
        elif generation == _Generation.number:
            if len(self._clients) >= MAX_CLIENTS:
                self._clients.clear()
            self._clients[client_id] = (client, now)
        return client

    async def stored(self, client_id: str, *, now: datetime) -> Client | None:
        """The client as it is stored, for a page that shows it: no document is fetched."""
        if client_id in self._clients:
            return await self.client(client_id, now=now)
        return await store.read_client(self._database.lookup, client_id)

    async def note_use(self, client: Client, *, now: datetime) -> None:
        """Somebody used a client that goes when nobody does: stored at most every hour."""
        before = self._used.get(client.id)
        if before is not None and abs(now - before) < NOTED:
            return
        if len(self._used) >= MAX_CLIENTS:
            self._used.clear()
        self._used[client.id] = now
        await self._database.writer.run(lambda execute: dynamic_store.mark_used(execute, client.id, now=now))

    async def _read(self, client_id: str, *, now: datetime) -> Client | None:
        # The id of a metadata document is a URL, and no other client's is.
        if not client_id.startswith("https:"):
            return await store.read_client(self._database.lookup, client_id)
        if self._documents is None:
            return None
        apis = await self.apis(now=now)
        return await self._documents(client_id, apis.by_scope, now=now)

    async def apis(self, *, now: datetime) -> Apis:
        """Every API, at most `FRESH` old."""
        self._forget_what_changed()
        if self._apis is not None and abs(now - self._apis[1]) < FRESH:
            return self._apis[0]
        generation = _Generation.number
        apis = await store.read_apis(self._database.lookup)
        origins = await store.read_web_origins(self._database.lookup)
        known = Apis(
            {api.audience: api for api in apis}, {scope.name: api for api in apis for scope in api.scopes}, origins
        )
        if generation == _Generation.number:
            self._apis = (known, now)
        return known

    async def opt_ins(self, *, now: datetime) -> tuple[frozenset[str], frozenset[str]]:
        """The grants and response types of clients that registered more than the usual ones, at most `SELDOM` old."""
        self._forget_what_changed()
        if self._opt_ins is None or abs(now - self._opt_ins[1]) >= SELDOM:
            self._opt_ins = (await store.read_opt_ins(self._database.lookup), now)
        return self._opt_ins[0]

    def _held(self, client: Client) -> Client:
        clause = contradiction(client, self._profile)
        if clause is not None and client.id not in self._told and len(self._told) < MAX_CLIENTS:
            self._told.add(client.id)
            log.warning("client_refused_by_profile", client_id=client.id, clause=clause)
        return hardened(client, self._profile)

    def forget(self) -> None:
        """Read everything again at its next use."""
        self._clients.clear()
        self._apis = self._opt_ins = None

    def _forget_what_changed(self) -> None:
        if self._generation != _Generation.number:
            self._generation = _Generation.number
            self.forget()
