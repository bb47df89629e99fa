"""Reads the access log of one gateway into the store, and turns the file over before it grows large.

The position is kept after the rows are; what a crash makes read again is recognised by its place and counted once. The
file is turned over by renaming: Envoy goes on writing to the renamed file until it is asked to open its logs again, so
the renamed one is read to its end, a while longer than Envoy holds lines back, and then deleted. When nobody could read
for long, or the store takes nothing, the oldest unread files are given up rather than the disk filled.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from prometheus_client import Counter

from kronborg.core.log import get_logger
from kronborg.traffic.row_model import LONGEST_LINE, Row, rows_of
from kronborg.traffic.search_model import RecordStore

log = get_logger("kronborg.traffic.reader")

read_records = Counter("kronborg_traffic_records", "Access records stored", ("node",))
broken_lines = Counter("kronborg_traffic_broken_lines", "Lines of the access log that are no records", ("node",))
given_up = Counter("kronborg_traffic_lost_bytes", "Bytes of the access log given up unread", ("node",))

BATCH = 500
"""Lines that are parsed in one turn of the event loop: under 2 ms."""
GATHER = 20
"""Batches that are stored together at most."""
POLL_SECONDS = 0.5
_CHUNK = 1 << 20
_SETTLE_SECONDS = 3.0
"""How long a renamed file must have been silent before it goes: longer than Envoy holds lines back."""

Reopen = Callable[[], Awaitable[None]]
"""Asks the proxy to open its logs again."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a file is turned over, and how much unread may lie on the disk."""

    turn_bytes: int = 64 * 1024 * 1024
    most_bytes: int = 1024 * 1024 * 1024


@dataclass(slots=True)
class LogReader:
    """Follows `path`. Renamed files stand beside it as `access.log.<number>`."""

    path: Path
    node: str
    store: RecordStore
    reopen: Reopen
    bounds: Bounds = field(default_factory=Bounds)
    counted: Callable[[list[Row]], None] = lambda rows: None
    _offsets: dict[int, int] = field(default_factory=dict, init=False)
    _silent_since: dict[int, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        # A counter that is there from the start can be alerted on.
        for counter in (read_records, broken_lines, given_up):
            counter.labels(self.node)

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set, then once more. What fails is tried again."""
        self._offsets = _load(self._position)
        while not stop.is_set():
            await self._try()
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue
        await self._try()

    async def turn(self) -> int:
        """Read what is there now; how many records were new."""
        if not self._offsets:
            self._offsets = _load(self._position)
        self._bound()
        stored = 0
        for file in self._files():
            stored += await self._read(file)
        await self._turn_over()
        return stored

    def unread(self) -> int:
        """Bytes of the log that are not stored yet."""
        standing = [_standing(file) for file in self._files()]
        return sum(max(0, size - self._offsets.get(inode, 0)) for inode, size in standing)

    async def _try(self) -> None:
        try:
            await self.turn()
        except Exception:  # the edge of a process: the next turn tries again
            log.exception("traffic_not_read", node=self.node)

    @property
    def _position(self) -> Path:
        return self.path.with_suffix(".position")

    def _files(self) -> list[Path]:
        """Renamed files by age, then the one in use."""
        renamed = [one for one in self.path.parent.glob(f"{self.path.name}.*") if one.suffix[1:].isdecimal()]
        return [*sorted(renamed, key=lambda one: int(one.suffix[1:])), *([self.path] if self.path.exists() else [])]

    async def _read(self, file: Path) -> int:
        """From the known position to the end; a renamed file that is silent for long enough goes."""
        stored = 0
        while True:
            inode, size = _standing(file)  # each time: it grows while it is read
            offset = self._offsets.get(inode, 0)
            if size < offset:
                offset = 0  # somebody cut it
            rows, end = await self._gather(file, offset)
            if end == offset:
                break
            if rows:
                new = await asyncio.to_thread(self.store.write, rows)
                stored += new
                read_records.labels(self.node).inc(new)
                self.counted(rows)
            self._offsets[inode] = end
            self._silent_since.pop(inode, None)
            await asyncio.to_thread(_save, self._position, self._offsets)
        if file != self.path:
            self._retire(file, inode)
        return stored

    async def _gather(self, file: Path, offset: int) -> tuple[list[Row], int]:
        """Some batches of rows from `offset` on, and where they end."""
        rows: list[Row] = []
        for _ in range(GATHER):
            lines, end = await asyncio.to_thread(_lines, file, offset)
            if end == offset:
                break
            for start in range(0, len(lines), BATCH):
                found, broken = rows_of(lines[start : start + BATCH], self.node)
                rows += found
                broken_lines.labels(self.node).inc(broken)
                await asyncio.sleep(0)
            offset = end
            if len(rows) >= GATHER * BATCH:
                break
        return rows, offset

    async def _turn_over(self) -> None:
        """Rename the file in use when it is large, and have Envoy begin a new one."""
        if not self.path.exists() or self.path.stat().st_size < self.bounds.turn_bytes:
            return
        numbers = [int(one.suffix[1:]) for one in self._files() if one != self.path]
        self.path.rename(self.path.with_name(f"{self.path.name}.{max(numbers, default=0) + 1}"))
        await self.reopen()

    def _retire(self, file: Path, inode: int) -> None:
        now = asyncio.get_running_loop().time()
        since = self._silent_since.setdefault(inode, now)
        # While Envoy has not opened a new file it still writes to this one.
        if self.path.exists() and now - since >= _SETTLE_SECONDS:
            file.unlink()
            self._offsets.pop(inode, None)
            self._silent_since.pop(inode, None)

    def _bound(self) -> None:
        """Give up the oldest renamed files while all together are too much."""
        files = self._files()
        sizes = {file: file.stat().st_size for file in files}
        for file in files[:-1]:
            if sum(sizes.values()) <= self.bounds.most_bytes:
                return
            inode = file.stat().st_ino
            lost = sizes.pop(file) - self._offsets.pop(inode, 0)
            given_up.labels(self.node).inc(max(lost, 0))
            log.error("traffic_given_up", node=self.node, bytes=lost)
            file.unlink()


def _standing(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_ino, found.st_size


def _lines(file: Path, offset: int) -> tuple[list[bytes], int]:
    """Whole lines from `offset` on, and where they end. What never ends as a line is passed over."""
    with file.open("rb") as opened:
        opened.seek(offset)
        chunk = opened.read(_CHUNK)
    last = chunk.rfind(b"\n")
    if last < 0:
        return [], offset + len(chunk) if len(chunk) > LONGEST_LINE else offset
    return chunk[:last].split(b"\n"), offset + last + 1


def _load(position: Path) -> dict[int, int]:
    try:
        found = orjson.loads(position.read_bytes())
        return {int(inode): int(offset) for inode, offset in found.items()}
    except (FileNotFoundError, ValueError, AttributeError, TypeError):
        return {}


def _save(position: Path, offsets: dict[int, int]) -> None:
    fresh = position.with_suffix(".position.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(orjson.dumps({str(inode): offset for inode, offset in offsets.items()}))
    fresh.replace(position)
