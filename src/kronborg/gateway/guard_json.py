"""Bounds on JSON, counted while it is read in pieces: no tree is built, nothing recurses, time is linear.

Only what passed here is given to a parser. `ijson` with its C scanner makes the events.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable

from kronborg.core.json import JsonValue
from kronborg.gateway.content_model import JsonBounds


class Refused(Exception):
    """The request is refused: `reason` is a name of `reasons`, `expected` fixed text, `pointer` says where."""

    def __init__(self, reason: str, expected: str = "", pointer: str = "", place: str = "body") -> None:
        super().__init__(reason)
        self.reason, self.expected, self.pointer, self.place = reason, expected, pointer, place


def scan(body: bytes, bounds: JsonBounds) -> None:
    """Raise `Refused` for what is no JSON (RFC 8259), repeats a name, or is beyond a bound."""
    from ijson.backends import yajl2_c  # only guarded gateways need it
    from ijson.common import JSONError

    # RFC 8259 section 8.1: a byte order mark must not be added; two readers would differ on it.
    if body.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Refused("malformed_json", "UTF-8 without a byte order mark")
    counter = _Counter(bounds)
    try:
        # RFC 8259 section 6: only numbers within a double are read alike. `use_float` holds the scanner to them;
        # without it, ijson 3.6.0 builds integers of any length and crashes on those that Python refuses.
        for event, value in yajl2_c.basic_parse(body, buf_size=16_384, use_float=True):
            counter.take(event, value)
    except (JSONError, ValueError) as error:
        raise Refused("malformed_json", "one JSON value in UTF-8, numbers within 64 bits") from error


def parse(body: bytes, bounds: JsonBounds) -> JsonValue:
    """The value of a body that is within its bounds. Raises `Refused`."""
    import orjson

    scan(body, bounds)
    try:
        value: JsonValue = orjson.loads(body)
    except ValueError as error:
        # RFC 8259 section 8.2: lone surrogates, and numbers that no double holds, are read differently by everybody.
        raise Refused("malformed_json", "text without lone surrogates and numbers that a double can hold") from error
    return value


class _Counter:
    """What is open just now: one level per array or object, never deeper than the bound."""

    def __init__(self, bounds: JsonBounds) -> None:
        self._bounds = bounds
        self._names: list[set[str] | None] = []
        self._counts: list[int] = []
        self._takers: dict[str, Callable[[object], None]] = {
            "map_key": self._name,
            "string": self._text,
            "start_map": lambda _: self._open(set()),
            "start_array": lambda _: self._open(None),
            "end_map": lambda _: self._close(),
            "end_array": lambda _: self._close(),
        }

    def take(self, event: str, value: object) -> None:
        """One event of the scanner."""
        if event not in ("map_key", "end_map", "end_array"):
            self._item()
        taker = self._takers.get(event)
        if taker is not None:
            taker(value)

    def _item(self) -> None:
        if self._names and self._names[-1] is None:
            self._counts[-1] += 1
            if self._counts[-1] > self._bounds.items:
                raise Refused("json_too_complex", f"at most {self._bounds.items} items in an array")

    def _open(self, names: set[str] | None) -> None:
        if len(self._names) >= self._bounds.depth:
            raise Refused("json_too_complex", f"at most {self._bounds.depth} levels")
        self._names.append(names)
        self._counts.append(0)

    def _close(self) -> None:
        self._names.pop()
        self._counts.pop()

    def _name(self, value: object) -> None:
        name, names = str(value), self._names[-1]
        if names is None:
            return
        if len(name) > self._bounds.keys:
            raise Refused("json_too_complex", f"at most {self._bounds.keys} characters in a name")
        # RFC 8259 section 4: what happens to repeated names is unpredictable. Names are compared unescaped.
        if name in names:
            raise Refused("duplicate_key", "each name once")
        names.add(name)
        if len(names) > self._bounds.members:
            raise Refused("json_too_complex", f"at most {self._bounds.members} members in an object")

    def _text(self, value: object) -> None:
        text = str(value)
        if len(text) > self._bounds.string or len(text.encode("utf-8", "replace")) > self._bounds.string:
            raise Refused("json_too_complex", f"at most {self._bounds.string} bytes in a text")
