"""Refusals: the answers that say no. Everything else that is raised is a bug.

    Refusal
    ├─ NotFound      no such object
    ├─ Conflict      the object exists already, or changed meanwhile
    ├─ Forbidden     known caller, not allowed
    ├─ Overloaded    shed now, try again shortly
    ├─ TooMany       throttled; carries `retry_after`
    └─ Invalid       the input is wrong; carries every problem found

A refusal commits what was written before it (counters, revocations, audit); a bug rolls back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


class Refusal(Exception):
    """An answer, not a failure. `detail` is fixed ASCII text that never echoes input."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NotFound(Refusal):
    """No such object."""


class Conflict(Refusal):
    """The object exists already, or was changed by someone else."""


class Forbidden(Refusal):
    """The caller is known and may not do this."""


class Overloaded(Refusal):
    """More work is waiting than can be done in time; the caller should try again shortly."""


class TooMany(Refusal):
    """The caller is throttled until `retry_after` has passed."""

    def __init__(self, detail: str, *, retry_after: timedelta) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input: where it stands, what is wrong, how to mend it."""

    where: str
    detail: str
    mend: str = ""


class Invalid(Refusal):
    """The input is wrong in one or more places; nothing was done."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("the input is invalid")
        self.problems = problems
