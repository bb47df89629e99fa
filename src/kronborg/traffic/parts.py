"""The store as a process has it: opened when somebody first asks, and asked on a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from kronborg.traffic.search_model import TrafficStore

T = TypeVar("T")


class Traffic:
    """Kept at `app.state.traffic`."""

    def __init__(self, opening: Callable[[], TrafficStore]) -> None:
        self._opening, self._store = opening, None
        self._lock = threading.Lock()

    _store: TrafficStore | None

    async def ask(self, question: Callable[[TrafficStore], T]) -> T:
        """The answer of the store to a question that blocks; one at a time."""
        return await asyncio.to_thread(self._ask, question)

    def _ask(self, question: Callable[[TrafficStore], T]) -> T:
        with self._lock:
            if self._store is None:
                self._store = self._opening()
            return question(self._store)
