"""A walk along the chain, event by event and checkpoint by checkpoint, wherever they are read from.

It remembers one link and one digest, so that a chain of any length is verified in the same memory, and stops at the
first thing that does not hold.
"""

from __future__ import annotations

from dataclasses import replace

from kronborg.audit.chain import link_of
from kronborg.audit.checkpoints import Keys, digest_of, is_signed_by
from kronborg.audit.model import Checkpoint, Finding, Sealed


class Walk:
    """Begins after place `n` with its `link`. `against` is a checkpoint that was kept elsewhere."""

    def __init__(self, keys: Keys, *, n: int, link: str, against: Checkpoint | None = None) -> None:
        self.keys, self.first = keys, n
        self.n, self.link = n, link
        self.events = self.checkpoints = 0
        self.signed = n
        """The last place that a checkpoint covers."""
        self._last: Checkpoint | None = None
        self._against = against

    def kept(self) -> Finding | None:
        """Hold the checkpoint that was kept elsewhere against the keys, before anything else."""
        one = self._against
        if one is None or is_signed_by(one, self.keys):
            return None
        return Finding("checkpoint", one.n, 0, "", "the checkpoint that was kept is not signed by a known key")

    def step(self, event: Sealed) -> Finding | None:
        """One more event, as stored, with the link stored beside it."""
        if event.n != self.n + 1:
            places = f"place {self.n + 1}" if event.n == self.n + 2 else f"places {self.n + 1} to {event.n - 1}"
            return Finding("removed", self.n + 1, 0, "", f"{places} of the chain: the rows were removed")
        if link_of(self.link, event) != event.link:
            told = f"event {event.id} (number {event.seq}, place {event.n}) is not as it was recorded"
            return Finding("altered", event.n, event.seq, event.id, told)
        self.n, self.link = event.n, event.link
        self.events += 1
        return self._compare(self._against, "the checkpoint that was kept elsewhere")

    def stop_at(self, one: Checkpoint) -> Finding | None:
        """A checkpoint of the chain itself; the walk has come to its place, or began after it."""
        if self._last is not None and (one.k != self._last.k + 1 or one.previous != digest_of(self._last)):
            told = f"checkpoint {self._last.k + 1} was removed, or checkpoint {one.k} inserted"
            return Finding("checkpoint", one.n, 0, "", told)
        if self._last is None and one.k != 1 and self.first == 0:
            return Finding("checkpoint", one.n, 0, "", f"checkpoints 1 to {one.k - 1} were removed")
        if not is_signed_by(one, self.keys):
            return Finding("checkpoint", one.n, 0, "", f"checkpoint {one.k} is not signed by a key of this log")
        self.checkpoints += 1
        wrong = self._compare(one, f"checkpoint {one.k}")
        self._last = one
        if wrong is None and one.n == self.n:
            self.signed = self.n
        return wrong

    def _compare(self, one: Checkpoint | None, called: str) -> Finding | None:
        if one is None or one.n != self.n or one.link == self.link:
            return None
        since = self.signed + 1
        told = f"{called} says otherwise: an event between place {since} and place {one.n} was changed with its links"
        return Finding("rewritten", since, 0, "", told)

    def end(self, expected: int) -> Finding | None:
        """The chain ends here; `expected` is the place it should have come to."""
        expected = max(expected, 0 if self._against is None else self._against.n)
        if self.n >= expected:
            return None
        told = f"the chain ends at place {self.n}: places {self.n + 1} to {expected} were removed from its end"
        return Finding("cut", self.n + 1, 0, "", told)


def diagnose(finding: Finding, before: str, event: Sealed, after: Sealed | None) -> Finding:
    """What became of an event that does not fit, judged by the one that is stored after it."""
    if finding.what != "altered" or after is None:
        return finding
    if link_of(event.link, after) == after.link:
        return finding  # the links are those of before: only the event is another one
    if link_of(link_of(before, event), after) == after.link:
        return replace(finding, told=f"the link at place {event.n} is not as it was sealed (event {event.id})")
    if link_of(before, replace(after, n=event.n)) == after.link:
        told = f"event {event.id} (number {event.seq}) was inserted at place {event.n}"
        return replace(finding, what="inserted", told=told)
    if link_of(event.link, replace(after, n=after.n + 1)) == after.link:
        told = f"an event was removed before event {event.id} (number {event.seq}), at place {event.n}"
        return replace(finding, what="removed", told=told)
    return finding
