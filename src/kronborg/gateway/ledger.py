"""The ledger: what one gateway is to refuse, in a file that its Envoy reads on from (`filters/parts/ledger.lua`).

One process writes it, a line at a time, and nobody ever changes a line: what is new is appended, and once in a while
the file is replaced whole by one of another generation that holds only what still matters. So a reader needs no lock:
it keeps a position, and begins anew when the generation is another.

    kronborg-ledger 1 <generation>
    <kind> <until> <not before, or 0> <subject>      t token  g grant  s session  c client  u user  k key (seconds)
    a <until> 0 <network>                            a blocked address (seconds); the last line of a network counts
    d <until> 0 <key>                                a denial (milliseconds); the last line of a key counts
    h <now> <after> -                                as of this millisecond, all of the feed up to this number is here

Subjects are percent-encoded, so none of them can end a line or look like another field.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from kronborg.tokens.feed import Page
from kronborg.tokens.feed_store import Kind, Revocation

NAME: Final = "kronborg-ledger 1"
MARGIN = timedelta(hours=1)
"""How long an entry is kept after it is over, so that a clock that jumped ahead and back loses none."""
MOST_DENIALS = 200_000

_LETTERS: dict[Kind, str] = {
    "token": "t",
    "grant": "g",
    "session": "s",
    "client": "c",
    "user": "u",
    "key": "k",
    "address": "a",
}
_LINE = re.compile(r"([tgscukadh]) (\d{1,16}) (\d{1,16}) (\S{1,12288})")
_HEAD = re.compile(rf"{NAME} [0-9a-f]{{16}}")
_DENIAL = "d"
_ADDRESS = "a"
_BEAT = "h"
_FEWEST_LINES = 4096


class LedgerHeld(Exception):
    """Another process writes this ledger."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is said of one subject. In whole seconds, and of a denial `until` in milliseconds."""

    until: int
    not_before: int = 0


class Ledger:
    """One gateway's ledger, open for writing by this process alone, one thread at a time. Times are told."""

    def __init__(self, path: Path, lock: int) -> None:
        self._path, self._lock = path, lock
        self._marks: dict[tuple[str, str], Mark] = {}
        self._lines = self._beat = self._denials = self.after = 0
        self._file: int | None = None
        self._damaged = False

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """Take the ledger over, with what it holds. Raises `LedgerHeld`."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise LedgerHeld("another process writes this ledger") from error
        ledger = cls(path, lock)
        ledger._read()
        # A new generation at once: whatever a killed process left half written is gone from it.
        ledger._replace()
        return ledger

    def __len__(self) -> int:
        """How many subjects are refused."""
        return len(self._marks)

    @property
    def read_at(self) -> datetime | None:
        """When the feed was last read; None before the first time."""
        return None if self._beat == 0 else datetime.fromtimestamp(self._beat / 1000, UTC)

    def apply(self, page: Page, *, now: datetime) -> None:
        """Take in part of the feed, and say that it was read at `now`."""
        if page.reset:
            # Whatever the entries below were, the page and those after it are everything that still counts.
            self._marks = {key: mark for key, mark in self._marks.items() if key[0] == _DENIAL}
        written = [self._take(*_entry(one)) for one in page.entries]
        self.after, self._beat = page.last, _millis(now)
        if page.reset or self._lines + len(written) > max(_FEWEST_LINES, 2 * len(self._marks)):
            self._forget(now)
            self._replace()
            return
        self._append([*written, self._heartbeat()])

    @property
    def blocked_file(self) -> Path:
        """Where the gateway reads which addresses are blocked."""
        return self._path.parent.parent / "blocked" / "blocked.json"

    def blocked(self, now: datetime) -> tuple[str, ...]:
        """The addresses and networks that are blocked at this moment."""
        return tuple(
            sorted(
                subject
                for (letter, subject), mark in self._marks.items()
                if letter == _ADDRESS and mark.until > now.timestamp()
            )
        )

    def deny(self, key: str, until: datetime) -> None:
        """Refuse what counts under `key` until then; a moment that is past lifts an earlier denial."""
        mark = Mark(_millis(until))
        known = self._marks.get((_DENIAL, key))
        if known == mark or (known is None and self._denials >= MOST_DENIALS):
            return
        self._append([self._take(_DENIAL, key, mark)])

    def close(self) -> None:
        """Let go of the ledger; its file stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        os.close(self._lock)

    def _take(self, letter: str, subject: str, mark: Mark) -> str:
        known = self._marks.get((letter, subject))
        if letter not in (_DENIAL, _ADDRESS) and known is not None:
            # The wider of the two: no `not_before` means tokens of any age.
            widest = 0 if 0 in (known.not_before, mark.not_before) else max(known.not_before, mark.not_before)
            mark = Mark(max(known.until, mark.until), widest)
        elif known is None and letter == _DENIAL:
            self._denials += 1
        self._marks[letter, subject] = mark
        return _line(letter, subject, mark)

    def _heartbeat(self) -> str:
        return f"{_BEAT} {self._beat} {self.after} -\n"

    def _append(self, lines: list[str]) -> None:
        if self._file is None:
            raise ValueError("the ledger is closed")
        content = "".join(lines).encode()
        if not self._damaged:
            # Half a line must not get a second half: the next generation says all of it.
            self._damaged = True
            self._damaged = os.write(self._file, content) != len(content)
        if self._damaged:
            self._replace()
        else:
            self._lines += len(lines)

    def _forget(self, now: datetime) -> None:
        limit = now - MARGIN
        seconds, millis = int(limit.timestamp()), _millis(now)
        self._marks = {
            key: mark for key, mark in self._marks.items() if mark.until > (millis if key[0] == _DENIAL else seconds)
        }
        self._denials = sum(1 for letter, _ in self._marks if letter == _DENIAL)

    def _replace(self) -> None:
        """Write the next generation and put it in place."""
        lines = [_head()]
        lines += [_line(letter, subject, mark) for (letter, subject), mark in self._marks.items()]
        fresh = _write_fresh(self._path, [*lines, self._heartbeat()])
        if self._file is not None:
            os.close(self._file)
        self._file, self._lines, self._damaged = fresh, len(lines) + 1, False

    def _read(self) -> None:
        """What the file says, as far as it can be understood; what cannot be is read from the feed again."""
        try:
            content = self._path.read_text("ascii", errors="replace")
        except FileNotFoundError:
            return
        head, *lines = content.split("\n")
        if _HEAD.fullmatch(head) is None:
            return
        # The last piece is empty, or a line that was not finished.
        for parts in _understood(lines[:-1]):
            letter, first, second, subject = parts
            if letter == _BEAT:
                self._beat, self.after = int(first), int(second)
            else:
                self._take(letter, unquote(subject), Mark(int(first), int(second)))


def ensure(path: Path) -> None:
    """An empty ledger where there is none: it says that nothing of the feed was ever read."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(_write_fresh(path, [_head(), f"{_BEAT} 0 0 -\n"]))


def _head() -> str:
    """The first line of a generation. Drawn by lot: a reader must not take a file that was lost and made again for more
    of the one it knows."""
    return f"{NAME} {secrets.token_hex(8)}\n"


def _understood(lines: Iterable[str]) -> Iterator[tuple[str, str, str, str]]:
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            return
        yield found[1], found[2], found[3], found[4]


def _write_fresh(path: Path, lines: list[str]) -> int:
    """The file, whole or not at all, and a handle that appends to it."""
    fresh = path.with_suffix(".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
    handle = os.open(fresh, flags, 0o600)
    try:
        content = memoryview("".join(lines).encode())
        while content:
            content = content[os.write(handle, content) :]
        # Not waited for until it is on the disk: whoever reads it sees it at once, and on a busy disk revocations would
        # stand in line. What a power cut leaves behind is no ledger, which refuses, and is written anew from the feed.
        fresh.replace(path)
    except OSError:
        os.close(handle)
        raise
    return handle


def _entry(one: Revocation) -> tuple[str, str, Mark]:
    not_before = 0 if one.not_before is None else int(one.not_before.timestamp())
    return _LETTERS[one.kind], one.subject, Mark(int(one.until.timestamp()) + 1, not_before)


def _line(letter: str, subject: str, mark: Mark) -> str:
    return f"{letter} {mark.until} {mark.not_before} {quote(subject, safe=':@/+=')}\n"


def _millis(moment: datetime) -> int:
    return max(0, int(moment.timestamp() * 1000))
