"""The garbage collector, out of the way of what makes a million values at once and no garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting() -> Iterator[None]:
    """For work without `await`: ten thousand routes are a million small values, and looking for garbage among them
    takes longer than the work. Two threads may be in here at once; whoever began first turns collecting on again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
