"""What differs between two configurations: object by object and field by field, and in words what that opens or closes.

Pure. Fields are told in the vocabulary of a file; the words are for whoever must say yes to a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from kronborg.core.json import JsonValue
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.model import METHODS, Audience, Route, Service, Snapshot
from kronborg.gateway.shared_policies import settled

Action = Literal["create", "update", "delete"]
Kind = Literal["service", "route", "audience", "policy"]
Weight = Literal["opens", "closes", "moves"]
"""`opens`: somebody may do more than before. `closes`: somebody may do less. `moves`: neither, but look at it."""

Thing = Service | Route | Audience | NamedPolicy


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field before and after, as a file writes it."""

    name: str
    before: JsonValue
    after: JsonValue


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One object that is made, changed or removed."""

    action: Action
    kind: Kind
    name: str
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """What a change means for who may do what."""

    weight: Weight
    kind: Kind
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that differs; nothing does when it is empty."""

    changes: tuple[ObjectChange, ...]
    words: tuple[Word, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def opening(self) -> tuple[Word, ...]:
        """What lets somebody do more than before."""
        return tuple(word for word in self.words if word.weight == "opens")


def difference(before: Snapshot, after: Snapshot) -> Difference:
    """What `after` has that `before` has not, and the other way round. The version is not looked at.

    The objects are told as they are written, a shared policy once; the words tell what it means at each of its routes.
    """
    changes = tuple(change_of(kind, name, old, new) for kind, name, old, new in _all(before, after))
    meant = _all(settled(before), settled(after))
    words = tuple(word for kind, name, old, new in meant for word in words_of(kind, name, old, new))
    return Difference(changes, words)


def _all(before: Snapshot, after: Snapshot) -> tuple[tuple[Kind, str, Thing | None, Thing | None], ...]:
    return (
        *_pairs("service", {one.name: one for one in before.services}, {one.name: one for one in after.services}),
        *_pairs("route", {one.name: one for one in before.routes}, {one.name: one for one in after.routes}),
        *_pairs("policy", {one.name: one for one in before.policies}, {one.name: one for one in after.policies}),
        *_pairs("audience", {one.uri: one for one in before.audiences}, {one.uri: one for one in after.audiences}),
    )


def _pairs(
    kind: Kind, before: Mapping[str, Thing], after: Mapping[str, Thing]
) -> Iterator[tuple[Kind, str, Thing | None, Thing | None]]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield kind, name, old, new


def change_of(kind: Kind, name: str, before: Thing | None, after: Thing | None) -> ObjectChange:
    """How one object differs, field by field; of one that is new or gone only what it says."""
    old, new = _fields(before), _fields(after)
    action: Action = "create" if before is None else "delete" if after is None else "update"
    usual = {} if action == "update" else _usual(before or after)
    fields = tuple(
        FieldChange(field, old.get(field), new.get(field))
        for field in dict.fromkeys((*old, *new))
        if old.get(field) != new.get(field) and (field not in usual or {**old, **new}[field] != usual[field])
    )
    return ObjectChange(action, kind, name, fields)


def _usual(thing: Thing | None) -> dict[str, JsonValue]:
    """What an object says that chose nothing."""
    match thing:
        case Route():
            return {**_fields(Route("", thing.path, "")), thing.path.kind: None, "path": None, "prefix": None}
        case Service():
            return _fields(Service("", ()))
        case Audience():
            return _fields(Audience(""))
        case NamedPolicy():
            return {}
        case None:
            return {}


def _fields(thing: Thing | None) -> dict[str, JsonValue]:
    # The vocabulary of files is pydantic's, which a process that only serves pages loads when it is first needed.
    from kronborg.core.values import freeze
    from kronborg.gateway.declare.route_section import route_fields, service_fields

    match thing:
        case None:
            return {}
        case Service():
            return dict(_flat(service_fields(thing)))
        case Route():
            return dict(_flat(route_fields(thing)))
        case NamedPolicy():
            return {"text": thing.text}
        case Audience():
            plain = freeze(thing)
            return dict(_flat(plain)) if isinstance(plain, dict) else {}


def _flat(fields: Mapping[str, JsonValue], where: str = "") -> Iterator[tuple[str, JsonValue]]:
    """`spike_arrest.rate` for what stands inside another value."""
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{where}{name}.")
        else:
            yield f"{where}{name}", value


def words_of(kind: Kind, name: str, before: Thing | None, after: Thing | None) -> Iterator[Word]:
    """What one change means, in words."""
    told: Iterable[tuple[Weight, str]] = ()
    if isinstance(before, Route) or isinstance(after, Route):
        told = _of_route(before if isinstance(before, Route) else None, after if isinstance(after, Route) else None)
    elif isinstance(before, Service) and isinstance(after, Service):
        told = _of_service(before, after)
    elif isinstance(before, Audience) and isinstance(after, Audience):
        told = _of_audience(before, after)
    for weight, text in told:
        yield Word(weight, kind, name, text)


def _of_route(before: Route | None, after: Route | None) -> Iterator[tuple[Weight, str]]:
    if after is None:
        yield "closes", "is closed: nobody gets through here any more"
        return
    if before is None:
        yield "opens", f"opens {_where(after)} {_who(after)}"
        return
    yield from _token(before, after)
    yield from _reach(before, after)
    yield from _lists(before, after)
    yield from _handling(before, after)


def _where(route: Route) -> str:
    methods = " and ".join(route.methods) if 0 < len(route.methods) <= 2 else ", ".join(route.methods)
    host = f" at {route.host}" if route.host else ""
    below = " and all below it" if route.path.kind == "prefix" else ""
    return f"{route.path.value}{below}{host} for {methods or 'every method'}"


def _who(route: Route) -> str:
    if route.public:
        return "to everyone, without a token"
    scopes = f" with {', '.join(sorted(route.scopes))}" if route.scopes else ""
    roles = f" and one of the roles {', '.join(sorted(route.roles))}" if route.roles else ""
    return f"to tokens for {route.audience}{scopes}{roles}"


def _token(before: Route, after: Route) -> Iterator[tuple[Weight, str]]:
    """Whether a token is asked for, and what it must say."""
    if after.public and not before.public:
        yield "opens", "becomes public: everyone gets through, without a token"
        return
    if before.public and not after.public:
        yield "closes", f"is public no more: a token for {after.audience} is needed"
        return
    if before.audience != after.audience:
        yield "moves", f"takes tokens for {after.audience}, no longer those for {before.audience}"
    for scope in sorted({*before.scopes} - {*after.scopes}):
        yield "opens", f"the scope {scope} is no longer needed"
    for scope in sorted({*after.scopes} - {*before.scopes}):
        yield "closes", f"the scope {scope} is needed now"
    if before.roles and not after.roles:
        yield "opens", "no role is needed any more"
    elif after.roles and not before.roles:
        yield "closes", f"one of the roles {', '.join(sorted(after.roles))} is needed now"
    else:
        for role in sorted({*after.roles} - {*before.roles}):
            yield "opens", f"the role {role} is enough, too"
        for role in sorted({*before.roles} - {*after.roles}):
            yield "closes", f"the role {role} is not enough any more"


def _reach(before: Route, after: Route) -> Iterator[tuple[Weight, str]]:
    """What requests it is for, and who answers them."""
    had, has = {*(before.methods or METHODS)}, {*(after.methods or METHODS)}
    for method in sorted(has - had):
        yield "opens", f"the method {method} is let through, too"
    for method in sorted(had - has):
        yield "closes", f"the method {method} is let through no more"
    if before.path != after.path:
        wider = before.path.kind == "exact" and after.path.kind == "prefix"
        below = " and all below it" if after.path.kind == "prefix" else ""
        yield "opens" if wider else "moves", f"stands at {after.path.value}{below}, before at {before.path.value}"
    if before.host != after.host:
        shown = f"only {after.host}" if after.host else "every name of the gateway"
        yield "moves" if after.host else "opens", f"answers to {shown}"
    if before.service != after.service:
        yield "moves", f"is answered by {after.service}, before by {before.service}"


def _lists(before: Route, after: Route) -> Iterator[tuple[Weight, str]]:
    """Which web pages may call it, and what is passed on."""
    had = {*(before.cors.origins if before.cors else ())}
    has = {*(after.cors.origins if after.cors else ())}
    for origin in sorted(has - had):
        yield "opens", f"web pages of {origin} may call it"
    for origin in sorted(had - has):
        yield "closes", f"web pages of {origin} may call it no more"
    if before.cookies != after.cookies:
        yield ("opens", "cookies reach the service") if after.cookies else ("closes", "cookies are taken away")


def _handling(before: Route, after: Route) -> Iterator[tuple[Weight, str]]:
    """Everything that is there or not: limits, conditions, checks; read by what a file calls it."""
    if after.max_body > before.max_body:
        yield "opens", f"bodies of up to {after.max_body} bytes are taken"
    old, new = _fields(before), _fields(after)
    told = {"service", "host", "methods", "public", "audience", "scopes", "roles", "cookies", "max_body", "timeout"}
    tops = {name.partition(".")[0] for name in (*old, *new)} - told - {"path", "prefix", "cors"}
    for top in sorted(tops):
        had = {name: value for name, value in old.items() if name.partition(".")[0] == top}
        has = {name: value for name, value in new.items() if name.partition(".")[0] == top}
        if had == has:
            continue
        empty: tuple[JsonValue, ...] = (None, [], {}, False, "")
        label = top.replace("_", " ")
        if all(value in empty for value in has.values()):
            yield "opens", f"{label} is taken away"
        elif all(value in empty for value in had.values()):
            yield "closes", f"{label} is set"
        else:
            yield "moves", f"{label} is changed"


def _of_service(before: Service, after: Service) -> Iterator[tuple[Weight, str]]:
    for url in sorted({*after.urls} - {*before.urls}):
        yield "moves", f"requests, and the tokens in them, go to {url} too"
    if any(url.startswith("https:") for url in before.urls) and any(url.startswith("http:") for url in after.urls):
        yield "opens", "is spoken to without TLS"


def _of_audience(before: Audience, after: Audience) -> Iterator[tuple[Weight, str]]:
    if before.bound and not after.bound:
        yield "opens", "takes tokens that are bound to no key"
    for scope in sorted({*before.scopes} - {*after.scopes}):
        yield "moves", f"the scope {scope} is gone"
