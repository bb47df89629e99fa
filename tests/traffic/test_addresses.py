"""Addresses that operators block: refused by the live gateway, listed and lifted in the console, with its guards."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path as FilePath

import pytest

from console.conftest import ADMIN, AUDITOR, Console
from console.test_pages import csrf_of
from gateway.live import API, Live, wait_until
from kronborg.core.db import Database
from kronborg.core.errors import Invalid, NotFound
from kronborg.core.events import latest
from kronborg.gateway.follow import follow, from_database
from kronborg.gateway.ledger import Ledger
from kronborg.gateway.model import Path, Route
from kronborg.traffic.addresses import LONGEST, MOST, block_address, lift_address, network_of, warnings_of
from kronborg.traffic.addresses_store import list_blocked
from traffic.test_pages import console, database_url

__all__ = ["console", "database_url"]

HOUR = timedelta(hours=1)
ROUTES = (
    Route("open", Path("prefix", "/open"), "echo", public=True),
    Route("read", Path("prefix", "/read"), "echo", audience=API),
)


def ask(gateway: Live, path: str, address: str) -> int:
    token = gateway.token() if path == "/read" else None
    return gateway.get(path, token=token, headers={"X-Forwarded-For": address}).status


@pytest.mark.anyio
async def test_every_request_of_a_blocked_address_is_refused_within_a_second_until_it_is_over(
    gateway: Live, database: Database
) -> None:
    snapshot = replace(gateway.snapshot(*ROUTES), trusted_proxies=("127.0.0.0/8",))
    await asyncio.to_thread(gateway.deliver, snapshot)
    now, stop = datetime.now(UTC), asyncio.Event()
    ledger = Ledger.open(gateway.proxy.ledger)
    moved = timedelta(0)
    following = asyncio.create_task(
        follow(ledger, from_database(database.lookup), clock=lambda: datetime.now(UTC) + moved, stop=stop)
    )

    async def until(address: str, status: int) -> None:
        for path in ("/open", "/read", "/nowhere"):
            wanted = 404 if path == "/nowhere" and status == 200 else status
            await asyncio.to_thread(wait_until, lambda: ask(gateway, path, address) == wanted, seconds=5)  # noqa: B023

    try:
        await until("192.0.2.7", 200)
        for text in ("192.0.2.7", "2001:db8:0:7::/64"):
            await block_address(database, text, reason="floods", lasts=HOUR, actor="ada", now=now)
        await until("192.0.2.7", 403)
        await until("2001:db8:0:7::9", 403)
        await until("192.0.2.8", 200)
        refused = await asyncio.to_thread(gateway.get, "/open", headers={"X-Forwarded-For": "192.0.2.7"})
        await lift_address(database, "192.0.2.7", actor="ada", now=datetime.now(UTC))
        await until("192.0.2.7", 200)
        await until("2001:db8:0:7::9", 403)
        moved = 2 * HOUR
        await until("2001:db8:0:7::9", 200)
    finally:
        stop.set()
        await following
        ledger.close()
        gateway.proxy.ledger.unlink()

    assert refused.json()["reason"] == "address_refused"


@pytest.mark.anyio
async def test_a_restarted_gateway_still_refuses(database: Database, tmp_path: FilePath) -> None:
    now, path = datetime.now(UTC), tmp_path / "ledger" / "ledger.txt"
    await block_address(database, "192.0.2.7", reason="floods", lasts=HOUR, actor="ada", now=now)
    first = Ledger.open(path)
    first.apply(await from_database(database.lookup)(0), now=now)
    first.close()

    again = Ledger.open(path)

    assert (again.blocked(now), again.blocked(now + 2 * HOUR)) == (("192.0.2.7",), ())
    again.close()


@pytest.mark.parametrize(
    "text", ["0.0.0.0/0", "::/0", "10.0.0.0/8", "2001::/16", "::ffff:0:0/96", "nobody", "", "192.0.2.7/33", "1.2.3"]
)
def test_nobody_locks_out_everybody(text: str) -> None:
    with pytest.raises(Invalid):
        network_of(text)


def test_who_might_lock_out_himself_or_a_proxy_is_warned() -> None:
    def count(text: str, own: str) -> int:
        return len(list(warnings_of(network_of(text), own=own, proxies=("10.0.0.0/8", "2001:db8:9::/48"))))

    assert count("192.0.2.0/24", "192.0.2.9") == 1
    assert count("::ffff:192.0.2.9", "::ffff:192.0.2.9") == 1
    assert count("10.1.0.0/16", "10.1.2.3") == 2
    assert count("2001:db8:9:1::/64", "") == 1
    assert count("127.0.0.1", "127.0.0.1") == 2
    assert count("198.51.100.7", "192.0.2.9") == 0


@pytest.mark.anyio
async def test_blocks_are_few_and_end(database: Database) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)

    async def block(text: str, lasts: timedelta = HOUR, reason: str = "floods") -> None:
        await block_address(database, text, reason=reason, lasts=lasts, actor="ada", now=now)

    for number in range(MOST):
        await block(f"192.0.{number // 250}.{number % 250}")
    with pytest.raises(Invalid):
        await block("198.51.100.1")
    await block("192.0.0.1", reason="again")
    for lasts, reason in ((LONGEST + HOUR, "long"), (timedelta(0), "short"), (HOUR, " "), (HOUR, "x" * 501)):
        with pytest.raises(Invalid):
            await block("192.0.0.1", lasts, reason)
    with pytest.raises(NotFound):
        await lift_address(database, "198.51.100.1", actor="ada", now=now)

    assert len(await list_blocked(database.lookup, now=now)) == MOST
    assert await list_blocked(database.lookup, now=now + 2 * HOUR) == ()


@pytest.mark.anyio
async def test_an_operator_blocks_lists_and_lifts(console: Console) -> None:
    browser, auditor = await console.signed_in("ada", ADMIN), await console.signed_in("grace", AUDITOR)
    home, form = "/console/traffic/addresses", {"network": "198.51.100.7", "span": "8h", "reason": "probes everything"}

    prefilled = (await browser.get(f"{home}?address=198.51.100.7")).text
    question = await browser.post(home, form)
    listed_before = (await browser.get(home)).text
    done = await browser.post(home, {**form, "sure": "yes"})
    listed = (await browser.get(home)).text
    async with console.engine.database.read() as session:
        event = (await latest(session))[0]
    csrf = await csrf_of(browser)
    ended = await browser.http.post(f"{home}/-/lift", data={"network": "198.51.100.7", "csrf": csrf})
    again = await browser.http.post(f"{home}/-/lift", data={"network": "198.51.100.7", "csrf": csrf})
    lifted = (await browser.get(home)).text
    hidden = await auditor.http.get(home)

    assert 'value="198.51.100.7"' in prefilled
    assert "Block this address?" in question.text
    assert "probes everything" not in listed_before
    assert done.status_code in (200, 303)
    assert "probes everything" in listed
    assert (event.name, event.subject) == ("address.blocked", "198.51.100.7")
    assert (ended.status_code, again.status_code) == (303, 404)
    assert "probes everything" not in lifted
    assert hidden.status_code == 403


@pytest.mark.anyio
async def test_a_dangerous_block_is_typed_and_a_wrong_one_refused(console: Console) -> None:
    browser = await console.signed_in("ada", ADMIN)
    home, form = "/console/traffic/addresses", {"network": "127.0.0.1", "span": "1h", "reason": "a test"}

    wide = await browser.post(home, {**form, "network": "0.0.0.0/0"})
    question = await browser.post(home, form)
    untyped = await browser.post(home, {**form, "sure": "yes"})
    typed = await browser.post(home, {**form, "sure": "yes", "typed": "127.0.0.1/32"})

    assert (wide.status_code, "too wide" in wide.text) == (422, True)
    assert "You yourself" in question.text or "this machine" in question.text
    assert untyped.status_code == 422
    assert typed.status_code in (200, 303), typed.text
    assert len(await list_blocked(console.engine.database.lookup, now=datetime.now(UTC))) == 1
