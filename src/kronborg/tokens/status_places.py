"""Places in token status lists: one for each JWT of the APIs that ask for it.

A process takes places in blocks, so that issuing waits for nobody. Which index a place has is a permutation that only
the vault knows, so that an index tells neither when nor by which process a token was issued.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from kronborg.clients.model import MAX_TOKEN_LIFETIME
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.group_writer import Execute
from kronborg.core.ids import new_id
from kronborg.core.json import JsonObject
from kronborg.tokens import status_store as store
from kronborg.tokens.model import Access
from kronborg.tokens.status_store import Block

CAPACITY = 1 << 16
"""Places of a list. Many tokens in one list keep from its reader which of them they ask about."""
BLOCK = 256
OPEN_FOR = timedelta(hours=24)
"""For so long a list gives places; it is served until the last token in it has expired."""
PERMUTATION = "status-list"
_ROUNDS = 6


def uri_of(issuer: str, list_id: str) -> str:
    """What a list is called, and where it is found."""
    return f"{issuer}/oauth/status-lists/{list_id}"


class Places:
    """The places that this process has taken and not yet given; for use from one event loop."""

    def __init__(self) -> None:
        self._block: Block | None = None
        self._given = 0
        self._key = b""
        self._taking = asyncio.Lock()

    async def give(self, database: Database, vault: Vault, issuer: str, access: Access, *, now: datetime) -> Access:
        """The token with its place, which is committed: one row more than a JWT needs otherwise."""
        list_id, idx = await self._next(database, vault, now=now)

        def unit(execute: Execute) -> None:
            store.add_status(execute, list_id, idx, access)

        await database.writer.run(unit)
        # draft-ietf-oauth-status-list §6.2: the reference in the token.
        status: JsonObject = {"status_list": {"idx": idx, "uri": uri_of(issuer, list_id)}}
        return replace(access, claims={**access.claims, "status": status})

    async def _next(self, database: Database, vault: Vault, *, now: datetime) -> tuple[str, int]:
        async with self._taking:
            block = self._block
            if block is None or self._given == block.count or now - block.opened_at >= OPEN_FOR:
                block = self._block = await _take_block(database, now=now)
                self._given, self._key = 0, vault.digest(block.list_id, context=PERMUTATION)
            number = block.first + self._given
            self._given += 1
        return block.list_id, permuted(number, self._key)


async def _take_block(database: Database, *, now: datetime) -> Block:
    """The next places of the list that is open, or the first of a new one. Committed, so nobody else has them."""
    list_id = new_id()

    def unit(execute: Execute) -> Block:
        block = store.claim_block(execute, size=BLOCK, capacity=CAPACITY, opened_after=now - OPEN_FOR)
        expires_at = now + OPEN_FOR + MAX_TOKEN_LIFETIME
        return block or store.open_list(execute, list_id, size=BLOCK, now=now, expires_at=expires_at)

    return await database.writer.run(unit)


def permuted(number: int, key: bytes) -> int:
    """Another number below `CAPACITY` for each number below it: a Feistel network over its two octets."""
    left, right = number >> 8, number & 0xFF
    for turn in range(_ROUNDS):
        mixed = hashlib.blake2b(bytes((turn, right)), key=key, digest_size=1).digest()[0]
        left, right = right, left ^ mixed
    return left << 8 | right
