"""Kronborg's identity process for measurements: the product's own app and server on a database of the bench.

    python -m bench.identity FOLDER PORT [WORKERS]

`prepare` adds to a database what is measured: one confidential client, an API with JWTs and one with reference tokens,
people who are signed in, one with a password, and refresh tokens for a public client.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from kronborg.accounts.users import NewUser, create_user
from kronborg.app import identity_app
from kronborg.clients.model import ApiDraft, Client, ClientDraft, Scope
from kronborg.clients.register import add_secret, save_api, save_client
from kronborg.config import Address, Settings
from kronborg.core import clock, opaque
from kronborg.core.crypto import Vault
from kronborg.core.db import Database, Session
from kronborg.core.group_writer import Execute
from kronborg.core.ids import new_id
from kronborg.server import run_until_signalled, serve
from kronborg.sessions.life import begin_session
from kronborg.sessions.model import Origin
from kronborg.signin.passwords import set_password
from kronborg.tokens import refresh, store
from kronborg.tokens.engine import Engine, open_engine
from kronborg.tokens.model import REFRESH_ABSOLUTE, Grant

ISSUER = "http://localhost:8081"
"""The same on every port, so that a store that was built once can be measured on any."""
JWT_API, REFERENCE_API = "https://bench.example/jwt", "https://bench.example/reference"
CLIENT, PUBLIC, FIRST_PARTY = "bench", "bench-web", "bench-first-party"
CALLBACK = "https://bench.example/callback"
TYPING, PASSWORD = 8, "a password of the bench, long enough"
"""People who sign in at once, and the password of all of them."""


@dataclass(frozen=True)
class Prepared:
    """What the load generator needs to know. `sessions` are values of the session cookie."""

    secret: str
    refresh_tokens: tuple[str, ...]
    sessions: tuple[str, ...]
    first_party_secret: str


def settings_of(folder: Path, port: int, *, workers: int = 1) -> Settings:
    """The settings of the measured installation."""
    return Settings(data=folder, identity=Address("127.0.0.1", port), issuer=ISSUER, identity_workers=workers)


async def prepare(settings: Settings, *, connections: int) -> Prepared:
    """Register the clients and their APIs, sign people in, issue refresh tokens. The schema must be migrated."""
    database, now = await Database.open(settings.database_url), clock.now()
    vault = settings.vault()
    engine = await open_engine(database, vault, issuer=settings.issuer, session_idle=timedelta(days=1), now=now)
    async with database.write() as session:
        public, secret, first_party_secret = await _register(session, vault, now)
        people = [await _sign_in(session, vault, number, now) for number in range(connections)]
        for number in range(TYPING):
            user = await create_user(session, NewUser(f"typist-{number}", name="Bench"), actor="bench", now=now)
            await set_password(session, user.id, PASSWORD, actor="bench", now=now)
    tokens = [await _refresh_token(engine, public, user_id, sid, now) for user_id, sid, _ in people]
    await database.close()
    return Prepared(secret, tuple(tokens), tuple(cookie for _, _, cookie in people), first_party_secret)


async def _register(session: Session, vault: Vault, now: datetime) -> tuple[Client, str, str]:
    for draft in _apis():
        await save_api(session, draft, actor="bench", now=now)
    confidential = ClientDraft(
        CLIENT,
        "Bench",
        auth_method="client_secret_post",
        grants=("client_credentials",),
        scopes=("bench:read", "bench:count"),
        audiences=(JWT_API, REFERENCE_API),
    )
    await save_client(session, confidential, actor="bench", now=now)
    made = await add_secret(session, vault, CLIENT, actor="bench", now=now)
    first_party = ClientDraft(
        FIRST_PARTY,
        "Bench first party",
        auth_method="client_secret_post",
        redirect_uris=(CALLBACK,),
        grants=("authorization_code",),
        scopes=("openid", "bench:read"),
        first_party=True,
    )
    await save_client(session, first_party, actor="bench", now=now)
    other = await add_secret(session, vault, FIRST_PARTY, actor="bench", now=now)
    public = ClientDraft(
        PUBLIC,
        "Bench web",
        kind="public",
        auth_method="none",
        redirect_uris=(CALLBACK,),
        grants=("authorization_code", "refresh_token"),
        scopes=("bench:read",),
    )
    return await save_client(session, public, actor="bench", now=now), made.secret, other.secret


def _apis() -> Iterator[ApiDraft]:
    yield ApiDraft(JWT_API, "JWT", (Scope("bench:read", "Read"),))
    yield ApiDraft(REFERENCE_API, "Reference", (Scope("bench:count", "Count"),), "reference")


async def _sign_in(session: Session, vault: Vault, number: int, now: datetime) -> tuple[str, str, str]:
    """A person with a session: user id, session id, cookie."""
    user = await create_user(session, NewUser(f"bench-{number}", name="Bench"), actor="bench", now=now)
    origin, day = Origin("127.0.0.1", "bench"), timedelta(days=1)
    begun = await begin_session(session, vault, user.id, amr=("pwd",), origin=origin, lifetime=day, now=now)
    return user.id, begun.session.id, begun.secret


async def _refresh_token(engine: Engine, client: Client, user_id: str, session_id: str, now: datetime) -> str:
    """A refresh token of a new grant, stored as the exchange of a code would have stored it."""
    text, until = opaque.mint(opaque.REFRESH), now + REFRESH_ABSOLUTE
    scopes, audiences = ("bench:read",), (JWT_API,)
    grant = Grant(new_id(), client.id, user_id, session_id, scopes, audiences, now, ("pwd",), now, until, None)

    def unit(execute: Execute) -> None:
        store.add_grant(execute, grant)
        refresh.add(engine, execute, text, grant, now=now)

    await engine.database.writer.run(unit)
    return text


async def main(folder: Path, port: int, workers: int, stop: asyncio.Event) -> None:
    """Serve until told to stop; with several workers on a shared port."""
    settings = settings_of(folder, port, workers=workers)
    database = await Database.open(settings.database_url)
    app = await identity_app(settings, database)
    await serve(app, host="127.0.0.1", port=port, stop=stop, share=workers > 1)
    await database.close()


if __name__ == "__main__":
    where, number, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    run_until_signalled(lambda stop: main(where, number, count, stop))
