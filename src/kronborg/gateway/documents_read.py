"""Reads an OpenAPI document from outside: bounded, local references only, and nothing in it that grows when used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

import orjson

from kronborg.core.errors import Invalid, Problem
from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.content_model import JsonBounds
from kronborg.gateway.documents_model import LARGEST, Text

DEEPEST = 32
MOST_NODES = 200_000
MOST_OPERATIONS = 2_000
MOST_CHECKS = 2_000
"""Schemas that one value may be held against at once, references followed."""
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_BOUNDS = JsonBounds(depth=DEEPEST, members=20_000, items=20_000, string=65_536, keys=1_000)
_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
_MOVING = ("$id", "$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor", "$anchor")


def read(content: bytes) -> Text:
    """A document in JSON or YAML. Raises `Invalid` with what is wrong."""
    if len(content) > LARGEST:
        raise _invalid("is larger than 1 MiB", "split the service, or drop examples")
    document = _plain(content)
    version = str(document.get("openapi", ""))
    if not version.startswith(("3.0.", "3.1.")):
        raise _invalid("is no OpenAPI document of version 3.0 or 3.1", "write openapi: 3.1.0")
    _check(document)
    _look_at_references(document)
    operations = sum(1 for _ in operations_of(document))
    if not 0 < operations <= MOST_OPERATIONS:
        raise _invalid("describes no operation, or more than 2000", "describe paths and methods")
    told = document.get("info")
    about = told if isinstance(told, Mapping) else {}
    text = orjson.dumps(document).decode()
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Text(text, digest, str(about.get("title", ""))[:200], str(about.get("version", ""))[:50], operations)


def operations_of(document: JsonObject) -> Iterator[tuple[str, str, JsonObject, JsonObject]]:
    """Each operation: its path, its method, the operation and the path item."""
    paths = document.get("paths")
    for path, item in paths.items() if isinstance(paths, Mapping) else ():
        found, _ = resolved(document, item, ("paths", path))
        for method in METHODS:
            operation = found.get(method)
            if isinstance(operation, Mapping) and path.startswith("/"):
                yield path, method, operation, found


def resolved(document: JsonObject, node: JsonValue, place: tuple[str, ...]) -> tuple[JsonObject, tuple[str, ...]]:
    """An object, its references followed, and the names that lead to it."""
    for _ in range(16):
        if not isinstance(node, Mapping):
            break
        ref = node.get("$ref")
        if not isinstance(ref, str):
            return node, place
        place = names_of(ref)
        node = at(document, place)
    raise _invalid("refers to what is not there, or in a circle", "references lead to an object of the document")


def names_of(ref: str) -> tuple[str, ...]:
    """The names in a local reference (RFC 6901 section 6)."""
    if ref != "#" and not ref.startswith("#/"):
        raise _invalid("holds a reference that leaves the document", "bundle it into one document")
    return tuple(unquote(part).replace("~1", "/").replace("~0", "~") for part in ref[2:].split("/")) if ref[2:] else ()


def at(document: JsonValue, place: tuple[str, ...]) -> JsonValue:
    """What stands there; None where nothing does."""
    node = document
    for name in place:
        if isinstance(node, Mapping):
            node = node.get(name)
        elif isinstance(node, (list, tuple)) and name.isdecimal() and int(name[:9]) < len(node):
            node = node[int(name[:9])]
        else:
            return None
    return node


def _invalid(detail: str, mend: str = "") -> Invalid:
    return Invalid(Problem("document", detail, mend))


def _plain(content: bytes) -> JsonObject:
    from kronborg.gateway.guard_json import Refused, parse

    if content.lstrip()[:1] == b"{":
        try:
            document = parse(content, _BOUNDS)
        except Refused as refused:
            raise _invalid("is no JSON within bounds", refused.expected) from refused
    else:
        document = _yaml(content)
    if not isinstance(document, Mapping):
        raise _invalid("is no object")
    return document


def _yaml(content: bytes) -> JsonValue:
    from kronborg.gateway.declare.yaml_tree import read_yaml  # only the admin process reads YAML

    try:
        reading = read_yaml(content.decode())
    except UnicodeDecodeError as error:
        raise _invalid("is not UTF-8") from error
    if reading.flaws:
        first = reading.flaws[0]
        # The parser's own words may repeat the text: the place is told, and what we say ourselves.
        raise _invalid(f"is no YAML within bounds, line {first.at.line}", "write plain YAML 1.2 without tags")
    value: JsonValue = orjson.loads(orjson.dumps(reading.tree))
    return value


def _check(document: JsonObject) -> None:
    """Depth, size, and references that stay inside. A loop, for documents may be deep."""
    count = 0
    open_: list[tuple[JsonValue, int]] = [(document, 0)]
    while open_:
        node, depth = open_.pop()
        count += 1
        if depth > DEEPEST or count > MOST_NODES:
            raise _invalid("is too deep or too large", f"at most {DEEPEST} levels and {MOST_NODES} values")
        if isinstance(node, Mapping):
            ref = node.get("$ref")
            if isinstance(ref, str):
                names_of(ref)
            if any(isinstance(node.get(name), str) for name in _MOVING):
                raise _invalid("moves the base of its references", "drop $id, $anchor and dynamic references")
            open_ += [(each, depth + 1) for each in node.values()]
        elif isinstance(node, (list, tuple)):
            open_ += [(each, depth + 1) for each in node]


def _look_at_references(document: JsonObject) -> None:
    """References that meet themselves without going into the value never end; those that fan out never end in time."""
    costs: dict[int, int] = {}
    for node in _mappings(document):
        _cost(document, node, costs, 0)


def _mappings(node: JsonValue) -> Iterator[JsonObject]:
    open_ = [node]
    while open_:
        one = open_.pop()
        if isinstance(one, Mapping):
            yield one
            open_ += one.values()
        elif isinstance(one, (list, tuple)):
            open_ += one


def _cost(document: JsonObject, node: JsonObject, costs: dict[int, int], depth: int) -> int:
    """How many schemas a value is held against where this one is: itself, and those that apply to the same value."""
    known = costs.get(id(node))
    if known is not None:
        if known == 0:
            raise _invalid("refers to itself without an end", "put the reference below properties or items")
        return known
    if depth > 256:
        raise _invalid("has references in too long a row")
    costs[id(node)] = 0
    total = 1
    for inner in _in_place(document, node):
        total += _cost(document, inner, costs, depth + 1)
        if total > MOST_CHECKS:
            raise _invalid("has references that fan out too far", "at most 2000 schemas for one value")
    costs[id(node)] = total
    return total


def _in_place(document: JsonObject, node: JsonObject) -> Iterator[JsonObject]:
    ref = node.get("$ref")
    if isinstance(ref, str):
        target = at(document, names_of(ref))
        if not isinstance(target, Mapping):
            raise _invalid("refers to what is not there", "references lead to an object of the document")
        yield target
    for name in _IN_PLACE:
        inner = node.get(name)
        if name == "dependentSchemas":
            inner = tuple(inner.values()) if isinstance(inner, Mapping) else ()
        for one in inner if isinstance(inner, (list, tuple)) else (inner,):
            if isinstance(one, Mapping):
                yield one
