"""Paths with open places: templates and regular expressions, read once for matching, ranking and judging.

A template is turned into a regular expression here and not left to Envoy's own templates, whose places do not
take every character that a service reads as part of a segment: what they refuse would fall to a wider route.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_PLACE = re.compile(r"\{([A-Za-z][A-Za-z0-9_]{0,31})(=\*\*)?\}")
_LITERAL = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,=:@]+")
_MOST_PLACES = 9
_MOST_REPETITIONS = 200
_LONGEST = 256
# A class names what it takes, or is [^/]. "." would match a slash, and what is not named here nobody needs in a path.
_TOKEN = re.compile(
    r"(?P<literal>[A-Za-z0-9\-_~!&',=:@/])"
    r"|\\(?P<escaped>[.$()*+])"
    r"|(?P<any>\[\^/\])"
    r"|(?P<of>\[(?:[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9_~!&',=:@.$()*+])+-?\])"
    r"|(?P<kind>\\[dw])"
    r"|(?P<open>\((?:\?:)?)"
    r"|(?P<close>\))"
    r"|(?P<either>\|)"
    r"|(?P<times>[*+?]|\{(?P<least>[0-9]{1,2})(?:,(?P<most>[0-9]{0,2}))?\})"
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """`regex` matches the whole path. `literal` is how each such path begins; `letters` are all that it names;
    `names` are the places of a template in order, `rest` says that the last takes several segments."""

    regex: str
    literal: str
    letters: str
    names: tuple[str, ...] = ()
    rest: bool = False


@lru_cache(maxsize=32_768)
def read_template(text: str) -> Pattern | None:
    """`/orders/{id}/items/{item=**}`: whole segments are literal or a place; None when it is something else."""
    regex, literal, letters, rest = "", "", "", False
    names: list[str] = []
    if not text.startswith("/"):
        return None
    for segment in text[1:].split("/"):
        place = _PLACE.fullmatch(segment)
        if rest or (place is None and _LITERAL.fullmatch(segment) is None) or segment in (".", ".."):
            return None
        if not names:
            literal += "/" if place else "/" + segment
        letters += "/"
        if place is None:
            regex += "/" + _quoted(segment)
            letters += segment
        else:
            names.append(place[1])
            rest = place[2] is not None
            regex += "/(.+)" if rest else "/([^/]+)"
    if not 1 <= len(names) <= _MOST_PLACES or len(set(names)) < len(names):
        return None
    return Pattern(regex, literal, letters, tuple(names), rest)


@lru_cache(maxsize=32_768)
def read_regex(text: str) -> Pattern | None:
    """A regular expression of the small language that paths need; None when it is something else."""
    tokens = _tokens(text)
    if tokens is None or tokens[0][1] != "/":
        return None
    try:
        re.compile(text)
    except (re.error, OverflowError):
        return None
    literal = ""
    for here, after in zip(tokens, [*tokens[1:], ("end", "")], strict=True):
        if here[0] not in ("literal", "escaped") or after[0] == "times":
            break
        literal += here[1]
    letters = "".join(value for kind, value in tokens if kind in ("literal", "escaped", "of"))
    return Pattern(text, literal, letters)


def _tokens(text: str) -> list[tuple[str, str]] | None:
    """What the expression is made of; None where it leaves the language."""
    found: list[tuple[str, str]] = []
    at = depth = repetitions = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return None
        kind = next(
            name
            for name in ("literal", "escaped", "any", "of", "kind", "open", "close", "either", "times")
            if token[name] is not None
        )
        depth += {"open": 1, "close": -1}.get(kind, 0)
        # A repetition repeats something: "(?" begins what is not in the language.
        if kind == "times" and (not found or found[-1][0] in ("open", "either", "times")):
            return None
        if token["least"] is not None:
            # Repeated groups of repetitions grow without bound.
            if found[-1][0] == "close":
                return None
            repetitions += int(token["most"] or token["least"])
        if depth < 0 or (kind == "either" and depth == 0):
            return None
        found.append((kind, token[kind]))
        at = token.end()
    fine = found and depth == 0 and repetitions <= _MOST_REPETITIONS and len(text) <= _LONGEST
    return found if fine else None


def substitution(text: str, names: tuple[str, ...]) -> str | None:
    """`/v2/{id}` as RE2 substitutes it, `/v2/\\1`; None when it names a place that the template has not."""
    made: list[str] = []
    for segment in text.split("/"):
        place = _PLACE.fullmatch(segment)
        if place is not None and (place[2] or place[1] not in names):
            return None
        made.append(f"\\{names.index(place[1]) + 1}" if place else segment)
    return "/".join(made)


def _quoted(segment: str) -> str:
    return re.sub(r"([.$()*+])", r"\\\1", segment)
