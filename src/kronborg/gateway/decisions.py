"""Access decisions by OpenID AuthZEN Authorization API 1.0: what the gateway would say, asked without a request.

A resource is a route (`type` `route`, its name) or an address (`type` `url`); an action is a method; a subject is a
person (`user`) or a client. What is not understood is denied, never guessed. Routes of other APIs than the asker's own
are as if they were not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from kronborg.clients.model import Client
from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.model import METHODS, Route, Snapshot
from kronborg.gateway.simulate import decide
from kronborg.gateway.simulate_nouns import Call, Held
from kronborg.gateway.simulate_way import Ready
from kronborg.tokens.engine import Engine
from kronborg.tokens.live import account_of
from kronborg.tokens.people_store import find_subject

MOST = 50
"""Evaluations in one request."""
LIFETIME = 60
Semantic = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]
SEMANTICS: tuple[Semantic, ...] = ("execute_all", "deny_on_first_deny", "permit_on_first_permit")
_OURS = frozenset({"iss", "aud", "sub", "client_id", "exp", "iat", "nbf", "scope", "roles", "cnf", "jti"})
"""Claims that the context of a question cannot set."""
_LONGEST = 2000


class Wrong(Exception):
    """The question is not one (400); the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, its members as the specification names them (section 5)."""

    subject: tuple[str, str]
    action: str
    resource: tuple[str, str]
    context: JsonObject


def read_one(body: JsonObject, defaults: JsonObject | None = None) -> Asked:
    """A question; members that it lacks come from `defaults` (section 7.1.1). Raises `Wrong`."""
    whole = {**(defaults or {}), **body}
    action = _object(whole, "action")
    context = whole.get("context", {})
    if not isinstance(context, Mapping):
        raise Wrong("context must be an object")
    return Asked(_entity(whole, "subject"), _text(action, "action", "name"), _entity(whole, "resource"), context)


def read_several(body: JsonObject) -> tuple[list[Asked | str], Semantic] | None:
    """The questions of a batch and how to go through them; None when it is a single one after all (section 7.1).

    A question that is not one becomes its fault, which denies it alone (section 7.2.1). Raises `Wrong`.
    """
    several = body.get("evaluations")
    if not several and (several is None or isinstance(several, (list, tuple))):
        return None
    if not isinstance(several, (list, tuple)) or len(several) > MOST:
        raise Wrong("evaluations must be an array of at most 50")
    options = body.get("options", {})
    wanted = options.get("evaluations_semantic", "execute_all") if isinstance(options, Mapping) else ""
    semantic = next((one for one in SEMANTICS if one == wanted), None)
    if semantic is None:
        raise Wrong("options.evaluations_semantic is unknown")
    defaults = {name: body[name] for name in ("subject", "action", "resource", "context") if name in body}
    found: list[Asked | str] = []
    for one in several:
        try:
            found.append(read_one(one, defaults) if isinstance(one, Mapping) else "an evaluation must be an object")
        except Wrong as wrong:
            found.append(str(wrong))
    return found, semantic


def stops(semantic: Semantic, *, decision: bool) -> bool:
    """Whether a batch ends with this answer (section 7.1.2.1)."""
    return (semantic == "deny_on_first_deny" and not decision) or (semantic == "permit_on_first_permit" and decision)


async def evaluate(engine: Engine, ready: Ready, asker: Client, asked: Asked, *, now: datetime) -> JsonObject:
    """The answer to one question of a client about an API that it speaks for."""
    snapshot = ready.snapshot
    if asked.action not in METHODS:
        return _denied("unknown_action")
    place = _place(snapshot, asked)
    if place is None:
        return _denied("unknown_resource")
    host, path = place
    route = _route(ready, asked, host, path, now=now)
    if route is None or (not route.public and route.audience not in asker.audiences):
        return _denied("unknown_resource")
    claims = await _claims(engine, snapshot, route, asked, now=now)
    if claims is None:
        return _denied("unknown_subject")
    address = asked.context.get("address")
    call = Call(asked.action, host, path, Held(claims), address=address if isinstance(address, str) else "192.0.2.1")
    try:
        decision = decide(ready, call, now=now)
    except ValueError:
        return _denied("unknown_resource")
    return {"decision": True} if decision.passes else _denied(decision.reason or "not_served")


def _denied(reason: str) -> JsonObject:
    # Section 5.5.1: the context of a decision may say why.
    return {"decision": False, "context": {"reason": reason}}


def _place(snapshot: Snapshot, asked: Asked) -> tuple[str, str] | None:
    """Host and path that the resource stands at."""
    kind, name = asked.resource
    general = urlsplit(snapshot.url).netloc
    if kind == "route":
        route = next((one for one in snapshot.routes if one.name == name), None)
        if route is None or route.path.kind not in ("exact", "prefix"):
            return None
        return route.host or general, route.path.stem or "/"
    if kind != "url":
        return None
    try:
        parts = urlsplit(name)
    except ValueError:
        return None
    if not parts.path.startswith("/") or (parts.netloc and parts.scheme not in ("http", "https")):
        return None
    return parts.netloc or general, parts.path + (f"?{parts.query}" if parts.query else "")


def _route(ready: Ready, asked: Asked, host: str, path: str, *, now: datetime) -> Route | None:
    """The route that takes it."""
    found = decide(ready, Call(asked.action, host, path), now=now).route
    return next((one for one in ready.snapshot.routes if one.name == found), None)


async def _claims(
    engine: Engine, snapshot: Snapshot, route: Route, asked: Asked, *, now: datetime
) -> dict[str, JsonValue] | None:
    """What a token of the subject would say to this route's API; None for a subject that does not stand.

    Without `scope` in the context the question is about the subject alone: a person's scopes are those of the app that
    acts for them, so all that the API knows; a client's are those it may ask for.
    """
    kind, name = asked.subject
    audience = route.audience or ""
    known = next((one.scopes for one in snapshot.audiences if one.uri == audience), ())
    if kind == "user":
        person = await find_subject(engine.database.lookup, name, session_id=None, idle=engine.session_idle, now=now)
        if person is None:
            return None
        client_id, roles = "authzen", person.roles
    elif kind == "client":
        client = await engine.directory.client(name, now=now)
        if client is None or client.disabled:
            return None
        account = await account_of(engine, client) if client.settings.service_account is not None else None
        client_id, roles = client.id, () if account is None else account.roles
        known = tuple(scope for scope in known if scope in client.scopes)
    else:
        return None
    told = asked.context.get("claims", {})
    scope = asked.context.get("scope")
    held = [one for one in scope.split() if one in known] if isinstance(scope, str) else list(known)
    claims: dict[str, JsonValue] = {}
    if isinstance(told, Mapping):
        claims |= {name: value for name, value in told.items() if name not in _OURS}
    app = asked.context.get("client_id")
    return claims | {
        "iss": snapshot.issuer,
        "aud": audience,
        "sub": name,
        "client_id": app if isinstance(app, str) and kind == "user" else client_id,
        "scope": " ".join(held),
        "roles": list(roles),
        "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + LIFETIME,
    }


def _object(body: JsonObject, name: str) -> JsonObject:
    found = body.get(name)
    if not isinstance(found, Mapping):
        raise Wrong(f"{name} is missing, or is no object")
    return found


def _entity(body: JsonObject, name: str) -> tuple[str, str]:
    found = _object(body, name)
    return _text(found, name, "type"), _text(found, name, "id")


def _text(found: JsonObject, where: str, name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isprintable():
        raise Wrong(f"{where}.{name} must be a text")
    return value
