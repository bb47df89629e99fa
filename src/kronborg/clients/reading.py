"""Settings of clients and APIs as somebody wrote them: JSON values by name become a frozen value, or named problems.

Used where they come in by themselves: registration, metadata documents, the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, cast

import orjson

from kronborg.clients.settings import Settings
from kronborg.core.errors import Invalid, Problem
from kronborg.core.json import JsonValue
from kronborg.core.suggest import nearest

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def read_settings(kind: type[Settings], values: Mapping[str, JsonValue]) -> Settings:
    """The settings that these values say; a text is no number and a number no text.

    Raises `Invalid` with every problem, each at `settings.<name>`.
    """
    from pydantic import ValidationError

    from kronborg.core.wording import said

    known = [one.name for one in fields(kind)]
    problems = [
        Problem(f"settings.{name}", "is not a known setting", nearest(name, known))
        for name in values
        if name not in known
    ]
    if problems:
        raise Invalid(*problems)
    try:
        return _adapter(kind).validate_json(orjson.dumps(values), strict=True)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            detail, _, mend = said(one).partition("; ")
            where, *index = one["loc"]
            problems.append(Problem(f"settings.{where}" + "".join(f"[{i}]" for i in index[:1]), detail, mend))
        raise Invalid(*problems) from None


_adapters: dict[str, object] = {}


def _adapter(kind: type[Settings]) -> TypeAdapter[Settings]:
    """Made when it is first needed: pydantic costs a process more memory than all of our clients."""
    from pydantic import TypeAdapter

    if kind.__name__ not in _adapters:
        _adapters[kind.__name__] = TypeAdapter(kind)
    return cast("TypeAdapter[Settings]", _adapters[kind.__name__])
