"""`--set NAME=VALUE`: settings of clients and APIs on the command line, each read as its type wants it."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Union, get_args, get_origin, get_type_hints

import orjson
import typer

from kronborg.clients.reading import read_settings
from kronborg.clients.settings import Settings
from kronborg.core.json import JsonValue

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting, by its name in kronborg.yaml; may be repeated."),
]


def settings_from(kind: type[Settings], pairs: list[str] | None) -> Settings:
    """The settings that these options say. Raises `Invalid` with every problem, and names near to mistyped ones."""
    hints = get_type_hints(kind)
    values: dict[str, JsonValue] = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals:
            raise typer.BadParameter("write NAME=VALUE", param_hint="--set")
        if name in values:
            raise typer.BadParameter("names a setting twice", param_hint="--set")
        values[name] = _value(hints.get(name), text)
    return read_settings(kind, values)


def _value(hint: object, text: str) -> JsonValue:
    """The text as a value of this type where it can be one, else as it is: reading says what is wrong."""
    inside = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kinds = {get_origin(one) or one for one in inside}
    if bool in kinds:
        return {"true": True, "false": False}.get(text, text)
    if int in kinds and text.removeprefix("-").isdecimal():
        return int(text[:20])
    if tuple in kinds and not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if tuple in kinds or Mapping in kinds or dict in kinds:
        try:
            value: JsonValue = orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
        return value
    return text
