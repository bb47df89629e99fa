"""Where gateways on other machines call: plain ASGI behind TLS that asks for a certificate of the fleet.

    GET  /authority      the authority's certificate; open: who joins compares its fingerprint
    POST /join           an invitation and a certificate request for a certificate; open: the invitation counts
    POST /renew          a certificate request for the next certificate
    GET  /config         the newest snapshot and signing keys, as soon as they are others than `?have=`
    POST /standing       what the gateway says about itself
    POST /records        access records; each counts once, however often it is sent
    GET  /revocations    what was revoked since `?after=`
    GET  /resilience     orders for breakers, and the endpoints that services announced
    POST /breakers       where a breaker of the gateway stands now
    GET  /.well-known/acme-challenge/…  what an ACME server asked the gateway
    POST /exchange …     what the gateway's proxy asks, answered as for the proxy of this machine

Everything but the first two needs the certificate of a node; which node it is, the certificate says and nothing else.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qs

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from kronborg.core.client_certificate import certificates_of
from kronborg.core.crypto import Vault
from kronborg.core.db import Database, to_micros
from kronborg.core.errors import Conflict, Invalid, Refusal
from kronborg.core.log import get_logger
from kronborg.fleet import nodes
from kronborg.fleet.authority import LARGEST_REQUEST, Authority
from kronborg.fleet.model import WAIT_SECONDS, Node, Standing
from kronborg.fleet.nodes import NotOfTheFleet
from kronborg.fleet.report_model import LARGEST, decode
from kronborg.fleet.resilience import take_stand, write_known
from kronborg.fleet.revocations import write_page
from kronborg.gateway.certificate_endpoint import PATH as CERTIFICATE_PATH
from kronborg.gateway.guard_model import LARGEST as LARGEST_QUESTION
from kronborg.gateway.guard_model import PATH as GUARD_PATH
from kronborg.gateway.listener_model import ACME_PATH
from kronborg.gateway.model import Delivery
from kronborg.gateway.quota_endpoint import PATH as QUOTA_PATH
from kronborg.gateway.source import DeliveryRecord
from kronborg.gateway.store import latest_version
from kronborg.gateway.watch import Watch
from kronborg.tokens.feed import Page

log = get_logger("kronborg.fleet.door")

RELAYED = ("/exchange", QUOTA_PATH, "/binding", CERTIFICATE_PATH, GUARD_PATH)
"""What a gateway's proxy may ask through its node."""
LARGEST_RELAYED = 64 * 1024
"""Bytes of a question; those of the guard hold the body of a request."""


def largest(path: str) -> int:
    """How large a question at this path may be."""
    return LARGEST_QUESTION if path == GUARD_PATH else LARGEST_RELAYED


LARGEST_RECORDS = 4 * 1024 * 1024
SECRET = b"x-kronborg-exchange"
NODE = b"x-kronborg-node"

Records = Callable[[str, bytes, datetime], Awaitable[None]]
"""Keeps the access records that a node brings at a moment; raises `ValueError` for what is none."""
Feed = Callable[[int], Awaitable[Page]]
"""Reads the revocations after a number; waits a moment when there are none yet."""


class TooLarge(Refusal):
    """A body beyond its bound."""


@dataclass(frozen=True, slots=True)
class Door:
    """The door. `inner` is what answers the proxy of this machine, which shows `secret`."""

    database: Database
    vault: Vault
    authority: Authority
    watch: Watch
    inner: ASGIApp
    secret: str
    clock: Callable[[], datetime]
    records: Records | None = None
    feed: Feed | None = None
    deliver: DeliveryRecord | None = None
    told: dict[str, Delivery] = field(default_factory=dict)
    """What each node said last to a version."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            await self._answer(scope, receive, send)
        except NotOfTheFleet:
            log.warning("stranger_refused", path=scope["path"] if scope["path"] in _KNOWN else "")
            await answer(send, 403)
        except TooLarge:
            await answer(send, 413)
        except (Invalid, ValueError):
            await answer(send, 422)
        except Conflict:
            await answer(send, 409)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = f"{scope['method']} {scope['path']}"
        if asked == "GET /authority":
            await answer(send, 200, self.authority.pem)
            return
        if asked == "POST /join":
            await self._join(receive, send)
            return
        own = certificates_of(scope)
        node, shown = await nodes.recognise(self.database, own[0] if own else None, now=self.clock())
        match asked:
            case "POST /renew":
                await self._renew(node, shown, receive, send)
            case "GET /config":
                await self._config(node, scope, send)
            case "POST /standing":
                await self._standing(node, receive, send)
            case "POST /records" if self.records is not None:
                await self.records(node.name, await body_of(receive, LARGEST_RECORDS), self.clock())
                await answer(send, 204)
            case "GET /resilience":
                await answer(send, 200, await write_known(self.database, now=self.clock()))
            case "POST /breakers":
                body = await body_of(receive, LARGEST)
                await take_stand(self.database, node.name, body, now=self.clock())
                await answer(send, 204)
            case "GET /revocations":
                await self._revocations(node, scope, send)
            case _ if scope["method"] == "POST" and scope["path"] in RELAYED:
                await self._relay(node, scope, receive, send)
            case _ if scope["method"] == "GET" and scope["path"].startswith(ACME_PATH):
                await self._relay(node, scope, receive, send)
            case _:
                await answer(send, 404)

    async def _join(self, receive: Receive, send: Send) -> None:
        secret, _, request = (await body_of(receive, LARGEST_REQUEST)).partition(b"\n")
        text = secret.decode() if secret.isascii() else ""
        node, issued = await nodes.join(self.database, self.vault, self.authority, text, request, now=self.clock())
        log.info("joined", node=node.name)
        told = {
            "name": node.name,
            "certificate": issued.certificate.decode(),
            "expires_at": to_micros(issued.expires_at),
        }
        await answer(send, 200, orjson.dumps(told))

    async def _renew(self, node: Node, shown: str, receive: Receive, send: Send) -> None:
        request = await body_of(receive, LARGEST_REQUEST)
        issued = await nodes.renew(self.database, self.authority, node, shown, request, now=self.clock())
        await answer(send, 200, issued.certificate)

    async def _config(self, node: Node, scope: Scope, send: Send) -> None:
        found = await self.watch.newer_than(_asked(scope, "have"), seconds=WAIT_SECONDS)
        # A node that was removed while it waited is told nothing any more.
        await self._again(node, scope)
        if found is None:
            await answer(send, 204)
            return
        mark, body = found
        if b"PRIVATE KEY-----" in body:
            log.error("offer_holds_a_private_key")
            await answer(send, 503)
            return
        await answer(send, 200, body, (b"etag", mark.encode()))

    async def _revocations(self, node: Node, scope: Scope, send: Send) -> None:
        after = _asked(scope, "after")
        if self.feed is None or not _NUMBER.fullmatch(after):
            await answer(send, 404)
            return
        page = await self.feed(int(after))
        await self._again(node, scope)
        await answer(send, 200, write_page(page))

    async def _again(self, node: Node, scope: Scope) -> None:
        found, _ = await nodes.recognise(self.database, certificates_of(scope)[0], now=self.clock())
        if found.id != node.id:
            raise NotOfTheFleet

    async def _standing(self, node: Node, receive: Receive, send: Send) -> None:
        standing = decode(await body_of(receive, LARGEST))
        now = self.clock()
        await nodes.report(self.database, node, standing, now=now)
        await self._record(node, standing, now=now)
        await answer(send, 200, orjson.dumps({"at": to_micros(now)}))

    async def _record(self, node: Node, standing: Standing, *, now: datetime) -> None:
        """What it says to a version is kept beside those of the other proxies, once; only to one that there was."""
        if self.deliver is None or standing.took == "none":
            return
        if not 0 < standing.offered <= await latest_version(self.database):
            return
        said = Delivery(node.name, standing.offered, standing.took, standing.reason)
        if self.told.get(node.id) == said:
            return
        await self.deliver(said, now)
        self.told[node.id] = said

    async def _relay(self, node: Node, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask what answers our own proxy. Which node asks is told by us: what it says about that itself is left out."""
        body = await body_of(receive, largest(scope["path"]))
        headers = [(name, value) for name, value in scope["headers"] if name not in (SECRET, NODE)]
        headers += [(SECRET, self.secret.encode()), (NODE, node.name.encode())]
        sent = False

        async def once() -> dict[str, object]:
            nonlocal sent
            if sent:
                await asyncio.Event().wait()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.inner({**scope, "headers": headers, "query_string": b""}, once, send)


_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
_KNOWN = frozenset({"/authority", "/join", "/renew", "/config", "/standing", "/records", "/revocations", *RELAYED})


async def body_of(receive: Receive, most: int) -> bytes:
    """The whole body. Raises `TooLarge`."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise TooLarge("the caller went away")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise TooLarge("the body is too large")
    return body


async def answer(send: Send, status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> None:
    """A whole answer that nobody keeps."""
    length = (b"content-length", str(len(body)).encode())
    shown = [length, (b"cache-control", b"no-store"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": shown})
    await send({"type": "http.response.body", "body": body})


def _asked(scope: Scope, name: str) -> str:
    """One parameter of the query, bounded; empty when it is not there."""
    query = scope.get("query_string", b"")[:1000].decode("ascii", errors="ignore")
    found: str = (parse_qs(query).get(name) or [""])[0]
    return found[:200]
