"""The questions of simulation, for console, command line and admin API: what would a request get, who may call.

What is asked is text that somebody typed; a token in it is looked at and forgotten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

import orjson

from kronborg.core import opaque
from kronborg.core.db import ReadSession
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.json import JsonValue, NotJson, read_json
from kronborg.gateway.access_model import Addresses
from kronborg.gateway.drafts import draft_named, over
from kronborg.gateway.drafts_store import list_changes
from kronborg.gateway.envoy.filters import phantom
from kronborg.gateway.listener_model import DEFAULT, KINDS, Listener
from kronborg.gateway.model import METHODS, Route, Snapshot
from kronborg.gateway.publish import draft as declared
from kronborg.gateway.simulate import decide, prepare
from kronborg.gateway.simulate_callers import Callers, who_may_call
from kronborg.gateway.simulate_find import chosen, table_for
from kronborg.gateway.simulate_nouns import Call, Decision, Facts, Held
from kronborg.gateway.simulate_path import normal_path
from kronborg.gateway.simulate_token import token_of
from kronborg.gateway.store import latest_published
from kronborg.gateway.token_issuers import with_keys
from kronborg.gateway.token_issuers_store import fetched_keys
from kronborg.tokens.engine import Engine

LONGEST_URL = 4000
LONGEST_CLAIMS = 16_384
MOST_HEADERS = 50
LIFETIME = 300
_KEYS = (opaque.API_KEY, opaque.PERSONAL)
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^`|~-]{1,100}")


@dataclass(frozen=True, slots=True)
class Question:
    """A request as somebody describes it. `token` is the text of one; without it `claims`, as JSON, stand for one that
    is ours and living. `draft` names the draft to ask in place of what is published, `listener` where the request
    comes in: a kind of listener, or one by its name."""

    method: str = "GET"
    url: str = "/"
    token: str = ""
    claims: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    address: str = ""
    body: int = 0
    draft: str = ""
    revoked: bool = False
    spent: tuple[str, ...] = ()
    proof: bool | None = None
    listener: str = DEFAULT


async def snapshot_of(session: ReadSession, draft: str, *, issuer: str, gateway_url: str) -> Snapshot:
    """What is asked: the published version, or a draft. Raises `NotFound`."""
    if draft:
        await draft_named(session, draft)
        now = await declared(session, issuer=issuer, gateway_url=gateway_url)
        found = over(now, await list_changes(session, draft))
    else:
        published = await latest_published(session)
        found = Snapshot(issuer, url=gateway_url) if published is None else published.snapshot
    return with_keys(found, await fetched_keys(session)) if found.issuers else found


async def what_would_it_get(
    engine: Engine, question: Question, *, gateway_url: str, now: datetime, everywhere: Addresses | None = None
) -> Decision:
    """The decision on one request, with its trail. Raises `Invalid` with everything wrong in the question.

    `everywhere` is what the settings ask of every request's address.
    """
    async with engine.database.read() as session:
        snapshot = await snapshot_of(session, question.draft, issuer=engine.issuer, gateway_url=gateway_url)
    snapshot = replace(snapshot, addresses=everywhere)
    host, path = _target(question, snapshot)
    written = _written(question, snapshot, now=now)
    call = Call(
        question.method.upper(),
        host,
        path,
        headers={name.strip().lower(): value.strip() for name, value in question.headers},
        address=question.address or "192.0.2.1",
        body=question.body,
        facts=Facts(question.revoked, frozenset(question.spent), question.proof),
    )
    ready = prepare(snapshot, listener_of(question.listener))
    name = decide(ready, call, now=now).route
    route = next((one for one in snapshot.routes if one.name == name), None)
    if route is not None:
        call = await _shown(engine, question, snapshot, route, replace(call, token=written), now=now)
    return decide(ready, call, now=now)


async def _shown(
    engine: Engine, question: Question, snapshot: Snapshot, route: Route, call: Call, *, now: datetime
) -> Call:
    """The call with what it proves at this route, whose API a key may be good for or not."""
    text = question.token.strip()
    key = call.headers.get(phantom.KEY_HEADER, "")
    if not text and call.token is None and key and phantom.is_used(route, snapshot):
        # A key may come in a header of its own; what stands there and is none is not asked about.
        others = {name: value for name, value in call.headers.items() if name != phantom.KEY_HEADER}
        text, call = (key if key.startswith(_KEYS) else "none"), replace(call, headers=others)
    if not text:
        return call
    token, revoked = await token_of(
        engine, text, snapshot, audience=route.audience or "", address=call.address, now=now
    )
    return replace(call, token=token, facts=replace(call.facts, revoked=question.revoked or revoked))


def listener_of(name: str) -> Listener:
    """A listener by its kind or name; one of another name is taken for an external one."""
    return Listener(name or DEFAULT, kind="internal" if name == "internal" else "external")


def _target(question: Question, snapshot: Snapshot) -> tuple[str, str]:
    """Host and path of the request; of a path alone, the gateway's own host."""
    problems = []
    if re.fullmatch(r"[A-Za-z]{1,20}", question.method) is None:
        problems.append(Problem("method", "is no method", "write GET, POST and so on"))
    url = question.url.strip()
    try:
        parts = urlsplit(url if "://" in url else "//" + url if not url.startswith("/") else url)
        host = parts.netloc.rpartition("@")[2] or urlsplit(snapshot.url).netloc
    except ValueError:
        host, parts = "", urlsplit("")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not host or len(url) > LONGEST_URL:
        problems.append(Problem("url", "is no address", "write /path, or https://host/path"))
    if question.address:
        try:
            ip_address(question.address)
        except ValueError:
            problems.append(Problem("address", "is no IP address", "write 192.0.2.1"))
    odd = [name for name, value in question.headers if not _is_header(name.strip().lower(), value)]
    if odd or len(question.headers) > MOST_HEADERS:
        problems.append(Problem("headers", "hold a line that is no header", "write name: value, one in a line"))
    if not 0 <= question.body < 1 << 40:
        problems.append(Problem("body", "is out of range", "write its size in bytes"))
    if problems:
        raise Invalid(*problems)
    return host, path


def _is_header(name: str, value: str) -> bool:
    return (_NAME.fullmatch(name) is not None or "_" in name) and value.isprintable() and len(value) <= LONGEST_URL


def _written(question: Question, snapshot: Snapshot, *, now: datetime) -> Held | None:
    """A token of the claims that somebody wrote."""
    if not question.claims.strip():
        return None
    claims: dict[str, JsonValue] = {
        "iss": snapshot.issuer,
        "client_id": "example-client",
        "sub": "example-subject",
        "exp": int(now.timestamp()) + LIFETIME,
        **claims_in(question.claims),
    }
    return Held(claims)


def claims_in(text: str) -> dict[str, JsonValue]:
    """Claims as somebody wrote them. Raises `Invalid`."""
    wrong = Problem("claims", "are no JSON object", 'write {"aud": "https://shop.example/catalogue", "scope": "..."}')
    if len(text) > LONGEST_CLAIMS:
        raise Invalid(wrong)
    try:
        found = read_json(text)
    except (NotJson, RecursionError):
        raise Invalid(wrong) from None
    if not isinstance(found, dict):
        raise Invalid(wrong)
    return found


def claims_for(audience: str, scopes: str, roles: str, client: str = "") -> str:
    """Claims of the usual sort, as JSON."""
    claims: dict[str, JsonValue] = {"aud": audience, "scope": " ".join(scopes.split())}
    if roles.split():
        claims["roles"] = roles.split()
    if client:
        claims["client_id"] = client
    return orjson.dumps(claims).decode()


async def who_may(
    session: ReadSession, snapshot: Snapshot, route: str, method: str, path: str = ""
) -> tuple[Route, Callers]:
    """Who may call a route, by its name, or by the path that it takes. Raises `NotFound` and `Invalid`."""
    if method not in METHODS:
        raise Invalid(Problem("method", "is not let through by any route", "use some of " + ", ".join(METHODS)))
    found = next((one for one in snapshot.routes if one.name == route), None) if route else _at(snapshot, method, path)
    if found is None:
        raise NotFound("there is no such route")
    return found, await who_may_call(session, found, method)


def _at(snapshot: Snapshot, method: str, address: str) -> Route | None:
    return next((one for kind in KINDS if (one := _on(snapshot, kind, method, address)) is not None), None)


def _on(snapshot: Snapshot, listener: str, method: str, address: str) -> Route | None:
    parts = urlsplit(address if "://" in address else "//" + address if not address.startswith("/") else address)
    host, path = parts.netloc or urlsplit(snapshot.url).netloc, normal_path(parts.path or "/")
    table = table_for(prepare(snapshot, listener_of(listener)).tables, host)
    group = None if table is None or path is None else table.group(path)
    return None if group is None else chosen(group, Call(method, host, address)) or group.routes[0]
