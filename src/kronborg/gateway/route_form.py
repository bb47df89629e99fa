"""Services and routes as forms of the console: the usual fields one by one, all others as YAML.

Errors in the YAML are told at their line. The vocabulary is that of a file; it is loaded when the first form is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, cast

from kronborg.core.errors import Invalid, Problem
from kronborg.core.json import JsonValue
from kronborg.gateway.model import METHODS, Route, Service

if TYPE_CHECKING:
    from pydantic import ValidationError

    from kronborg.gateway.declare.parts import Section
    from kronborg.gateway.declare.yaml_tree import Position, Tree

PATHS = ("prefix", "path", "template", "regex")
OWN = ("service", "host", *PATHS, "methods", "public", "audience", "scopes", "roles", "timeout", "max_body", "cookies")
"""The fields of a route that have inputs of their own."""
OWN_OF_SERVICE = ("url", "urls", "http2", "connect_timeout")
_EMPTY: tuple[JsonValue, ...] = (None, [], {}, "")

Values = dict[str, str]


@dataclass(frozen=True, slots=True)
class FieldHelp:
    """What a field of a file means."""

    name: str
    text: str


def route_values(route: Route) -> Values:
    """A route as the values of its form; `method:GET` and the like are there for each method let through."""
    from kronborg.gateway.declare.route_section import RouteSection, route_fields

    fields = route_fields(route)
    kind = next(name for name in PATHS if fields.get(name) is not None)
    values = {
        "name": route.name,
        "service": route.service,
        "kind": kind,
        "at": str(fields[kind]),
        "host": route.host or "",
        "access": "public" if route.public else "token",
        "audience": route.audience or "",
        "scopes": "\n".join(sorted(route.scopes)),
        "roles": "\n".join(sorted(route.roles)),
        "timeout": str(fields["timeout"]),
        "max_body": str(fields["max_body"]),
        **{f"method:{method}": "1" for method in route.methods},
        "more": _yaml(_chosen(RouteSection, fields, OWN)),
    }
    return values | ({"cookies": "1"} if route.cookies else {})


def service_values(service: Service) -> Values:
    """A service as the values of its form."""
    from kronborg.gateway.declare.route_section import ServiceSection, service_fields

    fields = service_fields(service)
    values = {
        "name": service.name,
        "urls": "\n".join(service.urls),
        "connect_timeout": str(fields["connect_timeout"]),
        "more": _yaml(_chosen(ServiceSection, fields, OWN_OF_SERVICE)),
    }
    return values | ({"http2": "1"} if service.http2 else {})


def route_in(values: Mapping[str, str]) -> Route:
    """The route that a form describes. Raises `Invalid`; what is wrong in the YAML stands at `more:line`."""
    from kronborg.gateway.declare.route_section import RouteSection, route_of

    kind = values.get("kind", "")
    told: dict[str, object] = {
        "service": values.get("service", "").strip(),
        "host": values.get("host", "").strip() or None,
        kind if kind in PATHS else "prefix": values.get("at", "").strip(),
        "methods": tuple(method for method in METHODS if values.get(f"method:{method}")),
        "timeout": values.get("timeout", "").strip() or "15s",
        "max_body": values.get("max_body", "").strip() or "1MiB",
        "cookies": values.get("cookies") == "1",
    }
    if values.get("access") == "public":
        told["public"] = True
    else:
        told["audience"] = values.get("audience", "").strip() or None
        told["scopes"] = tuple(values.get("scopes", "").split())
        told["roles"] = tuple(values.get("roles", "").split())
    section = cast("RouteSection", _section(RouteSection, told, values.get("more", ""), OWN))
    return route_of(values.get("name", "").strip(), section, audience=section.audience)


def service_in(values: Mapping[str, str]) -> Service:
    """The service that a form describes. Raises `Invalid`."""
    from kronborg.gateway.declare.route_section import ServiceSection, service_of

    told: dict[str, object] = {
        "urls": tuple(values.get("urls", "").split()),
        "http2": values.get("http2") == "1",
        "connect_timeout": values.get("connect_timeout", "").strip() or "1s",
    }
    section = cast("ServiceSection", _section(ServiceSection, told, values.get("more", ""), OWN_OF_SERVICE))
    return service_of(values.get("name", "").strip(), section)


def help_of(kind: type[Route | Service]) -> tuple[FieldHelp, ...]:
    """The fields that the YAML of a form may hold, with what each means."""
    own = OWN if kind is Route else OWN_OF_SERVICE
    return tuple(FieldHelp(name, text) for name, text in hints_of(kind).items() if name not in own)


def hints_of(kind: type[Route | Service]) -> Mapping[str, str]:
    """What each field with an input of its own means."""
    from kronborg.gateway.declare.route_section import RouteSection, ServiceSection

    section = RouteSection if kind is Route else ServiceSection
    return {name: (field.description or "").replace("`", "") for name, field in section.model_fields.items()}


def yaml_of(thing: Route | Service) -> str:
    """A route or a service as a file has it, without what is as usual."""
    from kronborg.gateway.declare.route_section import RouteSection, ServiceSection, route_fields, service_fields

    if isinstance(thing, Route):
        fields = _chosen(RouteSection, route_fields(thing), ())
        return _yaml({"routes": {thing.name: fields}})
    return _yaml({"services": {thing.name: _chosen(ServiceSection, service_fields(thing), ())}})


def _chosen(section: type[Section], fields: Mapping[str, JsonValue], but: Sequence[str]) -> dict[str, JsonValue]:
    """What differs from the usual."""
    usual = {
        name: section.model_fields[name].get_default(call_default_factory=True)
        for name in fields
        if name in section.model_fields
    }
    plain = section.model_construct(**usual).model_dump(mode="json", include=set(usual))
    return {
        name: value
        for name, value in fields.items()
        if name not in but and value not in _EMPTY and value != plain.get(name)
    }


def _yaml(fields: Mapping[str, JsonValue]) -> str:
    if not fields:
        return ""
    from ruamel.yaml import YAML

    writer, text = YAML(typ="safe", pure=True), StringIO()
    writer.default_flow_style, writer.sort_base_mapping_type_on_output = False, False  # type: ignore[assignment]
    writer.width = 100
    writer.dump(_without_nothing(fields), text)
    return text.getvalue()


def _without_nothing(value: JsonValue) -> JsonValue:
    """Without members that say nothing, which only make a text long."""
    if isinstance(value, Mapping):
        return {name: _without_nothing(one) for name, one in value.items() if one not in _EMPTY}
    return [_without_nothing(one) for one in value] if isinstance(value, (list, tuple)) else value


def _section(section: type[Section], told: dict[str, object], more: str, own: Sequence[str]) -> Section:
    from pydantic import ValidationError

    from kronborg.gateway.declare.yaml_tree import read_yaml

    reading = read_yaml(more)
    problems = [Problem(f"more:{flaw.at.line}", flaw.detail, flaw.mend) for flaw in reading.flaws]
    extra: Tree = reading.tree if more.strip() else {}
    if extra is not None and not isinstance(extra, Mapping):
        problems.append(Problem("more:1", "is no mapping", "write key: value, one in a line"))
        extra = {}
    for name in extra or {}:
        if name in own:
            at = reading.keys.get((name,))
            problems.append(Problem(f"more:{at.line if at else 1}", "has a field of its own", "say it there"))
    if problems:
        raise Invalid(*problems)
    try:
        return section.model_validate({**told, **(extra or {})})
    except ValidationError as error:
        raise Invalid(*_said(error, {**reading.keys, **reading.values}, set(extra or {}))) from None


def _said(
    error: ValidationError, places: Mapping[tuple[str | int, ...], Position], extra: set[str]
) -> tuple[Problem, ...]:
    found = []
    for one in error.errors(include_url=False, include_input=False)[:50]:
        path = tuple(one["loc"])
        where = ".".join(str(part) for part in path) or "route"
        if path and path[0] in extra:
            at = next((places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places), None)
            where = f"more:{at.line if at else 1}"
        detail, _, mend = str(one["msg"]).partition("; ")
        told = ".".join(str(part) for part in path) if where.startswith("more:") else ""
        found.append(Problem(where, f"{told} {detail}".strip(), mend))
    return tuple(found)
