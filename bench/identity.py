"""Kronborg's identity process for measurements: the product's own app and server on a database of the bench.

    python -m bench.identity FOLDER PORT

`prepare` makes the database: one confidential client, an API with JWTs and one with reference tokens, and refresh
tokens for a public client.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from kronborg.accounts.users import NewUser, create_user
from kronborg.app import identity_app
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import add_secret, save_api, save_client
from kronborg.config import Address, Settings
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.server import run_until_signalled, serve
from kronborg.signin.model import Origin
from kronborg.signin.sessions import begin_session
from kronborg.tokens.audience import Grantable, choose
from kronborg.tokens.codes import create_code, find_code, redeem
from kronborg.tokens.engine import open_engine
from kronborg.tokens.issue import order_for_grant
from kronborg.tokens.live import person_behind
from kronborg.tokens.model import Authorization

JWT_API, REFERENCE_API = "https://bench.example/jwt", "https://bench.example/reference"
CLIENT, PUBLIC = "bench", "bench-web"


@dataclass(frozen=True)
class Prepared:
    """What the load generator needs to know."""

    secret: str
    refresh_tokens: tuple[str, ...]


def settings_of(folder: Path, port: int) -> Settings:
    """The settings of the measured installation."""
    return Settings(data=folder, identity=Address("127.0.0.1", port), issuer=f"http://localhost:{port}")


async def prepare(settings: Settings, *, refresh_tokens: int) -> Prepared:
    """Register the client and its APIs, and issue refresh tokens. The schema must be migrated."""
    database, now = await Database.open(settings.database_url), clock.now()
    vault = settings.vault()
    engine = await open_engine(database, vault, issuer=settings.issuer, session_idle=timedelta(days=1), now=now)
    async with database.write() as session:
        await save_api(session, ApiDraft(JWT_API, "JWT", (Scope("bench:read", "Read"),)), actor="bench", now=now)
        counted = ApiDraft(REFERENCE_API, "Reference", (Scope("bench:count", "Count"),), "reference")
        await save_api(session, counted, actor="bench", now=now)
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
        public = ClientDraft(
            PUBLIC,
            "Bench web",
            kind="public",
            auth_method="none",
            redirect_uris=("https://bench.example/callback",),
            grants=("authorization_code", "refresh_token"),
            scopes=("bench:read",),
        )
        client = await save_client(session, public, actor="bench", now=now)
        user = await create_user(session, NewUser("bench", name="Bench"), actor="bench", now=now)
        origin = Origin("127.0.0.1", "bench")
        begun = await begin_session(
            session, vault, user.id, amr=("pwd",), origin=origin, lifetime=timedelta(days=1), now=now
        )
    granted, apis = Grantable(("bench:read",), (JWT_API,)), await engine.directory.apis(now=now)
    target = choose(granted, apis, userinfo=engine.userinfo, scope=None, resource=None)
    tokens = []
    for _ in range(refresh_tokens):
        allowed = Authorization(
            client.id, user.id, begun.session.id, granted.scopes, granted.audiences, None, None, None, now
        )
        code = await find_code(engine, await create_code(engine, allowed, now=now))
        assert code is not None
        person = await person_behind(engine, code.grant, now=now)
        assert person is not None
        order = order_for_grant(engine, code.grant, person, target, now=now)
        issued = await redeem(engine, code, person, order, with_refresh=True, now=now)
        tokens.append(issued.refresh_token or "")
    await database.close()
    return Prepared(made.secret, tuple(tokens))


async def main(folder: Path, port: int, stop: asyncio.Event) -> None:
    """Serve until told to stop."""
    settings = settings_of(folder, port)
    database = await Database.open(settings.database_url)
    await serve(await identity_app(settings, database), host="127.0.0.1", port=port, stop=stop)
    await database.close()


if __name__ == "__main__":
    where, number = Path(sys.argv[1]), int(sys.argv[2])
    run_until_signalled(lambda stop: main(where, number, stop))
