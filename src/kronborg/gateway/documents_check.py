"""A request held against the OpenAPI document of its service. What is said of a failure never repeats what was sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

import orjson

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.content_model import JsonBounds
from kronborg.gateway.documents_compile import Compiled, Operation, Parameter, Schema
from kronborg.gateway.documents_read import at, names_of
from kronborg.gateway.guard_json import Refused, parse

MOST_PAIRS = 1_000
MOST_ERRORS = 5
_FEW = 100
_FORM = "application/x-www-form-urlencoded"
_KNOWN_NAME = re.compile(r"[A-Za-z0-9_.$-]{1,64}")
_TRUTHS = {"true": True, "false": False}
_WHOLE = re.compile(r"-?[0-9]{1,300}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,300}(?:\.[0-9]{1,300})?(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_SEPARATORS = {"spaceDelimited": " ", "pipeDelimited": "|"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it came: names of headers in lower case, `path` without the query, both undecoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, tuple[str, ...]]
    body: bytes

    def media(self) -> tuple[str, str]:
        """The media type and the charset of the body; empty where they are not told. Raises `Refused`."""
        told = self.headers.get("content-type", ())
        if len(told) > 1:
            raise Refused("wrong_media_type", "one Content-Type")
        kind, _, rest = (told[0] if told else "").partition(";")
        charsets: list[str] = re.findall(r"""charset\s*=\s*["']?([A-Za-z0-9_.:-]*)""", rest, re.IGNORECASE)
        if len(charsets) > 1:
            raise Refused("wrong_media_type", "one charset")  # readers differ in which they believe
        return kind.strip().lower(), charsets[0].lower() if charsets else ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The value of a body that is JSON within its bounds."""

    value: JsonValue


def is_json(media: str) -> bool:
    """Whether a media type is JSON (RFC 6839 section 3.1)."""
    return media == "application/json" or media.endswith("+json")


def check(compiled: Compiled, sent: Sent, bounds: JsonBounds, parsed: Parsed | None = None) -> list[Refused]:
    """Everything against a request, the first few; the body is not read where the rest is wrong already. `parsed` is
    its value where somebody read it before."""
    operations, places = compiled.find(sent.path)
    if not operations:
        return [Refused("not_described", "a path of the document", place="path")]
    operation = operations.get(sent.method)
    if operation is None and sent.method == "HEAD":
        # RFC 9110 section 9.3.2: HEAD asks what GET would answer.
        operation = operations.get("GET")
    if operation is None:
        return [Refused("not_described", "a method of the path", place="method")]
    try:
        wrong = list(_parameters(compiled, operation, sent, places))
        return (wrong or list(_body(compiled, operation, sent, bounds, parsed)))[:MOST_ERRORS]
    except Refused as refused:
        return [refused]


def _parameters(compiled: Compiled, operation: Operation, sent: Sent, places: Mapping[str, str]) -> Iterator[Refused]:
    query = _pairs(sent.query)
    cookies = _cookies(sent)
    for parameter in operation.parameters:
        found = _raw(compiled, parameter, sent, places, query, cookies)
        if found is None:
            if parameter.required:
                yield Refused("invalid_parameter", "is required", parameter.name, parameter.place)
            continue
        if parameter.schema is not None:
            for error in _errors(parameter.schema, found):
                yield Refused("invalid_parameter", error[1], parameter.name, parameter.place)


def _body(
    compiled: Compiled, operation: Operation, sent: Sent, bounds: JsonBounds, parsed: Parsed | None
) -> Iterator[Refused]:
    if not sent.body:
        if operation.body_required:
            yield Refused("invalid_body", "a body")
        return
    media, charset = sent.media()
    schema, known = _for_media(operation, media)
    if not known:
        raise Refused("wrong_media_type", "a Content-Type of the document")
    if is_json(media):
        # RFC 8259 section 8.1
        if charset not in ("", "utf-8"):
            raise Refused("wrong_media_type", "UTF-8")
        value = parse(sent.body, bounds) if parsed is None else parsed.value
    elif media == _FORM and schema is not None:
        value = _form(compiled, schema, sent.body)
    else:
        return
    if schema is not None:
        for pointer, expected in _errors(schema, value):
            yield Refused("invalid_body", expected, pointer)


def _for_media(operation: Operation, media: str) -> tuple[Schema | None, bool]:
    """The schema for a media type, by the most specific range that takes it, and whether one does."""
    for name in (media, f"{media.partition('/')[0]}/*", "*/*"):
        if media and name in operation.bodies:
            return operation.bodies[name], True
    return None, False


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PAIRS)
    except ValueError as error:
        raise Refused("invalid_parameter", f"at most {MOST_PAIRS} parameters", place="query") from error


def _cookies(sent: Sent) -> list[tuple[str, str]]:
    parts = [part.strip() for line in sent.headers.get("cookie", ()) for part in line.split(";")]
    return [(name, value) for name, _, value in (part.partition("=") for part in parts[:MOST_PAIRS])]


def _raw(
    compiled: Compiled,
    parameter: Parameter,
    sent: Sent,
    places: Mapping[str, str],
    query: list[tuple[str, str]],
    cookies: list[tuple[str, str]],
) -> JsonValue:
    """What was sent for a parameter, as its schema reads it; None when nothing was."""
    name = parameter.name
    match parameter.place:
        case "path":
            texts = [unquote(places[name])] if name in places else []
        case "header":
            texts = list(sent.headers.get(name.lower(), ()))
        case "cookie":
            texts = [value for key, value in cookies if key == name]
        case _:
            if parameter.style == "deepObject":
                return _deep(compiled, parameter, query)
            texts = [value for key, value in query if key == name]
    kinds = _kinds(compiled, parameter.schema.node if parameter.schema else {})
    if "object" in kinds and parameter.place == "query" and parameter.explode and not parameter.is_json:
        node = parameter.schema.node if parameter.schema else {}
        return _object(compiled, node, [pair for pair in query if pair[0] in _members(compiled, node)]) or None
    if not texts:
        return None
    if parameter.is_json:
        return _json_text(texts)
    return _typed(compiled, parameter, kinds, texts)


def _typed(compiled: Compiled, parameter: Parameter, kinds: set[str], texts: list[str]) -> JsonValue:
    node = parameter.schema.node if parameter.schema else {}
    if "array" in kinds:
        several = texts
        if not (parameter.explode and parameter.place in ("query", "cookie")):
            separator = _SEPARATORS.get(parameter.style, ",")
            several = [part.strip() for text in texts for part in text.split(separator)]
        if len(several) > MOST_PAIRS:
            raise Refused("invalid_parameter", f"at most {MOST_PAIRS} values", parameter.name, parameter.place)
        inner = _followed(compiled, node.get("items"))
        return [_scalar(_kinds(compiled, inner), one) for one in several]
    if "object" in kinds:
        parts = texts[0].split(",")[: 2 * MOST_PAIRS]
        pairs = (
            [(key, value) for key, _, value in (part.partition("=") for part in parts)]
            if parameter.explode
            else list(zip(parts[::2], parts[1::2], strict=False))
        )
        return _object(compiled, node, pairs)
    if len(texts) > 1:
        # Two values for one: services differ in which they read.
        raise Refused("invalid_parameter", "one value", parameter.name, parameter.place)
    return _scalar(kinds, texts[0])


def _json_text(texts: list[str]) -> JsonValue:
    try:
        return parse(texts[0].encode(), JsonBounds())
    except Refused as refused:
        raise Refused("invalid_parameter", refused.expected, place="query") from refused


def _deep(compiled: Compiled, parameter: Parameter, query: list[tuple[str, str]]) -> JsonValue:
    head = f"{parameter.name}["
    inside = [(key[len(head) : -1], value) for key, value in query if key.startswith(head) and key.endswith("]")]
    return _object(compiled, parameter.schema.node if parameter.schema else {}, inside) if inside else None


def _form(compiled: Compiled, schema: Schema, body: bytes) -> JsonValue:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_PAIRS, errors="strict")
    except ValueError as error:
        raise Refused("invalid_body", f"a form in UTF-8 of at most {MOST_PAIRS} fields") from error
    return _object(compiled, schema.node, pairs)


def _object(compiled: Compiled, node: JsonObject, pairs: list[tuple[str, str]]) -> JsonObject:
    members = _members(compiled, node)
    made: dict[str, JsonValue] = {}
    for name, value in pairs[:MOST_PAIRS]:
        inner = _followed(compiled, members.get(name))
        kinds = _kinds(compiled, inner)
        if "array" in kinds:
            before = made.get(name)
            one = _scalar(_kinds(compiled, _followed(compiled, inner.get("items"))), value)
            made[name] = [*(before if isinstance(before, list) else []), one]
        else:
            made[name] = _scalar(kinds, value)
    return made


def _members(compiled: Compiled, node: JsonObject) -> Mapping[str, JsonValue]:
    told = node.get("properties")
    return told if isinstance(told, Mapping) else {}


def _followed(compiled: Compiled, node: JsonValue) -> JsonObject:
    for _ in range(16):
        ref = node.get("$ref") if isinstance(node, Mapping) else None
        if not isinstance(ref, str):
            break
        node = at(compiled.document, names_of(ref))
    return node if isinstance(node, Mapping) else {}


def _kinds(compiled: Compiled, node: JsonObject) -> set[str]:
    """The types that a schema names, also by the schemas that it is put together from."""
    node = _followed(compiled, node)
    told = node.get("type")
    if isinstance(told, str):
        return {told}
    if isinstance(told, (list, tuple)):
        return {str(one) for one in told}
    parts = [part for name in ("allOf", "anyOf", "oneOf") for part in _several(node.get(name))]
    return {kind for part in parts[:50] for kind in _named(_followed(compiled, part))}


def _several(node: JsonValue) -> tuple[JsonValue, ...]:
    return tuple(node) if isinstance(node, (list, tuple)) else ()


def _named(node: JsonObject) -> set[str]:
    told = node.get("type")
    return {told} if isinstance(told, str) else {str(one) for one in _several(told)}


def _scalar(kinds: set[str], text: str) -> JsonValue:
    """A text as the first type that it can stand for; otherwise the text, which then fits none."""
    if "boolean" in kinds and text in _TRUTHS:
        return _TRUTHS[text]
    if "integer" in kinds and _WHOLE.fullmatch(text):
        return int(text)
    if "number" in kinds and _NUMBER.fullmatch(text):
        return float(text) if any(mark in text for mark in ".eE") else int(text)
    if "null" in kinds and text == "" and "string" not in kinds:
        return None
    return text


def _errors(schema: Schema, value: JsonValue) -> Iterator[tuple[str, str]]:
    """Where a value does not fit, and what would: in the words of the document alone."""
    from jsonschema_rs import ValidationError

    if schema.validator.is_valid(value):
        return
    found: Iterable[ValidationError] = ()
    if _is_small(value):
        found = schema.validator.iter_errors(value)
    else:
        # The library finds all errors, with all that every branch says, before it tells the first: fifty thousand
        # items that fit none of five take it seconds. The first alone takes no time.
        try:
            schema.validator.validate(value)
        except ValidationError as first:
            found = (first,)
    for number, error in enumerate(found):
        if number >= MOST_ERRORS:
            return
        pointer = "".join(f"/{_shown(part)}" for part in error.instance_path[:32])
        yield pointer, _expected(error.kind)


def _is_small(value: JsonValue) -> bool:
    """Whether a value holds so few others that all errors may be told."""
    open_, count = [value], 0
    while open_:
        one = open_.pop()
        inside = one.values() if isinstance(one, Mapping) else one if isinstance(one, (list, tuple)) else ()
        count += len(inside)
        if count > _FEW:
            return False
        open_ += inside
    return True


def _shown(part: str | int) -> str:
    """A name inside the body, unless it is nothing that a document would name."""
    return str(part) if isinstance(part, int) or _KNOWN_NAME.fullmatch(part) else "*"


_TOLD = ("limit", "types", "property", "options", "pattern", "format", "multiple_of", "expected_value")


def _plain(told: object) -> str:
    if isinstance(told, list) and all(isinstance(one, str) for one in told):
        return ", ".join(told)
    return orjson.dumps(told, default=str).decode()


def _expected(kind: object) -> str:
    """`minimum 0`, `required price`: a keyword of the schema and what it says there."""
    keyword = str(getattr(kind, "name", ""))
    for name in _TOLD:
        told = getattr(kind, name, None)
        if told is not None:
            text = told if isinstance(told, str) else _plain(told)
            return f"{keyword} {text}"[:200]
    return keyword[:100]
