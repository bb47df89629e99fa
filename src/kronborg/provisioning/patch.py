"""Changes to a resource (RFC 7644 §3.5.2): add, replace and remove, by paths with filters on values.

A change works on a copy: when one of several operations is refused, none of them happened.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kronborg.core.json import JsonObject, JsonValue
from kronborg.provisioning.filters import Both, Compare, Filter, Place, matches, parse_value_path
from kronborg.provisioning.model import ENTERPRISE, PATCH, Resource, ScimError, bad_value
from kronborg.provisioning.reading import one_primary, read_part, read_value, required
from kronborg.provisioning.schemas import ENTERPRISE_ATTRIBUTES

MAX_OPERATIONS = 1000


@dataclass(frozen=True, slots=True)
class Operation:
    """One change; `path` is empty when the value says what it is about."""

    op: Literal["add", "replace", "remove"]
    path: str
    value: JsonValue


def read_operations(sent: JsonObject) -> tuple[Operation, ...]:
    """The operations of a PATCH request. Raises `ScimError`."""
    schemas = sent.get("schemas")
    if not isinstance(schemas, list) or PATCH not in schemas:
        raise ScimError(400, "the request is no PatchOp", "invalidSyntax")
    listed = next((value for name, value in sent.items() if name.lower() == "operations"), None)
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_OPERATIONS:
        raise ScimError(400, "Operations is a list of 1 to 1000 operations", "invalidSyntax")
    return tuple(map(_operation, listed))


def _operation(one: JsonValue) -> Operation:
    if not isinstance(one, Mapping):
        raise ScimError(400, "an operation is an object", "invalidSyntax")
    op, path = one.get("op"), one.get("path")
    # Some directories write Add and Replace.
    word = op.lower() if isinstance(op, str) else ""
    if word not in ("add", "replace", "remove") or not isinstance(path, str | None):
        raise ScimError(400, "op is add, replace or remove, and path a text", "invalidSyntax")
    if word != "remove" and "value" not in one:
        raise bad_value("an operation has no value")
    if word == "remove" and not path:
        # RFC 7644 §3.5.2.2: remove without a path has no target.
        raise ScimError(400, "remove needs a path", "noTarget")
    kind: Literal["add", "replace", "remove"] = "add" if word == "add" else "replace" if word == "replace" else "remove"
    return Operation(kind, path or "", one.get("value"))


def patched(kind: str, resource: Resource, operations: tuple[Operation, ...]) -> Resource:
    """The resource after all operations, one after the other. Raises `ScimError`."""
    changed = copy.deepcopy(resource)
    for operation in operations:
        if operation.path:
            _apply(kind, changed, operation.op, operation.path, operation.value)
            continue
        if not isinstance(operation.value, Mapping):
            raise bad_value("without a path the value is an object")
        for name, value in operation.value.items():
            _apply(kind, changed, operation.op, name, value, lenient=True)
    return required(kind, changed)


def _apply(kind: str, resource: Resource, op: str, path: str, value: JsonValue, *, lenient: bool = False) -> None:
    if path.lower() == ENTERPRISE.lower() and kind == "User":
        _apply_extension(resource, op, value)
        return
    found = parse_value_path(kind, path)
    if found is None:
        # RFC 7644 §3.5.2: of a value without a path, attributes that are not served are left out as in a POST.
        if lenient:
            return
        raise ScimError(400, "the path names no attribute that is served", "invalidPath")
    place, chosen = found
    if "readOnly" in (place.attribute.mutability, place.last.mutability):
        if lenient:
            return
        raise ScimError(400, "the attribute is read-only", "mutability")
    home = resource
    if place.urn:
        extension = resource.get(place.urn)
        home = dict(extension) if isinstance(extension, Mapping) else {}
    if chosen is not None:
        _apply_chosen(home, op, place, chosen, value)
    elif op == "remove":
        _remove(home, place, value)
    elif place.part is not None:
        _set_part(home, op, place, value)
    else:
        _set(home, op, place, value)
    if place.urn:
        resource[place.urn] = home
        if not home:
            del resource[place.urn]


def _apply_extension(resource: Resource, op: str, value: JsonValue) -> None:
    if op == "remove":
        resource.pop(ENTERPRISE, None)
        return
    if not isinstance(value, Mapping):
        raise bad_value("an extension is an object")
    before = resource.get(ENTERPRISE)
    kept = dict(before) if isinstance(before, Mapping) else {}
    resource[ENTERPRISE] = {**kept, **read_part(ENTERPRISE_ATTRIBUTES, value)}


def _set(home: Resource, op: str, place: Place, value: JsonValue) -> None:
    attribute = place.attribute
    read = read_value(attribute, value)
    before = home.get(attribute.name)
    if attribute.multi and op == "add" and isinstance(before, list) and isinstance(read, list):
        # RFC 7644 §3.5.2.1: a value that is there already is not added again.
        fresh = [one for one in read if one not in before]
        home[attribute.name] = one_primary([*before, *fresh])
    elif attribute.type == "complex" and not attribute.multi and isinstance(before, Mapping) and isinstance(read, dict):
        # RFC 7644 §3.5.2.3: of a complex attribute, the parts that are given are replaced.
        home[attribute.name] = {**before, **read}
    elif read in (None, [], {}):
        home.pop(attribute.name, None)
    else:
        home[attribute.name] = read


def _set_part(home: Resource, op: str, place: Place, value: JsonValue) -> None:
    attribute, part = place.attribute, place.part
    if part is None:
        return
    read, before = read_value(part, value), home.get(attribute.name)
    if not attribute.multi:
        kept = dict(before) if isinstance(before, Mapping) else {}
        home[attribute.name] = {**kept, part.name: read}
        return
    # Without a filter the part of every value is meant.
    several = [one for one in before if isinstance(one, dict)] if isinstance(before, list) else []
    if not several and op == "replace":
        raise ScimError(400, "there is no value to change", "noTarget")
    home[attribute.name] = one_primary([{**one, part.name: read} for one in several] or [{part.name: read}])


def _remove(home: Resource, place: Place, value: JsonValue) -> None:
    attribute, before = place.attribute, home.get(place.attribute.name)
    if attribute.required:
        raise ScimError(400, "a required attribute cannot be removed", "mutability")
    if place.part is not None:
        if isinstance(before, Mapping):
            home[attribute.name] = {name: one for name, one in before.items() if name != place.part.name}
        elif isinstance(before, list):
            name = place.part.name
            home[attribute.name] = [
                {key: inner for key, inner in one.items() if key != name} for one in before if isinstance(one, dict)
            ]
    elif attribute.multi and value not in (None, []) and isinstance(before, list):
        # Some directories name the values to remove beside the path.
        unwanted = read_value(attribute, value)
        names = [one.get("value") for one in unwanted if isinstance(one, dict)] if isinstance(unwanted, list) else []
        home[attribute.name] = [one for one in before if not (isinstance(one, dict) and one.get("value") in names)]
    else:
        home.pop(attribute.name, None)
    if home.get(attribute.name) in ([], {}):
        del home[attribute.name]


def _apply_chosen(home: Resource, op: str, place: Place, chosen: Filter, value: JsonValue) -> None:
    attribute, part = place.attribute, place.part
    before = home.get(attribute.name)
    values = list(before) if isinstance(before, list) else []
    hit = [index for index, one in enumerate(values) if isinstance(one, dict) and matches(chosen, one)]
    if not hit and op == "add":
        made = _wanted(chosen)
        if made is None:
            raise ScimError(400, "no value fits the filter of the path", "noTarget")
        values.append(made)
        hit = [len(values) - 1]
    if not hit:
        # RFC 7644 §3.5.2.3: a filter that fits nothing is no target; to remove what is not there is no failure.
        if op == "remove":
            return
        raise ScimError(400, "no value fits the filter of the path", "noTarget")
    fresh: list[JsonValue] = []
    for index, one in enumerate(values):
        if index not in hit or not isinstance(one, dict):
            fresh.append(one)
        elif op == "remove" and part is not None:
            fresh.append({name: inner for name, inner in one.items() if name != part.name})
        elif op != "remove":
            fresh.append(_changed(one, op, place, value))
    fresh = [one for one in fresh if one != {}]
    last = fresh[hit[-1]] if op != "remove" and hit[-1] < len(fresh) else None
    if isinstance(last, dict) and last.get("primary") is True:
        fresh = [
            {**one, "primary": False} if isinstance(one, dict) and one is not last and one.get("primary") else one
            for one in fresh
        ]
    if fresh:
        home[attribute.name] = fresh
    else:
        home.pop(attribute.name, None)


def _changed(one: Resource, op: str, place: Place, value: JsonValue) -> JsonValue:
    if place.part is not None:
        return {**one, place.part.name: read_value(place.part, value)}
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, Mapping):
        raise bad_value("a complex attribute is written as an object")
    read = read_part(place.attribute.sub, value)
    return {**one, **read}


def _wanted(filter_: Filter) -> Resource | None:
    """A value that fits a filter of equalities: what a directory means that adds to `emails[type eq "work"].value`."""
    match filter_:
        case Compare(place, "eq", value) if value is not None:
            return {place.attribute.name: value}
        case Both("and", left, right):
            one, other = _wanted(left), _wanted(right)
            return None if one is None or other is None else {**one, **other}
        case _:
            return None
