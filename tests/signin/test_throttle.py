"""Throttling: guessing is slowed, its owner is not locked out."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from kronborg.accounts.users import disable_user
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Overloaded, TooMany
from kronborg.core.events import latest
from kronborg.sessions.model import Origin
from kronborg.sessions.proof import Proof
from kronborg.signin.finish import Compared, SignedIn, finish
from kronborg.signin.model import Allowance, PasswordSettings, ThrottleSettings
from kronborg.signin.passwords import Passwords
from kronborg.signin.sign_in import Attempt, Outcome, Throttled, WrongCredentials, sign_in
from kronborg.signin.throttle import Counter, counters_for, give_back, purge_counters, reserve
from people_site import PASSWORD, PeopleSite

pytestmark = pytest.mark.anyio

HOME = "203.0.113.7"


async def attempt(
    site: PeopleSite,
    password: str,
    *,
    address: str = HOME,
    device: str | None = None,
    now: datetime,
    login: str = "hamlet",
) -> Outcome:
    return await sign_in(
        site.parts.database,
        site.parts.vault,
        site.signin.passwords,
        ThrottleSettings(),
        Attempt(login, password, Origin(address, "test"), device),
        session_lifetime=timedelta(days=1),
        now=now,
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_ten_thousand_wrong_passwords_from_elsewhere_never_stop_the_owner(
    site: PeopleSite, now: datetime
) -> None:
    await site.person("hamlet")
    first = await attempt(site, PASSWORD, now=now)
    assert isinstance(first, SignedIn)
    compared = 0

    for n in range(10_000):
        now += timedelta(milliseconds=50)
        outcome = await attempt(site, "wrong", address=f"198.51.{n % 100}.{n % 250}", now=now)
        compared += isinstance(outcome, WrongCredentials)
        if n % 500 == 499:
            owner = await attempt(site, PASSWORD, device=first.device_cookie, now=now)
            assert isinstance(owner, SignedIn)

    stranger = await attempt(site, PASSWORD, address="192.0.2.1", now=now)
    assert compared < 250
    assert isinstance(stranger, Throttled)


async def test_a_known_device_has_an_allowance_of_its_own_and_no_more(site: PeopleSite, now: datetime) -> None:
    await site.person("hamlet")
    first = await attempt(site, PASSWORD, now=now)
    assert isinstance(first, SignedIn)

    outcomes = [await attempt(site, "wrong", device=first.device_cookie, now=now) for _ in range(20)]

    assert sum(isinstance(outcome, WrongCredentials) for outcome in outcomes) == 11
    assert isinstance(outcomes[-1], Throttled)


async def test_a_device_cookie_is_worth_nothing_for_another_account_or_when_made_up(
    site: PeopleSite, now: datetime
) -> None:
    await site.person("hamlet")
    claudius = await site.person("claudius")
    first = await attempt(site, PASSWORD, now=now)
    assert isinstance(first, SignedIn)
    stolen = first.device_cookie
    forged = stolen.replace(stolen.split(".")[0], claudius.id)

    for cookie in (stolen, forged):
        for _ in range(10):
            await attempt(site, "wrong", device=cookie, login="claudius", now=now)

    last = await attempt(site, PASSWORD, login="claudius", now=now)
    assert isinstance(last, Throttled)


async def test_guesses_sent_at_once_gain_nothing(site: PeopleSite, now: datetime) -> None:
    await site.person("hamlet")

    outcomes = await asyncio.gather(*(attempt(site, f"guess {n}", now=now) for n in range(30)))

    assert sum(isinstance(outcome, WrongCredentials) for outcome in outcomes) == 6
    assert sum(isinstance(outcome, Throttled) for outcome in outcomes) == 24


async def test_an_attempt_that_is_counted_after_a_later_one_does_not_wait_for_it(
    database: Database, vault: Vault, now: datetime
) -> None:
    counters = counters_for(vault, ThrottleSettings(), login="hamlet", address=HOME, device=None)
    earlier, later = now, now + timedelta(milliseconds=20)

    await reserve(database, counters, now=later)
    await reserve(database, counters, now=earlier)
    await give_back(database, counters, now=later)

    await reserve(database, counters, now=earlier)


async def test_case_spaces_and_composition_do_not_make_new_counters(site: PeopleSite, now: datetime) -> None:
    await site.person("zoë")
    names = ("zoë", "ZOË", " zoë ", "zoe\u0308", "ZOE\u0308 ", "Zoë", "zOË")

    outcomes = [await attempt(site, "wrong", login=name, now=now) for name in names]

    assert isinstance(outcomes[-1], Throttled)


async def test_waits_do_not_tell_that_two_names_are_of_one_account(site: PeopleSite, now: datetime) -> None:
    await site.person("hamlet")
    for _ in range(7):
        last = await attempt(site, "wrong", login="hamlet", now=now)

    by_email = await attempt(site, "wrong", login="hamlet@kronborg.example", now=now)

    assert isinstance(last, Throttled)
    assert isinstance(by_email, WrongCredentials)


async def test_signing_in_to_an_account_of_ones_own_ends_no_wait(site: PeopleSite, now: datetime) -> None:
    await site.person("guesser")
    for n in range(51):
        last = await attempt(site, "wrong", login=f"victim{n}", now=now)
    now += timedelta(seconds=2)

    own = await attempt(site, PASSWORD, login="guesser", now=now)
    guess = await attempt(site, "wrong", login="victim", now=now)
    more = await attempt(site, "wrong", login="victim", now=now)

    assert isinstance(last, WrongCredentials)
    assert isinstance(own, SignedIn)
    assert [type(guess), type(more)].count(WrongCredentials) <= 1


async def test_unknown_names_are_throttled_like_known_ones(site: PeopleSite, now: datetime) -> None:
    await site.person("hamlet")

    known = [type(await attempt(site, "wrong", address="192.0.2.1", now=now)) for _ in range(9)]
    unknown = [type(await attempt(site, "wrong", address="192.0.2.2", login="nobody", now=now)) for _ in range(9)]

    assert known == unknown


async def test_waiting_helps_and_the_right_password_forgets_the_wrong_ones(site: PeopleSite, now: datetime) -> None:
    await site.person("hamlet")
    outcomes = [await attempt(site, "wrong", now=now) for _ in range(7)]
    refused = outcomes[-1]
    assert isinstance(refused, Throttled)

    right = await attempt(site, PASSWORD, now=now + refused.retry_after)
    wrong = [await attempt(site, "wrong", now=now + refused.retry_after) for _ in range(6)]

    assert isinstance(right, SignedIn)
    assert all(isinstance(outcome, WrongCredentials) for outcome in wrong)


async def test_the_wait_doubles_up_to_its_bound(database: Database, vault: Vault, now: datetime) -> None:
    settings = ThrottleSettings()
    counters = counters_for(vault, settings, login="hamlet", address=HOME, device="d")
    waits = []

    for _ in range(25):
        try:
            await reserve(database, counters, now=now)
        except TooMany as refusal:
            waits.append(refusal.retry_after.total_seconds())
            now += refusal.retry_after

    assert waits[:4] == [2, 4, 8, 16]
    assert max(waits) <= settings.device.longest_wait.total_seconds()


async def test_one_ipv6_household_is_one_caller(vault: Vault) -> None:
    def keys(address: str) -> list[bytes]:
        return [c.key for c in counters_for(vault, ThrottleSettings(), login="h", address=address, device=None)]

    assert keys("2001:db8:1:2::1") == keys("2001:db8:1:2:ffff::9")
    assert keys("2001:db8:1:2::1") != keys("2001:db8:1:3::1")
    assert keys("::ffff:192.0.2.1") == keys("192.0.2.1")


async def test_counters_are_forgotten(database: Database, vault: Vault, now: datetime) -> None:
    for n in range(5):
        counters = counters_for(vault, ThrottleSettings(), login=f"u{n}", address=HOME, device=None)
        await reserve(database, counters, now=now)
    await give_back(database, counters, now=now)

    async with database.write() as session:
        soon = await purge_counters(session, now=now + timedelta(hours=23))
        later = await purge_counters(session, now=now + timedelta(hours=25))

    assert soon == 0
    assert later == 15  # address, subnet, spray; of four names not given back: account, pair, spread


async def test_one_subnet_is_one_caller_after_more_failures_than_an_address_has(vault: Vault) -> None:
    def subnet(address: str) -> bytes:
        counters = counters_for(vault, ThrottleSettings(), login="h", address=address, device=None)
        return next(counter.key for counter in counters if counter.kind == "subnet")

    assert subnet("192.0.2.1") == subnet("192.0.2.254") == subnet("::ffff:192.0.2.9")
    assert subnet("192.0.2.1") != subnet("192.0.3.1")
    assert subnet("2001:db8:1:2::1") == subnet("2001:db8:1:ffff::1")
    assert subnet("2001:db8:1::1") != subnet("2001:db8:2::1")


async def test_a_subnet_that_guesses_is_slowed_though_each_address_tries_once(site: PeopleSite, now: datetime) -> None:
    outcomes = []

    for n in range(260):
        address = f"2001:db8:7:{n:x}::1"
        outcomes.append(await attempt(site, "wrong", login=f"victim{n}", address=address, now=now))
    neighbour = await attempt(site, "wrong", login="another", address="2001:db8:8::1", now=now)

    assert sum(isinstance(outcome, WrongCredentials) for outcome in outcomes) == 251
    assert isinstance(outcomes[-1], Throttled)
    assert isinstance(neighbour, WrongCredentials)


async def _bursts(site: PeopleSite) -> list[tuple[object, str]]:
    async with site.parts.database.read() as session:
        return [(e.detail["kind"], e.subject) for e in await latest(session, limit=200) if e.name == "signin.burst"]


async def test_one_address_that_tries_many_accounts_is_a_burst_and_slowed(site: PeopleSite, now: datetime) -> None:
    for n in range(120):
        now += timedelta(seconds=70)  # too slow for the counter of the address
        last = await attempt(site, "wrong", login=f"victim{n}", now=now)
        if isinstance(last, Throttled):
            break

    bursts = await _bursts(site)

    assert ("spray", "unknown") in bursts
    assert isinstance(last, Throttled)


async def test_one_account_tried_from_many_networks_is_a_burst_told_once(site: PeopleSite, now: datetime) -> None:
    hamlet = await site.person("hamlet")
    first = await attempt(site, PASSWORD, now=now)
    assert isinstance(first, SignedIn)

    outcomes = [await attempt(site, "wrong", address=f"198.{n % 200}.7.1", now=now) for n in range(100)]
    owner = await attempt(site, PASSWORD, device=first.device_cookie, now=now)

    assert await _bursts(site) == [("spread", hamlet.id)]
    assert sum(isinstance(outcome, WrongCredentials) for outcome in outcomes) == 61
    assert isinstance(owner, SignedIn)


async def test_many_tries_of_one_pair_are_no_burst(site: PeopleSite, now: datetime) -> None:
    for _ in range(40):
        now += timedelta(minutes=9)
        await attempt(site, "wrong", now=now)

    assert await _bursts(site) == []


async def test_an_office_that_signs_in_behind_one_address_is_let_in(site: PeopleSite, now: datetime) -> None:
    outcomes = []

    for n in range(120):
        await site.person(f"guard{n}")
        outcomes.append(await attempt(site, PASSWORD, login=f"guard{n}", now=now))

    row = await site.parts.database.lookup.first("SELECT COUNT(*) FROM signin_attempts")
    assert all(isinstance(outcome, SignedIn) for outcome in outcomes)
    assert row == (0,)


async def test_the_password_of_a_person_disabled_or_changed_meanwhile_lets_nobody_in(
    site: PeopleSite, now: datetime
) -> None:
    hamlet = await site.person("hamlet")
    proof = Proof(hamlet.id, ("pwd",), now)
    database, vault = site.parts.database, site.parts.vault

    async def enter(compared: Compared | None) -> object:
        return await finish(
            database,
            vault,
            proof,
            origin=Origin(HOME, "test"),
            device_cookie=None,
            replaces=None,
            session_lifetime=timedelta(days=1),
            now=now,
            compared=compared,
        )

    changed = await enter(Compared("the hash that was compared"))
    as_before = await enter(None)
    async with database.write() as session:
        await disable_user(session, hamlet.id, actor="test", now=now)
    disabled = await enter(None)

    assert changed is None
    assert isinstance(as_before, SignedIn)
    assert disabled is None


async def test_strangers_who_fill_the_queue_do_not_keep_out_a_known_device() -> None:
    passwords = Passwords(PasswordSettings(memory_kib=4096, passes=1, at_once=1, waiting=3))
    strangers = [asyncio.ensure_future(passwords.matches("guess", None)) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        passwords.admit()
    passwords.admit(preferred=True)

    await asyncio.gather(*strangers)


async def test_attempts_at_once_that_share_counters_are_all_counted_and_never_wait_in_a_circle(
    database: Database, vault: Vault, now: datetime
) -> None:
    wide = Allowance(10_000, timedelta(seconds=2), timedelta(minutes=5), timedelta(hours=1))
    settings = ThrottleSettings(wide, wide, wide, wide, wide, wide, wide)
    attempts = [
        counters_for(vault, settings, login=f"account {n % 7}", address=f"192.0.2.{n % 5}", device=None)
        for n in range(120)
    ]

    async with asyncio.timeout(20):
        await asyncio.gather(*(reserve(database, counters, now=now) for counters in attempts))
    counted = await _failures(database, attempts)
    async with asyncio.timeout(20):
        await asyncio.gather(*(give_back(database, counters, now=now) for counters in attempts))

    assert counted["subnet"] == {120}
    assert counted["address"] == {24}
    assert counted["account"] == {17, 18}
    assert counted["spray"] == {7}
    assert counted["spread"] == {5}
    assert await _failures(database, attempts) == {}


async def test_being_right_many_times_at_once_takes_back_no_more_than_was_counted(
    database: Database, vault: Vault, now: datetime
) -> None:
    others = [
        counters_for(vault, ThrottleSettings(), login=f"victim {n}", address=HOME, device=None) for n in range(10)
    ]
    own = counters_for(vault, ThrottleSettings(), login="guesser", address=HOME, device=None)
    for counters in others:
        await reserve(database, counters, now=now)

    for _ in range(4):
        await reserve(database, own, now=now)
    for _ in range(4):
        await give_back(database, own, now=now)

    counted = await _failures(database, [*others, own])
    assert (counted["spray"], counted["address"]) == ({10}, {10})


async def _failures(database: Database, attempts: list[tuple[Counter, ...]]) -> dict[str, set[int]]:
    kinds = {counter.key: counter.kind for counters in attempts for counter in counters}
    found: dict[str, set[int]] = {}
    for key, failures in await database.lookup.all("SELECT key, failures FROM signin_attempts"):
        found.setdefault(kinds[bytes(key)], set()).add(failures)
    return found
