"""Cedar policies of routes: read, cut down to a formula that the proxy decides itself, or decided here.

A policy is about `principal` (`Subject::"..."`, in `Role::"..."`), `action` (`Action::"GET"`), `resource`
(`Route::"..."`) and `context`: `claims`, `scopes`, `roles`, `client`, `path`. In Cedar a condition that fails to
evaluate, for a missing claim, takes its whole policy out of the count, a `forbid` too. The formula says the same:
for every expression it knows when it is true, and when it is false, and neither holds when it fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import orjson

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.policy_formula import (
    FALSE,
    TRUE,
    Either,
    Formula,
    Malformed,
    Names,
    Outside,
    Plain,
    Test,
    both,
    either,
    negated,
    size,
)

LARGEST = 100_000
"""Characters of a route's policies together; each is at most 8192 long."""
MOST_PARTS = 400
"""Parts of its formula: the proxy tries them one after another, at every request."""

_FIELDS = ("client", "path")
_SETS = {"scopes": "scope", "roles": "role"}


@dataclass(frozen=True, slots=True)
class _Known:
    """When an expression is true, and when it is false; `false` None: that cannot be told."""

    true: Formula
    false: Formula | None

    @property
    def is_total(self) -> bool:
        """Whether it never fails."""
        return self.false == negated(self.true)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a policy may ask of one request. `path` is without the query."""

    subject: str
    client: str
    method: str
    route: str
    path: str
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    claims: JsonObject | None = None


@lru_cache(maxsize=1024)
def formula_of(policy: str, route: str) -> Formula:
    """When a request to `route` is permitted. Raises `Outside` and `Malformed`."""
    permits: list[Formula] = []
    forbids: list[Formula] = []
    for one in _statements(policy):
        applies = _policy(one, route)
        (permits if one.get("effect") == "permit" else forbids).append(applies)
    found = both(either(*permits), *(negated(one) for one in forbids))
    if size(found) > MOST_PARTS:
        raise Outside("it is too large")
    return found


def needs_decision(policy: str | None, route: str) -> bool:
    """Whether the proxy cannot decide a policy by itself."""
    if policy is None:
        return False
    try:
        formula_of(policy, route)
    except Outside:
        return True
    return False


def decide(policy: str, facts: Facts) -> bool:
    """Whether a policy permits a request, by the Cedar library itself."""
    from cedarpy import is_authorized  # a native library that is needed for policies only

    who = {"type": "Subject", "id": facts.subject}
    entities: list[dict[str, object]] = [
        {"uid": who, "attrs": {}, "parents": [{"type": "Role", "id": role} for role in facts.roles]}
    ]
    asked: dict[str, object] = {
        "principal": who,
        "action": {"type": "Action", "id": facts.method},
        "resource": {"type": "Route", "id": facts.route},
        "context": {
            "claims": _plain(facts.claims or {}),
            "scopes": list(facts.scopes),
            "roles": list(facts.roles),
            "client": facts.client,
            "path": facts.path,
        },
    }
    return bool(is_authorized(asked, policy, entities).allowed)


def _statements(policy: str) -> list[JsonObject]:
    from cedarpy import policies_to_json_str

    if len(policy) > LARGEST:
        raise Malformed("it is longer than 100000 characters")
    try:
        read = orjson.loads(policies_to_json_str(policy))
    except ValueError as error:
        raise Malformed("it is no Cedar policy") from error
    if not read["staticPolicies"] or read["templates"]:
        raise Malformed("it holds no policy, or a template")
    return list(read["staticPolicies"].values())


def _policy(one: JsonObject, route: str) -> Formula:
    parts = [
        _scope("principal", _object(one["principal"]), route),
        _scope("action", _object(one["action"]), route),
        _scope("resource", _object(one["resource"]), route),
    ]
    conditions = one.get("conditions", ())
    for condition in conditions if isinstance(conditions, (list, tuple)) else ():
        said = _object(condition)
        known = _expression(said["body"], route)
        parts.append(known.true if said["kind"] == "when" else _false(known))
    return both(*parts)


def _scope(what: str, said: JsonObject, route: str) -> Formula:
    op = said["op"]
    if op == "All":
        return TRUE
    if op == "==":
        return _is_entity(what, _object(said["entity"]), route)
    if op == "in":
        several = said.get("entities")
        asked = several if isinstance(several, (list, tuple)) else [said["entity"]]
        return either(*(_in_entity(what, _object(each), route) for each in asked))
    if op == "is" and "in" not in said:
        return TRUE if said["entity_type"] == _TYPES[what] else FALSE
    raise Outside("a scope of another form than ==, in and is")


_TYPES = {"principal": "Subject", "action": "Action", "resource": "Route"}


def _is_entity(what: str, entity: JsonObject, route: str) -> Formula:
    if entity["type"] != _TYPES[what]:
        return FALSE
    name = str(entity["id"])
    if what == "resource":
        return TRUE if name == route else FALSE
    return Test("subject" if what == "principal" else "method", value=name)


def _in_entity(what: str, entity: JsonObject, route: str) -> Formula:
    if what == "principal" and entity["type"] == "Role":
        return Test("role", value=str(entity["id"]))
    return _is_entity(what, entity, route)


def _expression(said: JsonValue, route: str) -> _Known:
    ((op, inside),) = _object(said).items()
    if op == "Value" and isinstance(inside, bool):
        return _total(TRUE if inside else FALSE)
    known = _object(inside)
    if op == "!":
        part = _expression(known["arg"], route)
        return _Known(_false(part), part.true)
    if op == "&&":
        left, right = _expression(known["left"], route), _expression(known["right"], route)
        return _and(left, right)
    if op == "||":
        return _or(known, route)
    if op in ("==", "!="):
        equal = _equals(known["left"], known["right"], route)
        return equal if op == "==" else _Known(_false(equal), equal.true)
    if op == "in":
        return _total(either(*(_member(known["left"], each, route) for each in _several(known["right"]))))
    if op == "has":
        return _has(known["left"], known["attr"])
    if op == "contains":
        return _contains(known["left"], known["right"])
    if op in ("containsAny", "containsAll"):
        found = [_contains(known["left"], each) for each in _several(known["right"])]
        if not all(one.is_total for one in found):
            raise Outside(f"{op} of a claim")
        return _total((either if op == "containsAny" else both)(*(one.true for one in found)))
    if op == "like":
        return _like(known)
    if op == ".":
        # A claim that is true or false by itself.
        return _Known(Test("claim", _claim(said), True), Test("claim", _claim(said), False))
    raise Outside(f"the operator {op}")


def _total(true: Formula) -> _Known:
    """An expression that never fails."""
    return _Known(true, negated(true))


def _false(known: _Known) -> Formula:
    if known.false is None:
        raise Outside("the negation of a claim that contains something")
    return known.false


def _and(left: _Known, right: _Known) -> _Known:
    true = both(left.true, right.true)
    if left.false is None or right.false is None:
        return _Known(true, None)
    if left.is_total and right.is_total:
        return _total(true)
    return _Known(true, either(left.false, both(left.true, right.false)))


def _or(said: JsonObject, route: str) -> _Known:
    left, right = _expression(said["left"], route), _expression(said["right"], route)
    if left.is_total:
        true = either(left.true, right.true)
        return _Known(true, None if right.false is None else both(negated(left.true), right.false))
    if left.false is None:
        # Whether a claim is a list at all cannot be told when it lacks the member; when it has the other, it is one.
        lists = {test.path if isinstance(test, Test) else None for test in (*_tests(left.true), *_tests(right.true))}
        if len(lists) > 1 or None in lists or right.false is not None:
            raise Outside("a claim that contains something, or else something of another claim")
        return _Known(either(left.true, right.true), None)
    false = None if right.false is None else both(left.false, right.false)
    return _Known(either(left.true, both(left.false, right.true)), false)


def _tests(part: Formula) -> tuple[Formula, ...]:
    return part.parts if isinstance(part, Either) else (part,)


def _equals(left: JsonValue, right: JsonValue, route: str) -> _Known:
    one, other = _literal(left), _literal(right)
    if one is not None and other is not None:
        return _total(TRUE if (type(one), one) == (type(other), other) else FALSE)
    literal, asked = (one, right) if one is not None else (other, left)
    if literal is None:
        raise Outside("a comparison of two things of the request")
    what = _object(asked).get("Var")
    if what is not None:
        entity = literal if isinstance(literal, Mapping) else None
        return _total(FALSE if entity is None else _is_entity(str(what), entity, route))
    field = _field(asked)
    if field is not None:
        return _total(Test(field, value=literal) if isinstance(literal, str) else FALSE)
    path = _claim(asked)
    if not isinstance(literal, (str, bool, int)):
        raise Outside("a comparison of a claim with something else than a text, a number, true or false")
    equal = Test("claim", path, literal)
    return _Known(equal, both(Test("present", path), negated(equal)))


def _member(left: JsonValue, right: JsonValue, route: str) -> Formula:
    what, entity = _object(left).get("Var"), _literal(right)
    if what is None or not isinstance(entity, Mapping):
        raise Outside("`in` between other things than principal, action or resource and named ones")
    return _in_entity(str(what), entity, route)


def _has(left: JsonValue, attr: JsonValue) -> _Known:
    names = attr if isinstance(attr, (list, tuple)) else [attr]
    if len(names) != 1:
        raise Outside("`has` with several names")
    said = _object(left)
    if said.get("Var") == "context":
        return _total(TRUE if names[0] in ("claims", *_SETS, *_FIELDS) else FALSE)
    if said.get("Var") is not None:
        return _total(FALSE)
    path = _claims(left)
    if path is None:
        raise Outside("`has` of something that is no record")
    here = Test("present", (*path, str(names[0])))
    if not path:
        return _total(here)
    # Of what is no record `has` fails; only a record has something inside, and an absent one fails.
    return _Known(here, None)


def _contains(left: JsonValue, right: JsonValue) -> _Known:
    several = _object(left).get("Set")
    if several is not None:
        return _among(_several(left), right)
    literal, attr = _literal(right), _object(_object(left).get(".", {})).get("attr")
    path = _claims(left)
    if path is None:
        if str(attr) not in _SETS:
            raise Outside("contains of something that is no set")
        if literal is None:
            # Taken for a text that no set holds, a `forbid` would never apply.
            raise Outside("contains of something else of the request")
        return _total(Test(_SETS[str(attr)], value=literal) if isinstance(literal, str) else FALSE)
    if not path or not isinstance(literal, (str, bool, int)):
        raise Outside("contains of all claims, or of something else than a text, a number, true or false")
    return _Known(Test("contains", path, literal), None)


def _among(values: list[JsonValue], asked: JsonValue) -> _Known:
    found = [_equals(each, asked, "") for each in values]
    if all(one.is_total for one in found):
        return _total(either(*(one.true for one in found)))
    equal = either(*(one.true for one in found))
    return _Known(equal, both(Test("present", _claim(asked)), negated(equal)))


def _like(said: JsonObject) -> _Known:
    if _field(said["left"]) != "path":
        raise Outside("`like` of something else than context.path")
    pattern = said["pattern"]
    parts: list[str] = []
    for part in pattern if isinstance(pattern, (list, tuple)) else ():
        parts.append(".*" if part == "Wildcard" else re.escape(str(_object(part)["Literal"])))
    return _total(Test("path_like", value="".join(parts)))


def _literal(said: JsonValue) -> Plain | JsonObject | None:
    """The value written there: a text, a number, a truth, or the entity named; None when it is something else."""
    value = _object(said).get("Value")
    if isinstance(value, Mapping):
        entity = value.get("__entity")
        return _object(entity) if entity is not None else None
    return value if isinstance(value, (str, bool, int)) else None


def _field(said: JsonValue) -> str | None:
    """`client` or `path` of the context; None for anything else."""
    access = _object(said).get(".")
    if access is None or _object(access)["left"] != {"Var": "context"}:
        return None
    attr = str(_object(access)["attr"])
    return attr if attr in _FIELDS else None


def _claims(said: JsonValue) -> Names | None:
    """The names below `context.claims`; None when it is something else of the context."""
    access = _object(said).get(".")
    if access is None:
        raise Outside("something that is no attribute of the context")
    left, attr = _object(access)["left"], str(_object(access)["attr"])
    if left == {"Var": "context"}:
        return () if attr == "claims" else None
    above = _claims(left)
    if above is None:
        raise Outside("something inside of what is no record")
    return (*above, attr)


def _claim(said: JsonValue) -> Names:
    path = _claims(said)
    if not path:
        raise Outside("a comparison of something else than a claim, the client or the path")
    return path


def _several(said: JsonValue) -> list[JsonValue]:
    values = _object(said).get("Set")
    return list(values) if isinstance(values, (list, tuple)) else [said]


def _object(value: JsonValue) -> JsonObject:
    if not isinstance(value, Mapping):
        raise Outside("something that is not expected there")
    return value


def _plain(value: JsonValue) -> object:
    """A claim as Cedar knows values: no null, no fractions (they equal nothing), whole numbers as such."""
    if isinstance(value, Mapping):
        # Two leading underscores are how Cedar's JSON spells entities: no claim may pass for one.
        return {name: _plain(each) for name, each in value.items() if each is not None and name[:2] != "__"}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value if each is not None]
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1 << 53 else {"fraction": str(value)}
    return value
