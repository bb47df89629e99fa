"""What the worker does about people's mail: answers, notices, the emergency brake, delivery."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kronborg.accounts.links import ask, make_link
from kronborg.accounts.people import People
from kronborg.accounts.users import NewUser, create_user
from kronborg.config import Settings
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import record
from kronborg.core.mail_store import due_letters
from kronborg.duties import answer_asked, clean_letters, delivery
from kronborg.sessions.life import Beginning, begin_in
from kronborg.sessions.model import Origin
from kronborg.signin.recovery import lock_down
from kronborg.tokens import store
from kronborg.tokens.engine import Engine, open_engine
from kronborg.tokens.model import Grant
from kronborg.worker import Outbox

pytestmark = pytest.mark.anyio

ISSUER = "http://localhost:8081"


@pytest.fixture
async def engine(database: Database, vault: Vault, now: datetime) -> Engine:
    opened = await open_engine(database, vault, issuer=ISSUER, session_idle=timedelta(hours=1), now=now)
    return replace(opened, people=People.make(vault, ISSUER))


async def settle(engine: Engine, now: datetime) -> None:
    outbox = Outbox(engine)
    while await outbox.turn(now=now):
        pass


async def letters(engine: Engine, now: datetime) -> int:
    async with engine.database.read() as session:
        return len(await due_letters(session, now=now, limit=50))


async def person(engine: Engine, now: datetime) -> str:
    async with engine.database.write() as session:
        new = NewUser("hamlet", "hamlet@kronborg.example")
        return (await create_user(session, new, actor="test", now=now)).id


async def sign_in(engine: Engine, user_id: str, now: datetime, *, new_device: bool) -> None:
    origin = Origin("203.0.113.7", "Firefox/140.0 (X11; Linux)")
    beginning = Beginning(user_id, ("pwd",), origin, timedelta(days=1), new_device=new_device)
    await engine.database.writer.run(lambda execute: begin_in(execute, engine.vault, beginning, now=now))


async def test_news_become_letters(engine: Engine, now: datetime) -> None:
    user_id = await person(engine, now)
    counts = []
    for new_device in (True, False, True):
        await sign_in(engine, user_id, now, new_device=new_device)
        await settle(engine, now)
        counts.append(await letters(engine, now))
    for name, detail in (
        ("password.set", {}),
        ("password.set", {}),
        ("factor.added", {"kind": "totp", "factor": "f1"}),
        ("factor.removed", {"kind": "passkey", "factor": "f2"}),
    ):
        async with engine.database.write() as session:
            await record(session, name, actor=user_id, subject=user_id, now=now, detail=detail)
        await settle(engine, now)
        counts.append(await letters(engine, now))

    assert counts == [0, 0, 1, 1, 2, 3, 4]


async def test_the_brake_ends_every_grant(engine: Engine, now: datetime) -> None:
    user_id = await person(engine, now)
    scopes = ("openid", "offline_access")
    grant = Grant("g1", "client", user_id, None, scopes, (), now, ("pwd",), now, now + timedelta(days=1), None)
    await engine.database.writer.run(lambda execute: store.add_grant(execute, grant))
    async with engine.database.write() as session:
        held = {"email": "hamlet@kronborg.example", "cause": "session.begun"}
        token = await make_link(session, engine.vault, "lockdown", user_id, held, now=now)
    assert engine.people is not None

    await lock_down(engine.database, engine.people, token, now=now)
    await settle(engine, now + timedelta(seconds=1))
    after = await store.find_grant(engine.database.lookup, "g1")

    assert after is not None
    assert after.revoked_at is not None


async def test_jobs_answer_deliver_and_clean(engine: Engine, now: datetime, tmp_path: Path) -> None:
    user_id = await person(engine, now)
    async with engine.database.write() as session:
        await ask(session, engine.vault, "forgot", {"login": "hamlet", "language": "da"}, now=now)
        await ask(session, engine.vault, "forgot", {"login": "nobody", "language": "da"}, now=now)
        await make_link(session, engine.vault, "reset", user_id, {}, now=now)
    job = delivery(Settings(data=tmp_path))

    more = await answer_asked(engine, now)
    delivered = await job.run(engine, now)
    await clean_letters(engine, now + timedelta(days=2))

    assert (more, delivered) == (False, False)
    assert len(list((tmp_path / "mail").iterdir())) == 1
    assert await letters(engine, now + timedelta(days=2)) == 0
