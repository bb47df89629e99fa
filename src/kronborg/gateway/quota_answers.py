"""Calls of gateways about quotas: numbered, so that each counts once, and answered in files where nobody waits.

A worker of the proxy numbers its calls. One that it makes again, since the answer did not reach it, gets the answer of
the first. An answer that no request waits for is left in a folder, where that worker takes it up and removes it.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kronborg.limits.counters_model import Away

TELL = b"x-kronborg-tell"
"""The request header that says whose call this is, which one, and where the answer goes."""

MOST_WORKERS = 256
MOST_ANSWERS = 512
"""Of one worker: more than it has under way."""
MOST_FILES = 4096

_TELL = re.compile(r"([0-9a-f]{16})-([1-9][0-9]{0,15})(-file)?", re.ASCII)

Settle = Callable[[bytes, datetime, str], Awaitable[bytes]]
"""Counts what a call tells; its body, the moment, and the node it comes from, which is empty for this machine's."""


@dataclass(frozen=True, slots=True)
class Tell:
    """One call of a worker. `by_file`: nobody waits for its answer."""

    worker: str
    number: int
    by_file: bool

    @classmethod
    def parse(cls, text: str) -> Tell | None:
        """What the header says; None when it says nothing that a gateway of ours would."""
        found = _TELL.fullmatch(text)
        return None if found is None else cls(found[1], int(found[2]), found[3] is not None)


class Once:
    """Counts each call once, however often it is made. In memory: a control process that starts forgets."""

    def __init__(self, settle: Settle) -> None:
        self._settle = settle
        self._told: OrderedDict[tuple[str, str], OrderedDict[int, bytes]] = OrderedDict()
        self._running: set[tuple[str, str, int]] = set()

    async def settle(self, tell: Tell, body: bytes, *, now: datetime, node: str = "") -> bytes:
        """The answer to a call. Raises `Away` while the same call is being counted, and what `settle` raises."""
        told = self._told.setdefault((node, tell.worker), OrderedDict())
        self._told.move_to_end((node, tell.worker))
        while len(self._told) > MOST_WORKERS:
            self._told.popitem(last=False)
        if tell.number in told:
            return told[tell.number]
        running = (node, tell.worker, tell.number)
        if running in self._running:
            raise Away("this call is being counted")
        self._running.add(running)
        try:
            told[tell.number] = answer = await self._settle(body, now, node)
        finally:
            self._running.discard(running)
        while len(told) > MOST_ANSWERS:
            told.popitem(last=False)
        return answer


class Answers:
    """The folder of one gateway's answers. What nobody takes up goes when there are many."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._left = deque(sorted(one.name for one in folder.iterdir()))

    def leave(self, tell: Tell, answer: bytes) -> None:
        """Put an answer where its worker looks for it, whole or not at all."""
        name = f"{tell.worker}-{tell.number}"
        fresh = self._folder / f"{name}.new"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, answer)
        finally:
            os.close(handle)
        fresh.replace(self._folder / name)
        self._left.append(name)
        while len(self._left) > MOST_FILES:
            (self._folder / self._left.popleft()).unlink(missing_ok=True)
