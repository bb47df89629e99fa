"""Services and routes as forms of the console: most fields one by one, all others as YAML.

What the inputs cannot say exactly stands in the YAML too, so that a form that is saved as it was shown changes nothing.
Errors in the YAML are told at their line. The vocabulary is that of a file; it is loaded when the first form is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING, cast

from kronborg.core.errors import Invalid, Problem
from kronborg.core.json import JsonValue
from kronborg.gateway.form_fields import (
    Group,
    Values,
    forgotten,
    misread,
    read,
    rows_of,
    shares_in,
    shares_text,
    write,
)
from kronborg.gateway.form_groups import ROUTE_GROUPS, SERVICE_GROUPS
from kronborg.gateway.model import METHODS, Route, Service

if TYPE_CHECKING:
    from pydantic import ValidationError

    from kronborg.gateway.declare.parts import Section
    from kronborg.gateway.declare.yaml_tree import Position, Tree

PATHS = ("prefix", "path", "template", "regex")
OWN = (
    *("service", "host", *PATHS, "methods", "public", "audience", "scopes", "roles", "policies"),
    *("timeout", "idle", "max_body", "cookies", "retry_keyed"),
)
"""The fields of a route that have inputs of their own, beside those of its groups."""
OWN_OF_SERVICE = ("url", "urls", "replicas", "http2", "connect_timeout", "dns_refresh")
_EMPTY: tuple[JsonValue, ...] = (None, [], {}, "")
_LOOKED_AT = 40
"""Members of a value, and values of a list, that are looked at for what is as usual."""
_AT = dict.fromkeys(PATHS, "at") | {"": "access", "route": "access", "public": "access", "url": "urls"}
"""Where the problems of fields are told whose inputs have another name."""

_WHOLE = ("path", "service", "urls")
"""What is wrong with a section as a whole is told at these fields."""


@dataclass(frozen=True, slots=True)
class FieldHelp:
    """What a field of a file means."""

    name: str
    text: str


def groups_of(kind: type[Route | Service]) -> tuple[Group, ...]:
    """The groups of a form."""
    return ROUTE_GROUPS if kind is Route else SERVICE_GROUPS


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
        "policies": "\n".join(route.policies),
        "timeout": str(fields["timeout"]),
        "idle": str(fields["idle"] or ""),
        "max_body": str(fields["max_body"]),
        **{f"method:{method}": "1" for method in route.methods},
        **{name: "1" for name in ("cookies", "retry_keyed") if fields[name]},
    }
    told, own = _told(ROUTE_GROUPS, fields)
    return values | told | {"more": _yaml(_chosen(RouteSection, fields, (*OWN, *own)))}


def service_values(service: Service) -> Values:
    """A service as the values of its form."""
    from kronborg.gateway.declare.route_section import ServiceSection, service_fields

    fields = service_fields(service)
    values = {
        "name": service.name,
        "urls": "\n".join(service.urls),
        "replicas": shares_text(fields["replicas"]),
        "connect_timeout": str(fields["connect_timeout"]),
        "dns_refresh": str(fields["dns_refresh"]),
        **({"http2": "1"} if service.http2 else {}),
    }
    told, own = _told(SERVICE_GROUPS, fields)
    return values | told | {"more": _yaml(_chosen(ServiceSection, fields, (*OWN_OF_SERVICE, *own)))}


def _told(groups: Sequence[Group], fields: Mapping[str, JsonValue]) -> tuple[Values, tuple[str, ...]]:
    """What the groups say, and the fields that they say whole."""
    values: Values = {}
    own = []
    for group in groups:
        value = fields.get(group.name)
        if value in _EMPTY:
            continue
        written = write(group, value)
        if written is not None:
            values |= written
            own.append(group.name)
    return values, tuple(own)


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
        "idle": values.get("idle", "").strip() or None,
        "max_body": values.get("max_body", "").strip() or "1MiB",
        "cookies": values.get("cookies") == "1",
        "retry_keyed": values.get("retry_keyed") == "1",
        "policies": tuple(values.get("policies", "").split()),
    }
    if values.get("access") == "public":
        told["public"] = True
    else:
        told["audience"] = values.get("audience", "").strip() or None
        told["scopes"] = tuple(values.get("scopes", "").split())
        told["roles"] = tuple(values.get("roles", "").split())
    section = cast("RouteSection", _section(RouteSection, told, values, OWN, ROUTE_GROUPS))
    return route_of(values.get("name", "").strip(), section, audience=section.audience)


def service_in(values: Mapping[str, str]) -> Service:
    """The service that a form describes. Raises `Invalid`."""
    from kronborg.gateway.declare.route_section import ServiceSection, service_of

    told: dict[str, object] = {
        "urls": tuple(values.get("urls", "").split()),
        "replicas": shares_in(values.get("replicas", "")),
        "http2": values.get("http2") == "1",
        "connect_timeout": values.get("connect_timeout", "").strip() or "1s",
        "dns_refresh": values.get("dns_refresh", "").strip() or "5s",
    }
    section = cast("ServiceSection", _section(ServiceSection, told, values, OWN_OF_SERVICE, SERVICE_GROUPS))
    return service_of(values.get("name", "").strip(), section)


def errors_of(
    problems: Sequence[Problem], kind: type[Route | Service], name: str, values: Mapping[str, str]
) -> dict[str, str]:
    """What is wrong with each input, in a sentence; a problem whose place is no input stands at the group around it."""
    groups = {group.name: group for group in groups_of(kind)}
    base = {*(OWN if kind is Route else OWN_OF_SERVICE), *_AT.values(), "name", "draft", "more"}
    known = base | {f"{prefix}{rest}" for one in groups.values() for prefix in _prefixes(one) for rest in _rests(one)}
    found: dict[str, str] = {}
    home = "routes" if kind is Route else "services"
    for problem in problems:
        parts = problem.where.split(".")
        if parts[:2] == [home, name]:
            parts = parts[2:] or [""]
        group = groups.get(parts[0])
        if group is not None and group.rows and len(parts) > 1 and parts[1].isdecimal():
            rows = rows_of(group, values)
            parts[1] = str(rows[int(parts[1])]) if int(parts[1]) < len(rows) and not _own(problem) else parts[1]
        if group is not None and group.rows and len(parts) == 1:
            parts.append(str(max((*rows_of(group, values), 0))))
        parts[0] = _AT.get(parts[0], parts[0]) if len(parts) == 1 else parts[0]
        while parts and ".".join(parts) not in known:
            parts.pop()
        said = problem.detail + (f": {problem.mend}" if problem.mend else "")
        if parts:
            found.setdefault(".".join(parts), said)
    return found


def _own(problem: Problem) -> bool:
    """Whether a problem was found in the form itself, which counts all its rows."""
    return problem.detail in ("is filled in, but not ticked", "has a line without =")


def _prefixes(group: Group) -> Sequence[str]:
    return [f"{group.name}.{number}" for number in range(group.rows)] or [group.name]


def _rests(group: Group) -> Sequence[str]:
    return ["", *(f".{one.name}" for one in group.inputs)]


def help_of(kind: type[Route | Service]) -> tuple[FieldHelp, ...]:
    """The fields that the YAML of a form may hold, with what each means."""
    own = {*(OWN if kind is Route else OWN_OF_SERVICE), *(group.name for group in groups_of(kind))}
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
        name: _short(section, name, value)
        for name, value in fields.items()
        if name not in but and value not in _EMPTY and value != plain.get(name)
    }


def _short(section: type[Section], name: str, value: JsonValue) -> JsonValue:
    """A value without members that say nothing, where it is the same value without them."""
    if not isinstance(value, (Mapping, list, tuple)):
        return value
    from pydantic import TypeAdapter

    adapter: TypeAdapter[object] = TypeAdapter(section.model_fields[name].annotation or object)

    def same(other: JsonValue) -> bool:
        try:
            return adapter.validate_python(other, strict=False) == meant
        except ValueError:
            return False

    try:
        meant = adapter.validate_python(value, strict=False)
    except ValueError:
        return value
    short = _without_nothing(value)
    return _least(short, same) if same(short) else value


def _least(value: JsonValue, same: Callable[[JsonValue], bool]) -> JsonValue:
    """Without the members, its own or of those in its list, that it has anyway; of long ones nothing is left out."""
    if isinstance(value, (list, tuple)):
        whole = list(value)
        for place, one in enumerate(whole[:_LOOKED_AT]):
            before, after = whole[:place], whole[place + 1 :]
            whole[place] = _least(one, partial(_within, same, before, after)) if isinstance(one, Mapping) else one
        return whole
    if not isinstance(value, Mapping) or len(value) > _LOOKED_AT:
        return value
    kept: Mapping[str, JsonValue] = value
    for name in value:
        less = {key: one for key, one in kept.items() if key != name}
        kept = less if same(less) else kept
    return kept


def _within(
    same: Callable[[JsonValue], bool], before: Sequence[JsonValue], after: Sequence[JsonValue], one: JsonValue
) -> bool:
    return same([*before, one, *after])


def _yaml(fields: Mapping[str, JsonValue]) -> str:
    if not fields:
        return ""
    from ruamel.yaml import YAML

    writer, text = YAML(typ="safe", pure=True), StringIO()
    writer.default_flow_style, writer.sort_base_mapping_type_on_output = False, False  # type: ignore[assignment]
    writer.width = 100
    writer.dump(fields, text)
    return text.getvalue()


def _without_nothing(value: JsonValue) -> JsonValue:
    """Without members that say nothing, which only make a text long."""
    if isinstance(value, Mapping):
        return {name: _without_nothing(one) for name, one in value.items() if one not in _EMPTY}
    return [_without_nothing(one) for one in value] if isinstance(value, (list, tuple)) else value


def _section(
    section: type[Section],
    told: dict[str, object],
    values: Mapping[str, str],
    own: Sequence[str],
    groups: Sequence[Group],
) -> Section:
    from pydantic import ValidationError

    from kronborg.gateway.declare.yaml_tree import read_yaml

    more = values.get("more", "")
    reading = read_yaml(more)
    problems = [Problem(f"more:{flaw.at.line}", flaw.detail, flaw.mend) for flaw in reading.flaws]
    extra: Tree = reading.tree if more.strip() else {}
    if extra is not None and not isinstance(extra, Mapping):
        problems.append(Problem("more:1", "is no mapping", "write key: value, one in a line"))
        extra = {}
    for group in groups:
        problems += [*forgotten(group, values), *misread(group, values)]
        value = read(group, values)
        if value is not None and not (group.name in (extra or {}) and not group.optional):
            told[group.name] = value
    for name in extra or {}:
        if name in own or name in told:
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
        where = ".".join(str(part) for part in path) or (one["type"] if one["type"] in _WHOLE else "route")
        if path and path[0] in extra:
            at = next((places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places), None)
            where = f"more:{at.line if at else 1}"
        detail, _, mend = str(one["msg"]).partition("; ")
        told = ".".join(str(part) for part in path) if where.startswith("more:") else ""
        found.append(Problem(where, f"{told} {detail}".strip(), mend))
    return tuple(found)
