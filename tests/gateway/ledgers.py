"""The ledger of the live gateway, written by a test in place of the control process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from gateway.live import Live
from kronborg.gateway.ledger import Ledger
from kronborg.tokens.feed import Page
from kronborg.tokens.feed_store import Kind, Revocation


def at_once() -> datetime:
    return datetime.now(UTC)


class Book:
    """Revokes at this gateway, as the follower would."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def revoke(self, kind: Kind, subject: str, *, not_before: datetime | None = None, reset: bool = False) -> None:
        now = at_once()
        seq = self.ledger.after + 1
        entry = Revocation(seq, kind, subject, not_before, now + timedelta(hours=1), now)
        self.ledger.apply(Page((entry,), seq, reset, more=False), now=now)

    def beat(self, *, now: datetime | None = None) -> None:
        self.ledger.apply(Page((), self.ledger.after, reset=False, more=False), now=now or at_once())


@contextlib.contextmanager
def book(gateway: Live) -> Iterator[Book]:
    """The gateway's ledger, empty; it is left empty again."""
    gateway.proxy.ledger.unlink(missing_ok=True)
    ledger = Ledger.open(gateway.proxy.ledger)
    written = Book(ledger)
    ledger.apply(Page((), 0, reset=True, more=False), now=at_once())
    try:
        yield written
    finally:
        written.ledger.apply(Page((), 0, reset=True, more=False), now=at_once())
        written.ledger.close()
