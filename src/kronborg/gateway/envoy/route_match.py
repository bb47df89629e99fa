"""Which request a route takes, and in which order routes are asked: the most specific path decides.

Exact paths come first. Of all others, the one whose literal beginning is longer; then regular expressions, templates,
prefixes; then the one that names more. Of routes on one path, the one with more conditions comes first, and between
equals the name decides. A request that fits the path but none of its routes is refused there and then.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy import direct
from kronborg.gateway.model import METHODS, Path, Route
from kronborg.gateway.traffic_model import Condition

# ";" and "\\", plain or encoded, encoded control characters, and what a second decoding would turn into
# a dot, slash, backslash or semicolon. Encoded slashes are refused before routing; letters, digits and "-._~"
# Envoy decodes itself (RFC 3986 section 6.2.2.2).
_ENCODED = "3b|5c|7f|[01][0-9a-f]|25(?:2e|2f|3b|5c)"
# RFC 3629 section 3: bytes that are in no UTF-8, and longer spellings of shorter characters, which careless readers
# take for a dot or a slash. RFC 3986 section 2.1: a percent sign is followed by two digits; "%u002e" was a dot once.
_NO_UTF8 = "c[01]|f[5-9a-f]|e0%[89]|f0%8"
_NO_ENCODING = "[^0-9a-f]|[0-9a-f][^0-9a-f]"
# The other characters of a route's path Envoy compares as they stand, while a service reads "%3A" as ":". Encoded
# they are ordinary (`a%40b.example`), so each is refused only where the path of some route has it.
_SPECIAL = "!$&'()*+,=:@"
_KINDS = {"regex": 0, "template": 1, "prefix": 2, "exact": 3}

Rank = tuple[int, int, int, bool, int, str]


def twisted(routes: Iterable[Route]) -> str:
    """The regular expression of the paths that a service could read as another path than the one decided on."""
    letters: set[str] = set()
    for route in routes:
        letters.update(route.path.letters)
    special = (f"{ord(letter):02x}" for letter in sorted(letters & set(_SPECIAL)))
    encoded = "|".join((_ENCODED, _NO_UTF8, _NO_ENCODING, *special))
    return rf"(?i).*(?:(?:[;\\]|%(?:{encoded})).*|%[0-9a-f]?)"


def rank(path: Path) -> Rank:
    """The place of a path among all; equal for paths that take the same requests, and for no others."""
    pattern = path.pattern
    literal = path.literal
    named = len(pattern.letters if pattern else literal)
    rest = pattern is not None and pattern.rest
    first = 0 if path.kind == "exact" else 1
    return (first, -len(literal), _KINDS[path.kind], rest, -named, path.identity)


def by_path(routes: Iterable[Route]) -> list[list[Route]]:
    """The routes of each path, all in the order in which they are asked."""
    ranked = sorted(((rank(route.path), _place(route), route) for route in routes), key=lambda one: one[:2])
    return [[route for _, _, route in group] for _, group in groupby(ranked, key=lambda one: one[0])]


def _place(route: Route) -> tuple[int, str]:
    return (-len(route.headers) - len(route.query), route.name)


def path_match(path: Path) -> JsonObject:
    """The condition on the path."""
    if path.kind == "exact":
        return {"path": path.stem}
    if path.kind == "prefix":
        return {"path_separated_prefix": path.stem} if path.stem else {"prefix": "/"}
    return {"safe_regex": {"regex": path.identity}}


def twin_match(same_path: Sequence[Route], prefixes: set[str]) -> JsonObject | None:
    """The path with a slash after it, which many services take for the same: closed, lest it fall to a wider route."""
    path = same_path[0].path
    if path.kind == "prefix" or all(route.public for route in same_path):
        return None
    if path.kind == "exact":
        return None if path.value.endswith("/") or path.value in prefixes else {"path": path.value + "/"}
    rest = path.pattern is not None and path.pattern.rest
    return None if rest or path.value.endswith("/") else {"safe_regex": {"regex": f"(?:{path.identity})/"}}


def is_method(methods: Sequence[str]) -> JsonObject:
    """The condition on the method; for one method a comparison, which is cheaper than an expression."""
    if len(methods) == 1:
        return {"name": ":method", "string_match": {"exact": methods[0]}}
    return {"name": ":method", "string_match": {"safe_regex": {"regex": "|".join(sorted(methods))}}}


def route_match(path: JsonObject, route: Route, *more: JsonObject) -> JsonObject:
    """All that a route asks of a request; `more` are further conditions on headers."""
    headers = [is_method(route.methods)] if route.methods else []
    headers += [_header(one) for one in route.headers]
    headers += [_not_in_query(one) for one in route.query if one.inverted or one.present is False]
    headers += more
    match = dict(path)
    if headers:
        match["headers"] = [*headers]
    asked: list[JsonValue] = [
        {"name": one.name, **(_value(one) or {"present_match": True})}
        for one in route.query
        if not one.inverted and one.present is not False
    ]
    if asked:
        match["query_parameters"] = asked
    return match


def closing(path: JsonObject, same_path: Sequence[Route]) -> list[JsonObject]:
    """The end of a path: what fits none of its routes goes no further."""
    plain = [route for route in same_path if not route.headers and not route.query]
    if any(not route.methods for route in plain):
        return []
    if any(not route.methods for route in same_path):
        return [direct.answer(path, 404)]
    taken = [method for method in METHODS if any(method in route.methods for route in same_path)]
    open_ = {method for route in plain for method in route.methods}
    guarded = [method for method in taken if method not in open_]
    closed = [direct.answer({**path, "headers": [is_method(guarded)]}, 404)] if guarded else []
    return [*closed, direct.answer(path, 405, allow=taken)]


def _value(condition: Condition) -> JsonObject | None:
    for kind in ("exact", "prefix"):
        text = getattr(condition, kind)
        if text is not None:
            return {"string_match": {kind: text}}
    if condition.regex is not None:
        return {"string_match": {"safe_regex": {"regex": condition.regex}}}
    return None


def _header(condition: Condition) -> JsonObject:
    value = _value(condition)
    if value is None:
        return {"name": condition.name, "present_match": (condition.present is not False) != condition.inverted}
    if condition.inverted:
        # Otherwise a header that is not there would fit neither the value nor its opposite.
        return {"name": condition.name, **value, "invert_match": True, "treat_missing_header_as_empty": True}
    return {"name": condition.name, **value}


def _not_in_query(condition: Condition) -> JsonObject:
    """Envoy knows no opposite for parameters, so the whole target is looked at."""
    value = ""
    if condition.exact is not None:
        value = f"={re.escape(condition.exact)}(?:&.*)?"
    elif condition.prefix is not None:
        value = f"={re.escape(condition.prefix)}.*"
    elif condition.regex is not None:
        value = f"=(?:{condition.regex})(?:&.*)?"
    else:
        value = "(?:[=&].*)?"
    wanted = condition.present is False and condition.inverted
    regex = rf"[^?]*\?(?:.*&)?{re.escape(condition.name)}{value}"
    return {"name": ":path", "string_match": {"safe_regex": {"regex": regex}}, "invert_match": not wanted}
