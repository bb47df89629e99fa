"""Authorization details (RFC 9396): what a token is for, in more words than a scope has. Pure.

What is common to all types (§2.2) is understood here; what a type means beyond that, its API knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from kronborg.clients.directory import Apis
from kronborg.core.json import JsonObject, JsonValue

LISTS = ("locations", "actions", "datatypes", "privileges")
"""RFC 9396 §2.2: the members that are lists of text."""


def audiences_of(details: Sequence[JsonObject], apis: Apis) -> tuple[str, ...]:
    """The APIs that are meant: those named as `locations`, else all that know the type."""
    found: dict[str, None] = {}
    for one in details:
        locations = texts(one.get("locations"))
        known = (a.audience for a in apis.by_audience.values() if one["type"] in a.settings.authorization_details_types)
        found.update(dict.fromkeys(locations or known))
    return tuple(found)


def for_audience(details: Sequence[JsonObject], audience: str, apis: Apis) -> list[JsonObject]:
    """What a token for this API says of them (RFC 9396 §9.1): what is of its own types, and for it."""
    api = apis.by_audience.get(audience)
    if api is None:
        return []
    return [
        one
        for one in details
        if one["type"] in api.settings.authorization_details_types
        and (not one.get("locations") or audience in texts(one.get("locations")))
    ]


def within(asked: JsonObject, granted: Sequence[JsonObject]) -> bool:
    """Whether one of those granted allows all of this: of the same type, with lists no longer, and otherwise equal."""
    return any(_narrower(asked, one) for one in granted)


def texts(value: JsonValue) -> tuple[str, ...]:
    """The texts of a list; nothing for anything else."""
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, (list, tuple)) else ()


def _narrower(asked: JsonObject, granted: JsonObject) -> bool:
    for name in {*asked, *granted}:
        if name in LISTS and name in granted:
            # A list that is left out would allow everything of its kind.
            if name not in asked or not texts(asked[name]) or not set(texts(asked[name])) <= set(texts(granted[name])):
                return False
        elif name in LISTS:
            continue
        elif name not in asked or name not in granted or _written(asked[name]) != _written(granted[name]):
            return False
    return True


def _written(value: JsonValue) -> bytes:
    """One text for each JSON value: Python takes `true` for 1."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
