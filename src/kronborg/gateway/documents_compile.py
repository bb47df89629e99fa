"""An OpenAPI document made ready for requests: paths as expressions, schemas as validators, each made once.

Patterns run on an engine without backtracking, so that no text takes more than linear time; a document whose patterns
need one that does is refused when it is made ready.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, urlsplit

from kronborg.core.errors import Invalid, Problem
from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.documents_paths import PLACE, Shape, shape_of
from kronborg.gateway.documents_read import at, operations_of, resolved

if TYPE_CHECKING:
    from jsonschema_rs import Registry, Validator

_ROOT = "urn:kronborg:document"
_PATTERN_BYTES = 1_048_576
_PLACES = ("path", "query", "header", "cookie")
_STYLES = {"path": "simple", "header": "simple", "query": "form", "cookie": "form"}
_IGNORED = ("accept", "content-type", "authorization")
"""OpenAPI 3.1 section 4.8.12: header parameters of these names are ignored."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema: what decides, and what says which types a text may stand for."""

    validator: Validator
    node: JsonObject


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation. `schema` None: anything."""

    name: str
    place: str
    required: bool
    style: str
    explode: bool
    is_json: bool
    schema: Schema | None


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method of one path takes. `bodies` are schemas by media type; None for a type without one."""

    path: str
    method: str
    parameters: tuple[Parameter, ...]
    body_required: bool
    bodies: Mapping[str, Schema | None]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A document that requests are held against."""

    document: JsonObject
    bases: tuple[str, ...]
    exact: Mapping[str, Mapping[str, Operation]]
    shapes: tuple[tuple[Shape, Mapping[str, Operation]], ...]

    def find(self, path: str) -> tuple[Mapping[str, Operation], dict[str, str]]:
        """The operations of a path by method, and what stands in its places; none when it is not described."""
        for base in self.bases:
            if not path.startswith(base):
                continue
            rest = path[len(base) :] or "/"
            # OpenAPI 3.1 section 4.8.8.2: concrete paths are matched before their templated counterparts.
            if rest in self.exact:
                return self.exact[rest], {}
            for shape, operations in self.shapes:
                found = shape.read(rest)
                if found is not None:
                    return operations, found
        return {}, {}


def compile_document(document: JsonObject) -> Compiled:
    """Make a document ready. Raises `Invalid` for a schema or a pattern that cannot be."""
    from jsonschema_rs import ReferencingError, Registry

    told = _modern(document) if str(document.get("openapi")).startswith("3.0.") else document
    told = cast("JsonObject", told)
    try:
        maker = _Maker(told, Registry([(_ROOT, cast("dict[str, object]", told))], draft=_draft()))
        by_path: dict[str, dict[str, Operation]] = {}
        for path, method, operation, item in operations_of(told):
            by_path.setdefault(path, {})[method.upper()] = maker.operation(path, method, operation, item)
    except (ValueError, ReferencingError) as error:
        # Also what the library says of a schema: a `ValidationError` is a `ValueError`.
        raise Invalid(Problem("document", "holds a schema that does not stand", "patterns are RE2")) from error
    exact = {path: found for path, found in by_path.items() if "{" not in path}
    # Those with more that is fixed come first, lest `/a/{b}` hide `/a/x-{b}`.
    shapes = sorted((path for path in by_path if "{" in path), key=lambda path: (-len(PLACE.sub("", path)), path))
    return Compiled(told, _bases(told), exact, tuple((shape_of(path), by_path[path]) for path in shapes))


def _draft() -> int:
    from jsonschema_rs import Draft202012

    return int(Draft202012)


def _bases(document: JsonObject) -> tuple[str, ...]:
    """The paths of the servers, the longest first; a document may be asked for as it stands, too."""
    found = {""}
    servers = document.get("servers")
    for server in servers if isinstance(servers, (list, tuple)) else ():
        url = server.get("url") if isinstance(server, Mapping) else None
        if isinstance(url, str) and "{" not in url:
            found.add(urlsplit(url).path.rstrip("/"))
    return tuple(sorted(found, key=lambda base: (-len(base), base)))


class _Maker:
    """Makes the operations of one document."""

    def __init__(self, document: JsonObject, registry: Registry) -> None:
        self._document, self._registry = document, registry
        self._made: dict[tuple[str, ...], Schema] = {}

    def operation(self, path: str, method: str, operation: JsonObject, item: JsonObject) -> Operation:
        parameters: dict[tuple[str, str], Parameter] = {}
        place = self._place_of(path)
        for where, holder in ((place, item), ((*place, method), operation)):
            for parameter in self._parameters(holder, where):
                # OpenAPI 3.1 section 4.8.10: those of an operation stand in place of the path's.
                parameters[parameter.place, parameter.name.lower()] = parameter
        body: JsonObject = {}
        inside: tuple[str, ...] = ()
        if "requestBody" in operation:
            body, inside = resolved(self._document, operation["requestBody"], (*place, method, "requestBody"))
        bodies = dict(self._contents(body, inside))
        return Operation(path, method, tuple(parameters.values()), body.get("required") is True, bodies)

    def _place_of(self, path: str) -> tuple[str, ...]:
        item = at(self._document, ("paths", path))
        return resolved(self._document, item, ("paths", path))[1]

    def _parameters(self, holder: JsonObject, place: tuple[str, ...]) -> Iterator[Parameter]:
        several = holder.get("parameters")
        for number, each in enumerate(several if isinstance(several, (list, tuple)) else ()):
            told, inside = resolved(self._document, each, (*place, "parameters", str(number)))
            name, where = told.get("name"), told.get("in")
            if not isinstance(name, str) or where not in _PLACES:
                raise ValueError("a parameter without a name or a place")
            where = str(where)
            if where == "header" and name.lower() in _IGNORED:
                continue
            style = str(told.get("style", _STYLES[where]))
            contents = list(self._contents(told, inside))
            schema = self._schema((*inside, "schema")) if "schema" in told else None
            is_json = bool(contents) and _is_json(contents[0][0])
            if is_json:
                schema = contents[0][1]
            yield Parameter(
                name, where, told.get("required") is True, style, told.get("explode", style == "form") is True,
                is_json, schema,
            )  # fmt: skip

    def _contents(self, holder: JsonObject, place: tuple[str, ...]) -> Iterator[tuple[str, Schema | None]]:
        content = holder.get("content")
        for media, told in content.items() if isinstance(content, Mapping) else ():
            has = isinstance(told, Mapping) and "schema" in told
            checked = _is_json(media) or media.lower() == "application/x-www-form-urlencoded"
            schema = self._schema((*place, "content", media, "schema")) if has and checked else None
            yield media.lower().partition(";")[0].strip(), schema

    def _schema(self, place: tuple[str, ...]) -> Schema:
        from jsonschema_rs import RegexOptions, validator_for

        node, place = resolved(self._document, _object(at(self._document, place)), place)
        if place not in self._made:
            validator = validator_for(
                {"$ref": _ROOT + "#" + "".join("/" + _escaped(name) for name in place)},
                registry=self._registry,
                validate_formats=True,
                pattern_options=RegexOptions(size_limit=_PATTERN_BYTES),
                offline=True,
            )
            self._made[place] = Schema(validator, node)
        return self._made[place]


def _object(node: JsonValue) -> JsonValue:
    """A schema that is `true` or `false` is written as an object."""
    if isinstance(node, bool):
        return {} if node else {"not": {}}
    return node


def _escaped(name: str) -> str:
    return quote(name.replace("~", "~0").replace("/", "~1"), safe="~")


def _is_json(media: str) -> bool:
    plain = media.lower().partition(";")[0].strip()
    return plain == "application/json" or plain.endswith("+json")


def _modern(node: JsonValue) -> JsonValue:
    """OpenAPI 3.0 in the words of 3.1: `nullable`, and bounds that exclude themselves (JSON Schema draft 5)."""
    if isinstance(node, (list, tuple)):
        return [_modern(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    made = {name: _modern(each) for name, each in node.items()}
    kind = made.get("type")
    if made.pop("nullable", None) is True and isinstance(kind, str):
        made["type"] = [kind, "null"]
        options = made.get("enum")
        if isinstance(options, list) and None not in options:
            made["enum"] = [*options, None]
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        told = made.get(exclusive)
        if isinstance(told, bool):
            del made[exclusive]
            if told and bound in made:
                made[exclusive] = made.pop(bound)
    return made
