"""Frozen values as plain JSON and back: how the supervisor hands settings to its children.

Only what settings are made of is known: dataclasses, tuples, mappings by text, paths, durations, literals and the plain
values of JSON. Reading is the exact inverse of writing; nothing is converted.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def freeze(value: object) -> object:
    """A value as JSON would have it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: freeze(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): freeze(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [freeze(each) for each in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value


def thaw(kind: type[T], plain: object) -> T:
    """The value that `freeze` made this of."""
    return cast("T", _thaw(kind, plain))


def _thaw(kind: Any, plain: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if plain is None or origin is Literal:
        return plain
    if origin in (Union, types.UnionType):
        (only,) = (each for each in inner if each is not type(None))
        return _thaw(only, plain)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{field.name: _thaw(hints[field.name], plain[field.name]) for field in fields(kind)})
    if origin is tuple:
        each = [inner[0]] * len(plain) if inner[-1] is Ellipsis else inner
        return tuple(_thaw(one, value) for one, value in zip(each, plain, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return {key: _thaw(inner[1], value) for key, value in plain.items()}
    if kind in (Path, timedelta):
        return Path(plain) if kind is Path else timedelta(seconds=plain)
    return plain
