"""Filters and attribute paths (RFC 7644 §3.4.2.2, §3.5.2): read with bounds, and held against resources.

Attribute names are resolved while a filter is read, so a name that no schema has is told instead of matching nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import orjson

from kronborg.core.json import JsonValue
from kronborg.provisioning.model import ENTERPRISE, Attribute, Narrow, Resource, ScimError
from kronborg.provisioning.schemas import find_attribute

MAX_LENGTH = 1000
MAX_DEPTH = 8

Operator = Literal["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"]
_OPERATORS = ("eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr")
_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>[()\[\]])|(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")"""
    r"""|(?P<word>(?:urn:[A-Za-z0-9:._-]+|[A-Za-z$][\w$-]*(?:\.[A-Za-z$][\w$-]*)?|-?\d+(?:\.\d+)?)))"""
)
_PATH = re.compile(r"(?:(?P<urn>urn:[A-Za-z0-9:._-]+):)?(?P<name>[A-Za-z$][\w$-]*)(?:\.(?P<part>[A-Za-z$][\w$-]*))?")


@dataclass(frozen=True, slots=True)
class Place:
    """An attribute, and a part of it if one is named; `urn` is that of an extension, or empty."""

    urn: str
    attribute: Attribute
    part: Attribute | None = None

    @property
    def last(self) -> Attribute:
        """What holds the value."""
        return self.part or self.attribute


@dataclass(frozen=True, slots=True)
class Compare:
    """One attribute against one value."""

    place: Place
    operator: Operator
    value: JsonValue = None


@dataclass(frozen=True, slots=True)
class Some:
    """A value of a complex attribute for which all of this holds at once (`emails[type eq "work"]`)."""

    place: Place
    of: Filter


@dataclass(frozen=True, slots=True)
class Both:
    """Two filters together."""

    kind: Literal["and", "or"]
    left: Filter
    right: Filter


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    of: Filter


Filter = Compare | Some | Both | Not


def bad_filter() -> ScimError:
    """RFC 7644 §3.12."""
    return ScimError(400, "the filter is not one, or names an attribute that is not served", "invalidFilter")


def parse_filter(kind: str, text: str) -> Filter:
    """A filter on `User` or `Group`. Raises `ScimError`."""
    reader = _Reader(kind, _tokens(text))
    found = reader.either(MAX_DEPTH)
    if reader.rest():
        raise bad_filter()
    return found


def parse_place(kind: str, text: str) -> Place | None:
    """The attribute that a path without brackets names; None when there is none."""
    match = _PATH.fullmatch(text)
    if match is None:
        return None
    urn, name, part = match["urn"] or "", match["name"], match["part"]
    attribute = find_attribute(kind, urn, name)
    if attribute is None:
        return None
    below = None if part is None else attribute.part(part)
    if part is not None and below is None:
        return None
    return Place(ENTERPRISE if urn.lower() == ENTERPRISE.lower() else "", attribute, below)


def parse_value_path(kind: str, text: str) -> tuple[Place, Filter | None] | None:
    """A path of PATCH: an attribute, with a filter on its values if there are brackets, and a part behind them."""
    if len(text) > MAX_LENGTH:
        return None
    head, bracket, rest = text.partition("[")
    place = parse_place(kind, head)
    if place is None or not bracket:
        return None if place is None else (place, None)
    inner, closing, tail = rest.rpartition("]")
    if not closing or place.part is not None or not place.attribute.multi:
        return None
    reader = _Reader(kind, _tokens(inner), place.attribute)
    found = reader.either(MAX_DEPTH)
    if reader.rest():
        raise bad_filter()
    if not tail:
        return place, found
    part = place.attribute.part(tail[1:]) if tail.startswith(".") else None
    return None if part is None else (Place(place.urn, place.attribute, part), found)


def matches(filter_: Filter, resource: Resource) -> bool:
    """Whether a resource, as it would be answered, fits."""
    match filter_:
        case Both("and", left, right):
            return matches(left, resource) and matches(right, resource)
        case Both(_, left, right):
            return matches(left, resource) or matches(right, resource)
        case Not(inner):
            return not matches(inner, resource)
        case Some(place, inner):
            found = _values(resource, Place(place.urn, place.attribute))
            return any(matches(inner, one) for one in found if isinstance(one, dict))
        case Compare(place, operator, value):
            return _compared(_values(resource, place), place.last, operator, value)


def narrow_of(filter_: Filter) -> Narrow:
    """The equalities that every match has and an index can find."""
    match filter_:
        case Both("and", left, right):
            return Narrow({**narrow_of(left).equal, **narrow_of(right).equal})
        case Compare(place, "eq", str() as value) if not place.urn:
            name = place.attribute.name + (f".{place.part.name}" if place.part else "")
            name = {"emails": "emails.value", "members": "members.value"}.get(name, name)
            known = ("id", "externalId", "userName", "displayName", "emails.value")
            return Narrow({name: value}) if name in known else Narrow()
        case Some(place, inner) if place.attribute.name == "emails":
            one = narrow_of_value(inner)
            return Narrow() if one is None else Narrow({"emails.value": one})
        case _:
            return Narrow()


def narrow_of_value(filter_: Filter) -> str | None:
    """The `value` that every match has, of a filter on the values of one attribute."""
    match filter_:
        case Both("and", left, right):
            return narrow_of_value(left) or narrow_of_value(right)
        case Compare(place, "eq", str() as value) if place.attribute.name == "value":
            return value
        case _:
            return None


@dataclass(slots=True)
class _Reader:
    """Reads tokens; inside brackets names are those of the parts of `inside`."""

    kind: str
    tokens: list[tuple[str, str]]
    inside: Attribute | None = None
    at: int = field(default=0)

    def rest(self) -> bool:
        return self.at < len(self.tokens)

    def take(self) -> tuple[str, str]:
        if not self.rest():
            raise bad_filter()
        self.at += 1
        return self.tokens[self.at - 1]

    def is_next(self, *words: str) -> bool:
        return self.rest() and self.tokens[self.at][0] != "text" and self.tokens[self.at][1].lower() in words

    def either(self, depth: int) -> Filter:
        left = self.all(depth)
        while self.is_next("or"):
            self.take()
            left = Both("or", left, self.all(depth))
        return left

    def all(self, depth: int) -> Filter:
        left = self.one(depth)
        while self.is_next("and"):
            self.take()
            left = Both("and", left, self.one(depth))
        return left

    def one(self, depth: int) -> Filter:
        if depth == 0:
            raise bad_filter()
        if self.is_next("not") and self.at + 1 < len(self.tokens) and self.tokens[self.at + 1] == ("mark", "("):
            self.take()
            return Not(self.grouped(depth))
        return self.grouped(depth) if self.is_next("(") else self.comparison(depth)

    def grouped(self, depth: int) -> Filter:
        self.take()
        found = self.either(depth - 1)
        if self.take() != ("mark", ")"):
            raise bad_filter()
        return found

    def comparison(self, depth: int) -> Filter:
        kind, word = self.take()
        place = self.place(word) if kind == "word" else None
        if place is None:
            raise bad_filter()
        if self.is_next("["):
            if self.inside is not None or not place.attribute.sub or place.part is not None:
                raise bad_filter()
            self.take()
            self.inside = place.attribute
            found = self.either(depth - 1)
            self.inside = None
            if self.take() != ("mark", "]"):
                raise bad_filter()
            return Some(place, found)
        kind, word = self.take()
        operator = next((one for one in _OPERATORS if kind == "word" and one == word.lower()), None)
        if operator is None:
            raise bad_filter()
        return Compare(place, "pr") if operator == "pr" else _checked(place, operator, self.value())

    def place(self, word: str) -> Place | None:
        if self.inside is None:
            return parse_place(self.kind, word)
        part = self.inside.part(word)
        return None if part is None else Place("", part)

    def value(self) -> JsonValue:
        kind, word = self.take()
        if kind == "text" or word in ("true", "false", "null") or re.fullmatch(r"-?\d+(\.\d+)?", word):
            try:
                found: JsonValue = orjson.loads(word)
            except orjson.JSONDecodeError:
                raise bad_filter() from None
            return found
        raise bad_filter()


def _checked(place: Place, operator: str, value: JsonValue) -> Compare:
    last, ordered = place.last, operator in ("gt", "ge", "lt", "le")
    # RFC 7644 §3.4.2.2, table 3: booleans and complex attributes have no order, and hold no text.
    if last.type == "boolean" and (operator not in ("eq", "ne") or not isinstance(value, bool | None)):
        raise bad_filter()
    if last.type == "complex" and last.part("value") is None:
        raise bad_filter()
    if operator in ("co", "sw", "ew") and not isinstance(value, str):
        raise bad_filter()
    if (last.type != "boolean" and not isinstance(value, str | None)) or (ordered and not isinstance(value, str)):
        raise bad_filter()
    if last.type == "dateTime" and isinstance(value, str) and _moment(value) is None:
        raise bad_filter()
    return Compare(place, operator, value)  # type: ignore[arg-type]  # one of the operators


def _tokens(text: str) -> list[tuple[str, str]]:
    if not 0 < len(text) <= MAX_LENGTH:
        raise bad_filter()
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise bad_filter()
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _values(resource: Resource, place: Place) -> list[JsonValue]:
    """Every value that a place has in a resource; a complex one without a part stands for its `value`s."""
    inside = resource.get(place.urn) if place.urn else resource
    value = inside.get(place.attribute.name) if isinstance(inside, dict) else None
    several: Sequence[JsonValue] = value if isinstance(value, list) else [] if value is None else [value]
    if place.part is None:
        return list(several)
    return [one[place.part.name] for one in several if isinstance(one, dict) and one.get(place.part.name) is not None]


def _compared(values: list[JsonValue], attribute: Attribute, operator: Operator, value: JsonValue) -> bool:
    plain = [one.get("value") if isinstance(one, dict) and operator != "pr" else one for one in values]
    plain = [one for one in plain if one not in (None, "", {})]
    if operator == "pr":
        return bool(plain)
    if value is None:
        return bool(plain) == (operator == "ne")
    if operator == "ne":
        # RFC 7644 §3.4.2.2: of several values, one that differs is enough; none at all differs as well.
        return not plain or any(not _holds(one, attribute, "eq", value) for one in plain)
    return any(_holds(one, attribute, operator, value) for one in plain)


def _holds(one: JsonValue, attribute: Attribute, operator: Operator, value: JsonValue) -> bool:
    if isinstance(one, bool) or isinstance(value, bool):
        return one is value
    if not isinstance(one, str) or not isinstance(value, str):
        return False
    if attribute.type == "dateTime":
        mine, theirs = _moment(one), _moment(value)
        if mine is not None and theirs is not None and operator in ("eq", "gt", "ge", "lt", "le"):
            return _ordered(mine, theirs, operator)
    if not attribute.exact:
        one, value = one.casefold(), value.casefold()
    match operator:
        case "co":
            return value in one
        case "sw":
            return one.startswith(value)
        case "ew":
            return one.endswith(value)
        case _:
            return _ordered(one, value, operator)


def _ordered(mine: str | datetime, theirs: str | datetime, operator: str) -> bool:
    less = mine < theirs  # type: ignore[operator]  # both are of one kind
    return {"eq": mine == theirs, "gt": not less and mine != theirs, "ge": not less, "lt": less}.get(
        operator, less or mine == theirs
    )


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
