"""The nearest known name to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean …?`, or the names there are, or an empty text when there are none."""
    names = sorted(set(known))
    close = get_close_matches(name.casefold()[:100], [k.casefold() for k in names], 1, cutoff=0.6)
    if close:
        return f"did you mean {next(k for k in names if k.casefold() == close[0])}?"
    if names and len(names) <= 24:
        return f"known: {', '.join(names)}"
    return ""
