"""Regular expressions matched as the proxy matches them: whole texts, in time that grows with the text alone.

Who writes a route and who sends a path are not the same people. Python's own engine goes back and forth, and one path
of thirty letters keeps it busy for minutes where an expression repeats what repeats.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

_LARGEST = 1 << 22
"""Bytes of a compiled expression."""

Fits = Callable[[str], bool]
"""Whether a whole text is as an expression says."""


@lru_cache(maxsize=32_768)
def matcher(regex: str, *, lines: bool = False) -> Fits:
    """What tells whether texts fit; with `lines` a dot takes the end of a line too. What this engine does not read,
    no text fits."""
    from jsonschema_rs import RegexOptions, validator_for  # a native library, where there are expressions at all

    flags = "(?s)" if lines else ""
    try:
        # Its expressions have ASCII meanings of \d and \w, as JSON Schema wants and RE2 has.
        validator = validator_for(
            {"pattern": f"{flags}^(?:{regex})$"}, pattern_options=RegexOptions(size_limit=_LARGEST)
        )
    except ValueError:
        return _nothing

    def fits(text: str) -> bool:
        try:
            return validator.is_valid(text)
        except UnicodeEncodeError:  # half of a pair of surrogates, which is no text
            return False

    return fits


def _nothing(_text: str) -> bool:
    return False
