"""One look at the newest offer for many who wait for it: gateways elsewhere ask, and are answered when it changes."""

from __future__ import annotations

import asyncio
import hashlib

import orjson

from kronborg.core.log import get_logger
from kronborg.core.values import freeze
from kronborg.core.values import thaw as thaw_value
from kronborg.gateway.revocation_model import RevocationPolicy
from kronborg.gateway.snapshot import encode, thaw
from kronborg.gateway.source import Offer, Source

log = get_logger("kronborg.gateway.watch")

POLL_SECONDS = 0.2


class Watch:
    """Asks its source a few times a second, however many wait."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._seen: tuple[int, str] | None = None
        self._body: bytes | None = None
        self._mark = ""
        self._changed = asyncio.Condition()

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop` is set. A database that is away is met by looking again."""
        while not stop.is_set():
            try:
                await self._look()
            except Exception:  # the edge of a process: the next turn tries again
                log.exception("offer_not_read")
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue
        async with self._changed:
            self._changed.notify_all()

    async def newer_than(self, mark: str, *, seconds: float) -> tuple[str, bytes] | None:
        """The mark and the body of the newest offer, as soon as its mark is another; None when it stays the same."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self._body is not None and self._mark != mark)
        except TimeoutError:
            return None
        return None if self._body is None else (self._mark, self._body)

    async def _look(self) -> None:
        seen = await self._source.mark()
        if seen is None or seen == self._seen:
            return
        offer = await self._source.latest()
        if offer is None:
            return
        body = await asyncio.to_thread(write_offer, offer)
        async with self._changed:
            self._seen, self._body, self._mark = offer.mark, body, mark_of(body)
            self._changed.notify_all()


def write_offer(offer: Offer) -> bytes:
    """An offer as JSON: what a gateway elsewhere gets, and keeps on its disk."""
    told = {"version": offer.snapshot.version, "digest": offer.digest, "keys": offer.keys}
    policy = None if offer.revocation is None else freeze(offer.revocation)
    head = orjson.dumps({**told, "revocation": policy})
    return head[:-1] + b',"snapshot":' + encode(offer.snapshot) + b"}"


def read_offer(body: bytes) -> Offer:
    """The offer that `write_offer` made this of. Raises `ValueError`."""
    plain = orjson.loads(body)
    try:
        version, digest, keys = plain["version"], plain["digest"], plain["keys"]
        if not (isinstance(version, int) and isinstance(digest, str) and isinstance(keys, str)):
            raise ValueError("an offer is not as written")
        snapshot = thaw(orjson.dumps(plain["snapshot"]), version=version)
        told = plain.get("revocation")
        policy = None if told is None else thaw_value(RevocationPolicy, told)
        return Offer(snapshot, keys, digest, (version, mark_of(body)), policy)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("an offer is not as written") from error


def mark_of(body: bytes) -> str:
    """SHA-256 of an offer as it is sent, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()
