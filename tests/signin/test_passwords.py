"""Passwords: what may be chosen, how they are kept, and that comparing costs the same for everybody."""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import datetime

import pytest

from kronborg.accounts.users import NewUser, create_user
from kronborg.core.db import Database
from kronborg.core.errors import Invalid, Overloaded
from kronborg.signin.model import PasswordSettings
from kronborg.signin.passwords import Passwords, set_password, verify_password
from kronborg.signin.store import read_password

pytestmark = pytest.mark.anyio

QUICK = PasswordSettings(memory_kib=64, passes=1)
GOOD = "correct horse battery"


async def test_the_default_is_argon2id_with_the_parameters_owasp_asks_for() -> None:
    encoded = await Passwords().hash(GOOD)

    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize(
    "password",
    ["short", "x" * 257, "with a \0 in it", "aaaaaaaaaaaaaa", "hamlet@kronborg.example", "HAMLET of Helsingør"],
)
async def test_bad_choices_are_refused(database: Database, now: datetime, password: str) -> None:
    new = NewUser("hamlet", "hamlet@kronborg.example", "Hamlet of Helsingør")

    async with database.write() as session:
        user = await create_user(session, new, actor="test", now=now)
        with pytest.raises(Invalid) as refusal:
            await set_password(session, user.id, password, actor="test", now=now, passwords=Passwords(QUICK))

    assert refusal.value.problems[0].mend


async def test_every_character_of_a_long_password_counts() -> None:
    passwords = Passwords(QUICK)
    long = "ab1!" * 64
    encoded = await passwords.hash(long)

    assert await passwords.matches(long, encoded)
    assert not await passwords.matches(long[:-1] + "?", encoded)
    assert not await passwords.matches(long[:-1], encoded)
    assert not await passwords.matches(long + "x", encoded)


async def test_a_password_is_the_same_however_a_keyboard_composes_it() -> None:
    passwords = Passwords(QUICK)

    encoded = await passwords.hash("Helsingør café au lait")

    assert await passwords.matches("Helsingør cafe\u0301 au lait", encoded)


async def test_nobody_can_sign_in_without_a_hash_or_with_a_broken_one() -> None:
    passwords = Passwords(QUICK)

    answers = [await passwords.matches(GOOD, encoded) for encoded in (None, "", "$argon2id$nonsense")]

    assert answers == [False, False, False]


async def test_a_hash_with_old_parameters_is_renewed_when_it_is_used(database: Database, now: datetime) -> None:
    old, new = Passwords(QUICK), Passwords(PasswordSettings(memory_kib=128, passes=2))
    async with database.write() as session:
        user = await create_user(session, NewUser("hamlet"), actor="test", now=now)
        await set_password(session, user.id, GOOD, actor="test", now=now, passwords=old)

    wrong = await verify_password(database, new, user.id, "something else entirely")
    right = await verify_password(database, new, user.id, GOOD)
    again = await verify_password(database, new, user.id, GOOD)

    async with database.read() as session:
        encoded = await read_password(session, user.id)
    assert (wrong, right, again) == (False, True, True)
    assert encoded is not None
    assert "m=128,t=2" in encoded


async def test_unknown_people_cost_as_much_as_known_ones() -> None:
    passwords = Passwords(PasswordSettings(at_once=1))
    encoded = await passwords.hash(GOOD)

    async def median(against: str | None, typed: str) -> float:
        times = []
        for _ in range(7):
            # The processor's time: the clock on the wall also counts what else this machine does.
            started = time.process_time()
            await passwords.matches(typed, against)
            times.append(time.process_time() - started)
        return statistics.median(times)

    known, unknown = await median(encoded, "wrong password here"), await median(None, "wrong password here")
    impossible = await median(encoded, "x" * 5000)

    assert 0.4 < unknown / known < 2.5
    assert 0.4 < impossible / known < 2.5


async def test_more_than_can_wait_are_turned_away_at_once() -> None:
    passwords = Passwords(PasswordSettings(memory_kib=4096, passes=1, at_once=1, waiting=3))

    outcomes = await asyncio.gather(*(passwords.matches(GOOD, None) for _ in range(20)), return_exceptions=True)

    assert sum(isinstance(outcome, Overloaded) for outcome in outcomes) == 17
    assert await passwords.matches(GOOD, None) is False
