"""Search filters (RFC 4515) as administrators write them, with places for what somebody typed.

A filter stays text. It is checked when it is written; `{login}` or `{dn}` in it are filled in by the helper, with
values that the library has escaped, so what was typed is always a value and never syntax.
"""

from __future__ import annotations

import re

MAX_LENGTH = 2000
MAX_DEPTH = 10

_ATTRIBUTE = r"(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)(?:;[A-Za-z0-9-]+)*"
_VALUE = r"(?:[^()*\\\0]|\\[0-9A-Fa-f]{2})*"
_COMPARISON = re.compile(rf"\({_ATTRIBUTE}(?:=(?:{_VALUE}\*)*|[<>~]=){_VALUE}\)")
_MATCHING_RULE = re.compile(rf"\((?:{_ATTRIBUTE}(?::dn)?(?::{_ATTRIBUTE})?|(?::dn)?:{_ATTRIBUTE}):={_VALUE}\)", re.I)
_PLACE = re.compile(r"\{(login|dn)\}")
_ASKS = re.compile(rf"\(({_ATTRIBUTE})[^()=]*=[^()]*\{{login\}}[^()]*\)")


class BadFilter(ValueError):
    """Not a search filter. The text is fixed and says what is wrong."""


def check_filter(text: str) -> None:
    """Raise `BadFilter` unless this is a filter, of bounded size and depth."""
    if len(text) > MAX_LENGTH:
        raise BadFilter("the filter is longer than 2000 characters")
    if _end(text, 0, MAX_DEPTH) != len(text):
        raise BadFilter("something follows the end of the filter")


def for_everybody(text: str) -> str:
    """The filter with "has any value" wherever it asks for what somebody typed: who could sign in at all."""
    return _ASKS.sub(r"(\1=*)", text)


def places_in(text: str) -> frozenset[str]:
    """The names of the places that the filter has."""
    return frozenset(_PLACE.findall(text))


def _end(text: str, at: int, depth: int) -> int:
    """Where the filter that begins here ends."""
    if depth == 0:
        raise BadFilter("the filter is nested too deeply")
    if not text.startswith("(", at):
        raise BadFilter("a filter begins with a parenthesis")
    sign = text[at + 1 : at + 2]
    if sign not in ("&", "|", "!"):
        found = _COMPARISON.match(text, at) or _MATCHING_RULE.match(text, at)
        if found is None:
            raise BadFilter("a comparison is written (attribute=value), with special characters as \\2a")
        return found.end()
    inside = _end(text, at + 2, depth - 1)
    while sign != "!" and text.startswith("(", inside):
        inside = _end(text, inside, depth - 1)
    if not text.startswith(")", inside):
        raise BadFilter("a parenthesis is not closed")
    return inside + 1
