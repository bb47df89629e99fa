"""Frozen values as plain JSON and back: how the supervisor hands settings to its children, and how stores keep them.

Only what such values are made of is known: dataclasses, tuples, mappings by text, paths, durations, literals and the
plain values of JSON. Reading is the exact inverse of writing, but that a member which is not there means its default:
what was kept before the member existed stays readable. Nothing is converted.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
_Reader = Callable[[Any], Any]


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
    """The value that `freeze` made this of. Raises `TypeError` when a member without a default is missing."""
    return cast("T", _reader(cast("Any", kind))(plain))


@cache
def _reader(kind: Any) -> _Reader:
    """What reads one type, made once: ten thousand routes are read through it."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (only,) = (each for each in inner if each is not type(None))
        read = _reader(only)
        return lambda plain: None if plain is None else read(plain)
    if origin is Literal:
        return _as_it_is
    if is_dataclass(kind) and isinstance(kind, type):
        return _object_reader(kind)
    if origin is tuple:
        return _tuple_reader(inner)
    if origin is not None and issubclass(origin, Mapping):
        value = _reader(inner[1])
        return lambda plain: {key: value(each) for key, each in plain.items()}
    if kind is Path:
        return lambda plain: None if plain is None else Path(plain)
    if kind is timedelta:
        return lambda plain: None if plain is None else timedelta(seconds=plain)
    return _as_it_is


def _as_it_is(plain: Any) -> Any:
    return plain


def _object_reader(kind: type) -> _Reader:
    hints = get_type_hints(kind)
    readers = [(field.name, _reader(hints[field.name])) for field in fields(kind)]
    return lambda plain: (
        None if plain is None else kind(**{name: read(plain[name]) for name, read in readers if name in plain})
    )


def _tuple_reader(inner: tuple[Any, ...]) -> _Reader:
    if inner[-1] is Ellipsis:
        each = _reader(inner[0])
        return lambda plain: tuple(map(each, plain))
    several = [_reader(one) for one in inner]
    return lambda plain: tuple(read(value) for read, value in zip(several, plain, strict=True))
