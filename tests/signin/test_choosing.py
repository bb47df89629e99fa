"""Which passwords may be chosen: strength, the common ones, leaked ones, those before."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from kronborg.accounts.model import User
from kronborg.accounts.users import NewUser, create_user
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.core.fetch import Fetcher
from kronborg.signin.common import FILE, is_common
from kronborg.signin.model import PasswordSettings
from kronborg.signin.passwords import Passwords, store_password
from kronborg.signin.strength import strength_of
from people_site import PASSWORD, PeopleSite

pytestmark = pytest.mark.anyio

QUICK = PasswordSettings(memory_kib=64, passes=1)
LEAKED = "the leak everybody heard of"
LEAK = "this password is known from a leak: choose one that is used nowhere else"


async def refusal(
    passwords: Passwords, password: str, database: Database | None = None, user: User | None = None
) -> str:
    """What is wrong with it; empty when it may be chosen."""
    try:
        await passwords.examine(password, user=user, database=database)
    except Invalid as invalid:
        return f"{invalid.problems[0].detail}: {invalid.problems[0].mend}"
    return ""


async def test_common_passwords_are_known_by_a_small_file_that_holds_none_of_them() -> None:
    words = [word for word in FREQUENCY_LISTS["passwords"] if len(word) >= 8]

    assert all(map(is_common, words))
    assert is_common(words[0].upper())
    assert not any(map(is_common, (PASSWORD, "correct horse battery", "", "\ud800 broken")))
    assert FILE.stat().st_size < 200_000
    assert words[0].encode() not in FILE.read_bytes()


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("qwertyuiopasdfgh", "much like"),
        ("password1234", "tried first"),
        ("ab1!ab1!ab1!ab1!", "again and again"),
        ("p@ssw0rdp@ssw0rd", "easy to guess"),
        ("abcdefghijklmnop", "in order"),
        ("x" * 256, "easy to guess"),
    ],
)
async def test_what_is_easy_to_guess_is_refused_with_a_reason_and_a_mend(password: str, told: str) -> None:
    found = await refusal(Passwords(QUICK), password)

    assert told in found
    assert found.endswith("expect") or found.endswith("characters")


async def test_what_is_known_of_a_person_makes_a_weak_password(database: Database, now: datetime) -> None:
    async with database.write() as session:
        new = NewUser("rosencrantz", "rosencrantz@wittenberg.example", "Rosencrantz Guildenstern")
        user = await create_user(session, new, actor="test", now=now)
    passwords = Passwords(replace(QUICK, strength=3))

    own = await refusal(passwords, "guildenstern99", user=user)
    for_others = await refusal(passwords, "guildenstern99")

    assert "easy to guess" in own
    assert for_others == ""


async def test_long_ones_are_looked_at_in_bounded_time_and_the_bar_can_be_lowered() -> None:
    assert strength_of("ab1!" * 1000).score <= 1
    assert strength_of("").score == 0
    assert await refusal(Passwords(replace(QUICK, strength=0)), "abcabcabcabcabc") != "x"
    assert await refusal(Passwords(replace(QUICK, strength=0, shortest=8)), "abcdabcdabcd") == ""


async def test_the_library_is_not_loaded_before_a_password_is_chosen() -> None:
    program = "import sys, kronborg.app; print('zxcvbn' in sys.modules)"

    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()

    assert out.strip() == b"False"


@pytest.fixture
async def service() -> AsyncIterator[tuple[str, list[str]]]:
    """A service of leaked passwords on the loopback; what it was asked."""
    asked: list[str] = []
    digest = hashlib.sha1(LEAKED.encode()).hexdigest().upper()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head)
        padded = hashlib.sha1(b"another secret of this house").hexdigest().upper()
        body = "".join(f"{ending}\r\n" for ending in ("0" * 35 + ":4", digest[5:] + ":12", padded[5:] + ":0")).encode()
        if "/slow/" in head:
            await asyncio.sleep(3600)
        status = "500 Broken" if "/broken/" in head else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n".encode())
        writer.write(body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", asked
    server.close()


async def test_a_service_is_told_five_digits_and_what_it_knows_is_refused(service: tuple[str, list[str]]) -> None:
    url, asked = service
    passwords = Passwords(replace(QUICK, breached_url=f"{url}/range/"), Fetcher(["127.0.0.0/8"]))

    leaked = await refusal(passwords, LEAKED)
    fine = await refusal(passwords, "correct horse battery")
    padding = await refusal(passwords, "another secret of this house")

    digest = hashlib.sha1(LEAKED.encode()).hexdigest().upper()
    assert (leaked, fine, padding) == (LEAK, "", "")
    assert asked[0].startswith(f"GET /range/{digest[:5]} HTTP/1.1")
    assert digest[5:] not in asked[0]
    assert "add-padding: true" in asked[0].lower()


@pytest.mark.parametrize("path", ["broken", "nothing"])
async def test_a_service_that_fails_keeps_nobody_from_choosing(service: tuple[str, list[str]], path: str) -> None:
    url = service[0] if path == "broken" else "http://127.0.0.1:9"
    passwords = Passwords(replace(QUICK, breached_url=f"{url}/{path}/"), Fetcher(["127.0.0.0/8"]))

    assert await refusal(passwords, LEAKED) == ""


async def test_passwords_before_cannot_be_chosen_again_as_far_as_the_setting_goes(
    database: Database, now: datetime
) -> None:
    passwords = Passwords(replace(QUICK, history=3))
    async with database.write() as session:
        user = await create_user(session, NewUser("hamlet"), actor="test", now=now)
    names = [f"password of the year {year}, long" for year in (1601, 1602, 1603, 1604)]
    for number, one in enumerate(names):
        encoded = await passwords.hash(one)
        async with database.write() as session:
            at = now.replace(hour=number)
            await store_password(session, user.id, encoded, actor="test", now=at, history=3)

    refused = [await refusal(passwords, one, database, user=user) for one in names]

    rows = await database.lookup.first("SELECT COUNT(*) FROM signin_former_passwords")
    assert [bool(one) for one in refused] == [False, True, True, True]
    assert rows == (2,)


async def test_a_person_is_told_what_is_wrong_with_a_new_password(site: PeopleSite) -> None:
    await site.person("hamlet")
    visitor = site.visitor()
    await visitor.sign_in("hamlet")

    answer = await visitor.post(
        "/account/password", {"current": PASSWORD, "new": "abcdefghijklmnop"}, page="/account/security"
    )

    assert answer.status_code == 422
    assert "in order" in answer.text or "easy to guess" in answer.text
