"""Search filters (RFC 4515), with places for what somebody typed.

A filter is parsed once, from what an administrator wrote. What a person typed replaces `{login}` or `{dn}` in values of
the parsed filter, so it is always a value and never syntax: there is nothing to escape and nothing to inject.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from kronborg.federation.ber import octets, sequence

MAX_LENGTH = 2000
MAX_DEPTH = 10

_ATTRIBUTE = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)(?:;[A-Za-z0-9-]+)*")
_ESCAPED = re.compile(r"\\([0-9A-Fa-f]{2})|(\\)")
_PLACE = re.compile(r"\{(login|dn)\}")


class BadFilter(ValueError):
    """Not a search filter. The text is fixed and says what is wrong."""


@dataclass(frozen=True, slots=True)
class Both:
    """All of them (`&`) or one of them (`|`)."""

    kind: Literal["&", "|"]
    of: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Everything else."""

    of: Filter


@dataclass(frozen=True, slots=True)
class Compare:
    """One attribute against one value, as written: escapes and places are still in it."""

    attribute: str
    kind: Literal["=", ">=", "<=", "~="]
    value: str


@dataclass(frozen=True, slots=True)
class Extensible:
    """A matching rule (`memberOf:1.2.840.113556.1.4.1941:=…`)."""

    attribute: str
    rule: str
    dn: bool
    value: str


Filter = Both | Not | Compare | Extensible


def parse_filter(text: str) -> Filter:
    """The filter that this text is. Raises `BadFilter`."""
    if len(text) > MAX_LENGTH:
        raise BadFilter("the filter is longer than 2000 characters")
    found, end = _parse(text.strip(), 0, MAX_DEPTH)
    if end != len(text.strip()):
        raise BadFilter("something follows the end of the filter")
    return found


def encoded(filter_: Filter, values: Mapping[str, str]) -> bytes:
    """The filter as it is sent (RFC 4511 §4.5.1.7), with `values` in their places."""
    match filter_:
        case Both(kind, parts):
            return sequence((encoded(part, values) for part in parts), 0xA0 if kind == "&" else 0xA1)
        case Not(part):
            return sequence((encoded(part, values),), 0xA2)
        case Extensible(attribute, rule, dn, value):
            parts_ = [octets(rule, 0x81)] if rule else []
            parts_ += [octets(attribute, 0x82)] if attribute else []
            parts_ += [octets(_filled(value, values), 0x83)]
            parts_ += [b"\x84\x01\xff"] if dn else []
            return sequence(parts_, 0xA9)
        case Compare(attribute, "=", "*"):
            return octets(attribute, 0x87)
        case Compare(attribute, "=", value) if "*" in value:
            return _substrings(attribute, value, values)
        case Compare(attribute, kind, value):
            tag = {"=": 0xA3, ">=": 0xA5, "<=": 0xA6, "~=": 0xA8}[kind]
            return sequence((octets(attribute), octets(_filled(value, values))), tag)


def for_everybody(filter_: Filter) -> Filter:
    """The filter with "has any value" wherever it asks for what somebody typed: who could sign in at all."""
    match filter_:
        case Both(kind, parts):
            return Both(kind, tuple(for_everybody(part) for part in parts))
        case Not(part):
            return Not(for_everybody(part))
        case Compare() if _PLACE.search(filter_.value):
            return replace(filter_, kind="=", value="*")
        case _:
            return filter_


def places_in(filter_: Filter) -> frozenset[str]:
    """The names of the places that the filter has."""
    match filter_:
        case Both(_, parts):
            return frozenset().union(*(places_in(part) for part in parts))
        case Not(part):
            return places_in(part)
        case Compare() | Extensible():
            return frozenset(_PLACE.findall(filter_.value))


def escape_dn(value: str) -> str:
    """A text as the value of a distinguished name (RFC 4514 §2.4)."""
    shown = "".join(f"\\{c}" if c in '"+,;<=>\\' else "\\00" if c == "\0" else c for c in value)
    if shown.startswith((" ", "#")):
        shown = f"\\{shown}"
    # A space at the end that stands alone, or after the first that is escaped already.
    return f"{shown[:-1]}\\ " if value.endswith(" ") and len(value) > 1 else shown


def _parse(text: str, at: int, depth: int) -> tuple[Filter, int]:
    if depth == 0:
        raise BadFilter("the filter is nested too deeply")
    if not text.startswith("(", at):
        raise BadFilter("a filter begins with a parenthesis")
    at += 1
    sign = text[at : at + 1]
    if sign in ("&", "|"):
        at, parts = at + 1, []
        while text.startswith("(", at):
            part, at = _parse(text, at, depth - 1)
            parts.append(part)
        if not parts:
            raise BadFilter("and, or: nothing is in it")
        return Both("&" if sign == "&" else "|", tuple(parts)), _closed(text, at)
    if sign == "!":
        part, at = _parse(text, at + 1, depth - 1)
        return Not(part), _closed(text, at)
    end = text.find(")", at)
    if end < 0:
        raise BadFilter("a parenthesis is not closed")
    return _item(text[at:end]), end + 1


def _closed(text: str, at: int) -> int:
    if not text.startswith(")", at):
        raise BadFilter("a parenthesis is not closed")
    return at + 1


def _item(text: str) -> Filter:
    head, equals, value = text.partition("=")
    if not equals or "(" in value or any(bad for _, bad in _ESCAPED.findall(value)) or "\0" in value:
        raise BadFilter("a comparison is written attribute=value, with special characters as \\2a")
    if head.endswith(":"):
        return _extensible(head[:-1], value)
    kind: Literal["=", ">=", "<=", "~="] = "="
    if head[-1:] in (">", "<", "~"):
        kind = ">=" if head[-1] == ">" else "<=" if head[-1] == "<" else "~="
        head = head[:-1]
    if not _ATTRIBUTE.fullmatch(head):
        raise BadFilter("an attribute is letters, digits and dashes, or numbers with dots")
    if "*" in value and kind != "=":
        raise BadFilter("a star stands for anything only after =")
    return Compare(head, kind, value)


def _extensible(head: str, value: str) -> Filter:
    attribute, *rest = head.split(":")
    dn = bool(rest) and rest[0].lower() == "dn"
    rest = rest[1:] if dn else rest
    rule = rest[0] if rest else ""
    if len(rest) > 1 or not (attribute or rule):
        raise BadFilter("a matching rule is written attribute:rule:=value")
    if any(part and not _ATTRIBUTE.fullmatch(part) for part in (attribute, rule)) or "*" in value:
        raise BadFilter("a matching rule is written attribute:rule:=value")
    return Extensible(attribute, rule, dn, value)


def _substrings(attribute: str, value: str, values: Mapping[str, str]) -> bytes:
    first, *middle, last = value.split("*")
    parts = [octets(_filled(first, values), 0x80)] if first else []
    parts += [octets(_filled(part, values), 0x81) for part in middle if part]
    parts += [octets(_filled(last, values), 0x82)] if last else []
    return sequence((octets(attribute), sequence(parts)), 0xA4)


def _filled(value: str, values: Mapping[str, str]) -> bytes:
    """The bytes of a value: escapes first (they are the administrator's), then what was typed, as it is."""
    pieces = _PLACE.split(value)
    out = b""
    for index, piece in enumerate(pieces):
        out += _unescaped(piece) if index % 2 == 0 else values.get(piece, "").encode("utf-8", "replace")
    return out


def _unescaped(text: str) -> bytes:
    out, at = b"", 0
    for found in _ESCAPED.finditer(text):
        out += text[at : found.start()].encode() + bytes((int(found[1], 16),))
        at = found.end()
    return out + text[at:].encode()
