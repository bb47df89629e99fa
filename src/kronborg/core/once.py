"""Properties of a frozen value that cost a walk over all routes, walked once for the value asked about last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")
Told = TypeVar("Told")


class once(Generic[Value, Told]):  # noqa: N801  # reads as `property` does
    """Like `property`; asked ten thousand times for one snapshot, it answers from memory."""

    def __init__(self, tell: Callable[[Value], Told]) -> None:
        self._tell = tell
        self._last: tuple[Value, Told] | None = None
        self.__doc__ = tell.__doc__

    def __get__(self, value: Value, owner: type[Value]) -> Told:
        last = self._last
        if last is None or last[0] is not value:
            # One assignment, so that threads see the value and its answer together.
            last = self._last = (value, self._tell(value))
        return last[1]
