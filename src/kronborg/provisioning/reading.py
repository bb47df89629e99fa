"""What a client sent, as its schema has it: canonical names, checked types, nothing that is ours to say.

Unknown attributes are left out (RFC 7644 §3.3 lets a server ignore what it does not serve).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from kronborg.core.json import JsonObject, JsonValue
from kronborg.provisioning.model import ENTERPRISE, Attribute, Resource, ScimError, bad_value
from kronborg.provisioning.schemas import ENTERPRISE_ATTRIBUTES, attributes_of

MAX_TEXT = 1000
MAX_VALUES = 100
MAX_MEMBERS = 10_000


def read_resource(kind: str, sent: JsonObject) -> Resource:
    """A whole resource. Raises `ScimError`."""
    told = read_part(attributes_of(kind), sent)
    if kind == "User":
        for name, value in sent.items():
            if name.lower() == ENTERPRISE.lower() and isinstance(value, Mapping):
                extension = read_part(ENTERPRISE_ATTRIBUTES, value)
                if extension:
                    told[ENTERPRISE] = extension
    return required(kind, told)


def required(kind: str, told: Resource) -> Resource:
    """The resource, if everything is there that has to be."""
    for attribute in attributes_of(kind):
        if attribute.required and not told.get(attribute.name):
            raise bad_value("a required attribute is missing")
    return told


def read_part(attributes: Sequence[Attribute], sent: JsonObject) -> Resource:
    """The attributes of one object that are the client's to say."""
    known = {one.name.lower(): one for one in attributes}
    told: Resource = {}
    for name, value in sent.items():
        attribute = known.get(name.lower())
        # RFC 7644 §3.5.1: what is read-only is ignored, not refused, when a whole resource comes.
        if attribute is None or attribute.mutability == "readOnly":
            continue
        read = read_value(attribute, value)
        if read not in (None, [], {}):
            told[attribute.name] = read
    return told


def read_value(attribute: Attribute, value: JsonValue) -> JsonValue:
    """A value of an attribute; null and empty lists mean that it is not there (RFC 7643 §2.5). Raises `ScimError`."""
    if value is None:
        return None
    if not attribute.multi:
        return _single(attribute, value)
    several = value if isinstance(value, list) else [value]
    if len(several) > (MAX_MEMBERS if attribute.name == "members" else MAX_VALUES):
        raise bad_value("an attribute has too many values")
    found: list[JsonValue] = []
    for one in several:
        read = _single(attribute, one)
        if read not in (None, {}) and read not in found:
            found.append(read)
    return one_primary(found)


def one_primary(values: list[JsonValue]) -> list[JsonValue]:
    """RFC 7643 §2.4: `primary` is true at most once; the last one said wins."""
    marked = [index for index, one in enumerate(values) if isinstance(one, dict) and one.get("primary") is True]
    for index in marked[:-1]:
        one = values[index]
        if isinstance(one, dict):
            values[index] = {**one, "primary": False}
    return values


def _single(attribute: Attribute, value: JsonValue) -> JsonValue:
    if attribute.type == "complex":
        if isinstance(value, str) and attribute.part("value") is not None:
            value = {"value": value}
        if not isinstance(value, Mapping):
            raise bad_value("a complex attribute is written as an object")
        return read_part(attribute.sub, value)
    if attribute.type == "boolean":
        # Some directories send the words.
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            raise bad_value("a boolean is true or false")
        return value
    if not isinstance(value, str):
        raise bad_value("a text is expected")
    if len(value) > MAX_TEXT or "\0" in value:
        raise bad_value("a text is longer than 1000 characters, or holds a NUL")
    if attribute.type == "dateTime":
        _check_moment(value)
    return value


def _check_moment(text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise bad_value("a moment is written as in 2026-11-23T12:00:00Z") from None


def chosen(kind: str, resource: Resource, *, only: Sequence[str], but: Sequence[str]) -> Resource:
    """The attributes that are asked for (RFC 7644 §3.9); what is always returned stays."""
    always = {"schemas", "id"}
    if only:
        wanted = [name.lower() for name in only]
        return {
            name: value if not (part := _parts(name, wanted)) else _picked(value, part)
            for name, value in resource.items()
            if name in always or _named(name, wanted)
        }
    if but:
        unwanted = {_plain(name).lower() for name in but}
        kept = {name: value for name, value in resource.items() if name in always or name.lower() not in unwanted}
        for name in list(kept):
            parts = [one.partition(".")[2] for one in unwanted if one.startswith(f"{name.lower()}.")]
            if parts:
                kept[name] = _dropped(kept[name], parts)
        return kept
    return resource


def _plain(name: str) -> str:
    """A name without the URN of a core schema."""
    return name.rpartition(":")[2] if ":core:" in name.lower() else name


def _named(name: str, wanted: Sequence[str]) -> bool:
    own = name.lower()
    return any(one == own or one.startswith((f"{own}.", f"{own}:")) for one in map(_plain, wanted))


def _parts(name: str, wanted: Sequence[str]) -> list[str]:
    """The parts of an attribute that are asked for; none when all of it is."""
    own = name.lower()
    plain = [_plain(one) for one in wanted]
    if own in plain:
        return []
    return [one[len(own) + 1 :] for one in plain if one.startswith((f"{own}.", f"{own}:"))]


def _picked(value: JsonValue, parts: Sequence[str]) -> JsonValue:
    if isinstance(value, list):
        return [_picked(one, parts) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: one if not (below := _parts(name, parts)) else _picked(one, below)
        for name, one in value.items()
        if _named(name, parts)
    }


def _dropped(value: JsonValue, parts: Sequence[str]) -> JsonValue:
    if isinstance(value, list):
        return [_dropped(one, parts) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: one for name, one in value.items() if name.lower() not in parts}


def names_in(text: str | None) -> tuple[str, ...]:
    """A comma-separated list of attributes. Raises `ScimError`."""
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    if len(names) > MAX_VALUES or any(len(name) > MAX_TEXT for name in names):
        raise ScimError(400, "too many attributes are named", "invalidValue")
    return names
