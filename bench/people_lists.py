"""Lists and searches of a crowd, one request after the other over HTTP: the admin API and the console."""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from urllib.parse import quote

import orjson

from bench.people_store import FIRST, LAST, username
from kronborg.accounts.users import NewUser, create_user
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import add_secret, save_client
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.sessions.life import begin_session
from kronborg.sessions.model import Origin
from kronborg.tokens.engine import open_engine

BAR = 300.0
"""Milliseconds: the 95th percentile of each stays below."""
HEAVIEST = 100_000
"""Bytes of a page."""
CLIENT = "bench-admin"


@dataclass(frozen=True)
class Listed:
    """One kind of request: milliseconds, and bytes of the largest answer."""

    name: str
    p50: float
    p95: float
    worst: float
    heaviest: int
    status: int

    @property
    def met(self) -> bool:
        """Whether it is fast enough."""
        return self.status == 200 and self.p95 < BAR


@dataclass(frozen=True)
class Keys:
    """What opens the API and the console."""

    secret: str
    cookie: str


async def administrator(settings: Settings) -> Keys:
    """A client with the scopes of the admin API, and a person who may read the whole console."""
    database, now = await Database.open(settings.database_url), clock.now()
    vault = settings.vault()
    await open_engine(database, vault, issuer=settings.issuer, session_idle=timedelta(days=1), now=now)
    draft = ClientDraft(
        CLIENT,
        CLIENT,
        auth_method="client_secret_post",
        grants=("client_credentials",),
        scopes=("admin:read",),
        audiences=(f"{settings.issuer}/api",),
    )
    async with database.write() as session:
        await save_client(session, draft, actor="bench", now=now)
        secret = (await add_secret(session, vault, CLIENT, actor="bench", now=now)).secret
        new = NewUser("bench-administrator", roles=("kronborg:admin",))
        user = await create_user(session, new, actor="bench", now=now)
        origin = Origin("127.0.0.1", "bench")
        begun = await begin_session(
            session, vault, user.id, amr=("pwd",), origin=origin, lifetime=timedelta(days=1), now=now
        )
    await database.close()
    return Keys(secret, begun.secret)


def lists(port: int, issuer: str, keys: Keys, *, users: int, each: int) -> list[Listed]:
    """Ask for each kind of list so often, with other words each time; pages that are not there are left out."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    token = _token(connection, issuer, keys.secret)
    api = {"authorization": f"Bearer {token}"}
    console = {"cookie": f"kronborg_session={keys.cookie}", "accept": "text/html"}
    found = []
    for name, path in _wanted(users):
        headers = console if name.startswith("console") else api
        one = _measured(connection, name, path, headers, each)
        if one.status != 404:
            found.append(one)
    connection.close()
    return found


def _wanted(users: int) -> Iterator[tuple[str, Callable[[random.Random], str]]]:
    def search(made: Callable[[random.Random], str]) -> Iterator[tuple[str, Callable[[random.Random], str]]]:
        yield "API users", lambda chance: f"/api/users?search={quote(made(chance))}"
        yield "console users", lambda chance: f"/console/users?q={quote(made(chance))}"

    yield "API users, first page", lambda _chance: "/api/users"
    yield "console users, first page", lambda _chance: "/console/users"
    kinds: dict[str, Callable[[random.Random], str]] = {
        "one username": lambda chance: username(chance.randrange(users)),
        "beginning of usernames": lambda chance: username(chance.randrange(users))[:-4],
        "first name": lambda chance: chance.choice(FIRST.split()),
        "full name": lambda chance: f"{chance.choice(FIRST.split())} {chance.choice(LAST.split())}",
        "one letter": lambda chance: chance.choice("abcdefgp"),
        "address": lambda chance: f"{chance.choice(FIRST.split()).lower()}.{chance.randrange(users)}",
        "nobody": lambda chance: f"zz{chance.randrange(users)}",
    }
    for kind, made in kinds.items():
        for name, path in search(made):
            yield f"{name}, {kind}", path
    yield "API groups", lambda _chance: "/api/groups?limit=200"
    yield "API events", lambda _chance: "/api/events?limit=200"
    for section in ("groups", "organisations", "access", "audit", "clients", "roles"):
        yield f"console {section}", partial(_section, section)
    yield "console dashboard", lambda _chance: "/console"


def _section(section: str, _chance: random.Random) -> str:
    return f"/console/{section}"


def _measured(
    connection: http.client.HTTPConnection,
    name: str,
    path: Callable[[random.Random], str],
    headers: dict[str, str],
    each: int,
) -> Listed:
    chance, times, heaviest, status = random.Random(11), [], 0, 200
    for number in range(-1, each):
        began = time.perf_counter()
        connection.request("GET", path(chance), headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if number >= 0:  # the first loads what it needs
            times.append((time.perf_counter() - began) * 1e3)
        heaviest = max(heaviest, len(body))
        if answer.status != 200:
            status, times = answer.status, times or [0.0]
            break
    times.sort()
    p50, p95 = (times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.95))
    return Listed(name, p50, p95, times[-1], heaviest, status)


def _token(connection: http.client.HTTPConnection, issuer: str, secret: str) -> str:
    body = (
        f"grant_type=client_credentials&client_id={CLIENT}&client_secret={secret}"
        f"&resource={quote(issuer, safe='')}%2Fapi&scope=admin%3Aread"
    )
    connection.request("POST", "/oauth/token", body, {"content-type": "application/x-www-form-urlencoded"})
    return str(orjson.loads(connection.getresponse().read())["access_token"])
