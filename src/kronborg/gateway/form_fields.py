"""What the forms of routes and services are made of: inputs, groups of them, and how a value goes in and comes out.

A group stands for one value inside a route or a service. A value that its inputs cannot say exactly stays in the YAML
of the form, so that nothing is lost when it is saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, cast

from kronborg.core.durations import write_duration
from kronborg.core.errors import Problem
from kronborg.core.json import JsonValue

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Values = dict[str, str]
Kind = Literal["text", "number", "duration", "size", "choice", "tick", "words", "lines", "claims", "shares", "area"]
"""How something is written: `words` have no space in them and `lines` may; `claims` are `name = one, another`, and
`shares` an address and its weight, one in a line."""

EXAMPLES: dict[Kind, str] = {
    "duration": "Such as 500ms, 5s, 10m or 1h.",
    "size": "Such as 512B, 64KiB or 1MiB.",
    "words": "One in a line.",
    "lines": "One in a line.",
    "claims": "One in a line: department = sales, support.",
    "shares": "One in a line, each with its weight: http://orders-1.example:8080 3.",
}
SEVERAL: tuple[Kind, ...] = ("words", "lines", "claims", "shares")


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to fill in. `name` leads to it inside the value of its group."""

    name: str
    label: str
    kind: Kind = "text"
    options: tuple[tuple[str, str], ...] = ()
    example: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The inputs of one field of a route or a service, whose value is a `noun`.

    `optional`: there may be none. `rows`: there may be so many of them.
    """

    name: str
    title: str
    noun: type
    inputs: tuple[Input, ...]
    lead: str = ""
    optional: bool = True
    rows: int = 0


@dataclass(frozen=True, slots=True)
class ShownInput:
    """An input as a page shows it."""

    name: str
    label: str
    kind: Kind
    value: str
    hint: str
    options: tuple[tuple[str, str], ...]
    error: str | None


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """A group, or one row of one, as a page shows it; `told` is what it says in a word."""

    name: str
    title: str
    lead: str
    optional: bool
    on: bool
    was: bool
    error: str | None
    inputs: tuple[ShownInput, ...]

    @property
    def open(self) -> bool:
        """Whether it is unfolded from the start: something in it is wrong."""
        return self.error is not None or any(one.error for one in self.inputs)


def write(group: Group, value: JsonValue) -> Values | None:
    """A value as the texts of its inputs; None when they cannot say it exactly."""
    rows = value if isinstance(value, (list, tuple)) else [value]
    found: Values = {}
    if group.rows and len(rows) > group.rows:
        return None
    for number, row in enumerate(rows):
        prefix = f"{group.name}.{number}" if group.rows else group.name
        if not isinstance(row, Mapping):
            return None
        if group.optional:
            found |= {prefix: "1", f"{prefix}.was": "1"}
        for one in group.inputs:
            text = _text(one.kind, _at(row, one.name))
            if text is None:
                return None
            if one.kind != "tick" or text:
                found[f"{prefix}.{one.name}"] = text
    return found if _same(group, read(group, found), value) else None


def read(group: Group, values: Mapping[str, str]) -> JsonValue:
    """The value that is filled in, as a file would have it; None where the group is off."""
    if group.rows:
        return tuple(_row(group, f"{group.name}.{number}", values) for number in rows_of(group, values)) or None
    if group.optional and values.get(group.name) != "1":
        return None
    return _row(group, group.name, values)


def shares_in(text: str) -> tuple[JsonValue, ...]:
    """Addresses with their weights, one in a line."""
    return tuple(_share(line) for line in _lines(text.replace("\r\n", "\n")))


def shares_text(value: JsonValue) -> str:
    """The same as text."""
    return _text("shares", value) or ""


def rows_of(group: Group, values: Mapping[str, str]) -> tuple[int, ...]:
    """The numbers of the rows that count."""
    return tuple(number for number in range(group.rows) if values.get(f"{group.name}.{number}") == "1")


def forgotten(group: Group, values: Mapping[str, str]) -> Iterator[Problem]:
    """Things that were filled in where the group itself was never ticked."""
    prefixes = [f"{group.name}.{number}" for number in range(group.rows)] if group.rows else [group.name]
    usual = usual_of(group)
    for prefix in prefixes if group.optional else ():
        if values.get(prefix) == "1" or values.get(f"{prefix}.was") == "1":
            continue
        names = [one.name for one in group.inputs]
        if any(_clean(values.get(f"{prefix}.{name}", usual[name])) != _clean(usual[name]) for name in names):
            yield Problem(prefix, "is filled in, but not ticked", "tick it, or take out what you wrote")


def misread(group: Group, values: Mapping[str, str]) -> Iterator[Problem]:
    """Lines that are not as such lines are written."""
    prefixes = [f"{group.name}.{number}" for number in rows_of(group, values)] if group.rows else [group.name]
    for prefix in prefixes:
        for one in group.inputs:
            text = values.get(f"{prefix}.{one.name}", "")
            if one.kind == "claims" and any("=" not in line for line in _lines(text)):
                yield Problem(f"{prefix}.{one.name}", "has a line without =", "write name = value, another value")


@lru_cache(maxsize=64)
def usual_of(group: Group) -> Mapping[str, str]:
    """What the inputs say where nothing was chosen."""
    return {one.name: _text(one.kind, _default(group.noun, one)) or "" for one in group.inputs}


def shown(group: Group, values: Mapping[str, str], errors: Mapping[str, str]) -> tuple[ShownGroup, ...]:
    """The group as a page shows it; of rows those that are filled in, and an empty one."""
    if not group.rows:
        return (_shown(group, group.name, group.title, values, errors),)
    filled = [n for n in range(group.rows) if any(name.startswith(f"{group.name}.{n}") for name in values)]
    used = [n for n in filled if values.get(f"{group.name}.{n}") == "1" or f"{group.name}.{n}.was" in values]
    last = max([*used, -1]) + 1
    numbers = [
        n for n in range(group.rows) if n <= last or any(name.startswith(f"{group.name}.{n}") for name in errors)
    ]
    return tuple(
        _shown(
            group,
            f"{group.name}.{n}",
            f"{group.title} {n + 1}" if n < last else f"Another {group.title.lower()}",
            values,
            errors,
        )
        for n in numbers
    )


def _shown(group: Group, prefix: str, title: str, values: Mapping[str, str], errors: Mapping[str, str]) -> ShownGroup:
    usual, schema = usual_of(group), _schema(group.noun)
    on = not group.optional or values.get(prefix) == "1"
    untouched = not any(name.startswith(f"{prefix}.") for name in values)
    inputs = []
    for one in group.inputs:
        name = f"{prefix}.{one.name}"
        default = usual[one.name] if untouched or one.kind != "tick" else ""
        meaning = str(_property(schema, one.name).get("description", "")).replace("`", "").replace("\n", " ")
        hint = " ".join(part for part in (meaning, one.example or EXAMPLES.get(one.kind, "")) if part)
        value = values.get(name, default)
        options = one.options or _options(_property(schema, one.name))
        inputs.append(ShownInput(name, one.label, one.kind, value, hint, options, errors.get(name)))
    was = values.get(f"{prefix}.was") == "1"
    return ShownGroup(prefix, title, group.lead, group.optional, on, was, errors.get(prefix), tuple(inputs))


def _row(group: Group, prefix: str, values: Mapping[str, str]) -> JsonValue:
    found: dict[str, JsonValue] = {}
    for one in group.inputs:
        value = _value(one.kind, values.get(f"{prefix}.{one.name}", ""))
        if value is None:
            continue  # left empty: as it is where nothing is said
        *above, last = one.name.split(".")
        inside = found
        for name in above:
            below = inside.setdefault(name, {})
            assert isinstance(below, dict)  # noqa: S101  # made here
            inside = below
        inside[last] = value
    return found


def _value(kind: Kind, text: str) -> JsonValue:
    text = text.replace("\r\n", "\n")
    if kind == "tick":
        return text == "1"
    if kind == "area":
        return text or None
    if kind == "words":
        return list(text.split()) or None
    if kind == "lines":
        return list(_lines(text)) or None
    if kind == "claims":
        return [_claim(line) for line in _lines(text)] or None
    if kind == "shares":
        return [_share(line) for line in _lines(text)] or None
    if kind == "size" and text.strip().isdecimal():
        return int(text)
    return text.strip() or None


def _text(kind: Kind, value: JsonValue) -> str | None:
    """How a value is shown; None when that is no way to say it."""
    if value is None or kind == "tick":
        return "1" if value is True else ""
    if kind in SEVERAL:
        several = value if isinstance(value, (list, tuple)) else [value]
        return "\n".join(_line(kind, one) for one in several)
    if isinstance(value, (Mapping, list, tuple)):
        return None
    text = str(value)
    # Of a text area browsers drop a first line break, and write the others their own way.
    return None if text.startswith("\n") else text


def _line(kind: Kind, value: JsonValue) -> str:
    if isinstance(value, Mapping):
        if kind == "shares":
            return f"{value.get('url')} {value.get('weight')}"
        said = value.get("values")
        return f"{value.get('claim')} = {', '.join(map(str, said if isinstance(said, (list, tuple)) else ()))}"
    return str(value)


def _claim(line: str) -> JsonValue:
    name, _, values = line.partition("=")
    return {"claim": name.strip(), "values": [one.strip() for one in values.split(",") if one.strip()]}


def _share(line: str) -> JsonValue:
    url, _, weight = line.partition(" ")
    return {"url": url, "weight": weight.strip()} if weight.strip() else {"url": url}


def _default(noun: type, one: Input) -> JsonValue:
    """What a field says where nothing is said; None where it must be."""
    found: object = noun
    for part in one.name.split("."):
        if not isinstance(found, type):
            found = getattr(found, part, None)
            continue
        said = next(field for field in fields(found) if field.name == part)
        found = said.default_factory() if said.default_factory is not MISSING else said.default
    if found is MISSING:
        return None
    if isinstance(found, timedelta):
        return write_duration(found)
    if one.kind == "size" and isinstance(found, int):
        from kronborg.core.quantities import write_size

        return write_size(found)
    return cast("JsonValue", found)


def _options(said: Mapping[str, JsonValue]) -> tuple[tuple[str, str], ...]:
    values = said.get("enum")
    return tuple((str(one), str(one).replace("_", " ")) for one in values) if isinstance(values, list) else ()


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _at(value: Mapping[str, JsonValue], name: str) -> JsonValue:
    found: JsonValue = value
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _same(group: Group, told: JsonValue, value: JsonValue) -> bool:
    """Whether what the inputs say is the value again, with all that they do not show."""
    from pydantic import ValidationError

    adapter = _adapter(group.noun)
    olds, news = (one if isinstance(one, (list, tuple)) else [one] for one in (value, told))
    try:
        return [adapter.validate_python(one) for one in olds] == [adapter.validate_python(one) for one in news]
    except ValidationError:
        return False


@lru_cache(maxsize=64)
def _adapter(noun: type) -> TypeAdapter[object]:
    from pydantic import TypeAdapter

    return TypeAdapter(noun)


@lru_cache(maxsize=64)
def _schema(noun: type) -> Mapping[str, JsonValue]:
    return _adapter(noun).json_schema()


def _property(schema: Mapping[str, JsonValue], name: str) -> Mapping[str, JsonValue]:
    """What a schema says of a field, however deep."""
    found: Mapping[str, JsonValue] = schema
    for part in name.split("."):
        for ref in _references(found):
            target = _mapping(_mapping(schema.get("$defs")).get(ref.rpartition("/")[2]))
            if part in _mapping(target.get("properties")):
                found = target
        found = _mapping(_mapping(found.get("properties")).get(part))
    return found


def _references(said: Mapping[str, JsonValue]) -> Iterator[str]:
    several = said.get("anyOf")
    for one in (said, *(several if isinstance(several, (list, tuple)) else ())):
        ref = _mapping(one).get("$ref")
        if isinstance(ref, str):
            yield ref


def _mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, Mapping) else {}
