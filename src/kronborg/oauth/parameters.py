"""Parameters of a request that a browser carries: read once, bounded, with every mistake noted instead of raised."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

MAX_SENT = 16 * 1024
"""Characters of a whole request as sent."""

MAX_QUERY = 5600
"""Characters of a whole request as we write it: it travels on by value through sign-in and consent."""

MAX_FIELDS = 64
LIMIT = 1024
"""Characters of one parameter, decoded, where no other limit is named."""

JSON_PARAMETERS = ("authorization_details", "claims")
"""JSON may be written on several lines (RFC 8259 §2): its white space may stand in these, and in no other."""
_BLANK = str.maketrans("\t\n\r", "   ")


class Unreadable(ValueError):
    """The request is too large, or has too many parameters, to be read at all."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Known parameters with a value. A repeated or malformed one is noted and has no value: nothing of it is used."""

    values: Mapping[str, tuple[str, ...]]
    repeated: frozenset[str]
    malformed: frozenset[str]

    def one(self, name: str) -> str | None:
        """The value of a parameter; None when it is absent, repeated or malformed."""
        given = self.values.get(name, ())
        return given[0] if given else None


def read(
    query: str,
    known: Collection[str],
    *,
    repeatable: Collection[str] = (),
    limits: Mapping[str, int] | None = None,
    most: int = MAX_SENT,
) -> Parameters:
    """Read a query string or form-encoded body of at most that many characters. Raises `Unreadable`."""
    if len(query) > most:
        raise Unreadable("the request is too large")
    try:
        pairs = parse_qsl(query, keep_blank_values=False, errors="replace", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Unreadable("the request has too many parameters") from None
    return sort_out(pairs, known, repeatable=repeatable, limits=limits)


def sort_out(
    pairs: Iterable[tuple[str, str]],
    known: Collection[str],
    *,
    repeatable: Collection[str] = (),
    limits: Mapping[str, int] | None = None,
) -> Parameters:
    """The known ones among names and values, looked over."""
    # RFC 6749 §3.1: a parameter without a value counts as omitted; unrecognized ones are ignored.
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        if name in known:
            given.setdefault(name, []).append(value)
    repeated = frozenset(name for name, values in given.items() if len(values) > 1 and name not in repeatable)
    bounds = limits or {}
    malformed = frozenset(
        name
        for name, values in given.items()
        if not all(
            _well_formed(value.translate(_BLANK) if name in JSON_PARAMETERS else value, bounds.get(name, LIMIT))
            for value in values
        )
    )
    usable = {name: tuple(values) for name, values in given.items() if name not in repeated | malformed}
    return Parameters(usable, repeated, malformed)


def _well_formed(value: str, limit: int) -> bool:
    """No control characters, no broken UTF-8 (decoded to U+FFFD), and of a sane length."""
    return len(value) <= limit and "\ufffd" not in value and value.isprintable()
