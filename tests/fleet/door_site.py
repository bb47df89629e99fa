"""The door of the control plane on a real port over mutual TLS, with a clock of its own, and gateways that joined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import orjson
from starlette.types import Receive, Scope, Send

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.tls import ServerContext, TlsListener
from kronborg.fleet import nodes
from kronborg.fleet.authority import Authority, open_authority
from kronborg.fleet.door_api import Door, answer
from kronborg.fleet.link import EdgeSettings, Link, join, write_private
from kronborg.fleet.nodes import JoinToken
from kronborg.fleet_listener import records_into
from kronborg.gateway.model import Delivery, Snapshot
from kronborg.gateway.source import DatabaseSource
from kronborg.gateway.store import record_delivery
from kronborg.gateway.watch import Watch
from kronborg.server import serve
from kronborg.traffic.sqlite_store import SqliteTraffic
from ports import free_port

SECRET = "s" * 40


@dataclass
class Site:
    """A door on a real port; `now` is what its clock says, `traffic` where it keeps records."""

    database: Database
    vault: Vault
    authority: Authority
    url: str
    folder: Path
    now: datetime
    traffic: SqliteTraffic

    async def token(self, name: str = "berlin", **more: timedelta) -> JoinToken:
        return await nodes.invite(
            self.database, self.vault, self.authority, name, url=self.url, actor="t", now=self.now, **more
        )

    async def joined(self, name: str = "berlin") -> Link:
        data = self.folder / name
        await join(await self.token(name), data, EdgeSettings("", ""))
        return Link(data)


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what it was shown."""
    shown = {name.decode(): value.decode() for name, value in scope["headers"]}
    await answer(send, 200, orjson.dumps({"body": (await receive())["body"].decode(), **shown}))


@asynccontextmanager
async def door_site(database: Database, vault: Vault, folder: Path) -> AsyncIterator[Site]:
    now = datetime.now().astimezone()
    authority = await open_authority(database, vault, now=now)
    port = free_port()
    traffic = SqliteTraffic(folder / "traffic")
    made = Site(database, vault, authority, f"https://127.0.0.1:{port}", folder, now, traffic)
    issued, key = authority.serve(made.url, now=now)
    for name, content in (("ca", authority.pem), ("cert", issued.certificate), ("key", key)):
        write_private(folder / name, content)
    listener = TlsListener("127.0.0.1", port, str(folder / "cert"), str(folder / "key"))
    context = ServerContext(listener, authorities=str(folder / "ca"), ask=True).context

    async def keys() -> str:
        return '{"keys":[]}'

    async def deliver(said: Delivery, now: datetime) -> None:
        async with database.write() as session:
            await record_delivery(session, said, now=now)

    def clock() -> datetime:
        return made.now

    watch = Watch(DatabaseSource(database, keys, Snapshot("http://localhost:8081"), "gateway-1"))
    records = records_into(traffic)
    door = Door(database, vault, authority, watch, inner, SECRET, clock, records=records, deliver=deliver)
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(door, host="127.0.0.1", port=port, stop=stop, tls=context))
    watching = asyncio.create_task(watch.run(stop))
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            break
        except OSError:
            await asyncio.sleep(0.01)
    try:
        yield made
    finally:
        stop.set()
        await asyncio.gather(serving, watching)
        traffic.close()
