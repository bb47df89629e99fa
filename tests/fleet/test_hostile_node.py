"""A gateway of the fleet that was taken over: what it can say, and what that does to everybody else."""

from __future__ import annotations

from datetime import datetime, timedelta

import orjson
import pytest

from fleet.door_site import Site
from kronborg.core.opaque import INVITATION, mint
from kronborg.fleet.authority import new_request
from kronborg.fleet.model import Standing
from kronborg.fleet.report_model import encode
from kronborg.gateway.breakers_store import list_stands
from kronborg.gateway.model import Service, Snapshot
from kronborg.gateway.publish import publish
from kronborg.gateway.resilience_model import Breaker
from kronborg.gateway.store import list_deliveries, put_service
from kronborg.traffic.questions import figures, span_of
from kronborg.traffic.row_model import COLUMNS, NUMBERS, seq_of

pytestmark = pytest.mark.anyio
HUGE = (1 << 62) - 1


def row(at: datetime, name: str, **told: object) -> list[object]:
    """A record that nothing is wrong with, but for what is told."""
    usual = {one: 0 if one in NUMBERS else "" for one in COLUMNS} | {"status": 200, "decision": "allowed"}
    wanted = {**usual, "seq": seq_of(at), "id": name, **told}
    return [wanted[one] for one in COLUMNS]


async def test_records_of_no_time_that_can_be_are_left_out_and_the_others_kept(site: Site) -> None:
    link = await site.joined()
    moments = (site.now + timedelta(days=1), site.now + timedelta(days=9000), site.now - timedelta(days=400))
    rows = [row(at, f"r{n}") for n, at in enumerate((*moments, site.now))]

    told = await link.call("POST", "/records", orjson.dumps(rows))

    kept = sorted(path.name for path in site.traffic.folder.glob("*.db"))
    assert told.status == 204
    assert len(kept) == 1
    await link.close()


async def test_numbers_beyond_all_measure_do_not_take_the_dashboard_away(site: Site) -> None:
    link = await site.joined()
    numbers = dict.fromkeys(("duration_us", "upstream_us", "bytes_in", "bytes_out", "attempts"), HUGE)
    rows = [row(site.now + timedelta(microseconds=n), f"r{n}", **numbers, status=HUGE) for n in range(10)]

    told = await link.call("POST", "/records", orjson.dumps(rows))

    shown = figures(site.traffic, span_of("1h", site.now), people=True)
    assert told.status == 204
    assert shown.n == 10
    await link.close()


async def test_what_is_no_decision_is_no_record(site: Site) -> None:
    link = await site.joined()

    told = await link.call("POST", "/records", orjson.dumps([row(site.now, "r", decision="<script>")]))

    assert told.status == 422
    await link.close()


async def test_breakers_of_services_that_there_are_not_are_not_written_down(site: Site) -> None:
    link = await site.joined()
    async with site.database.write() as session:
        await put_service(session, Service("shop", ("http://127.0.0.1:9",), breaker=Breaker()), now=site.now)
        await put_service(session, Service("plain", ("http://127.0.0.1:9",)), now=site.now)

    told = [
        (await link.call("POST", "/breakers", orjson.dumps({"service": one, "phase": "open", "why": "x"}))).status
        for one in ("shop", "plain", "nobody", "shop\r\nBcc: eve@company.example")
    ]

    async with site.database.read() as session:
        stands = [(one.proxy, one.service) for one in await list_stands(session)]
    # An honest gateway may be a version behind: it is not told to say it again for ever.
    assert told == [204] * 4
    assert stands == [("berlin", "shop")]
    await link.close()


async def test_saying_it_again_is_no_news(site: Site) -> None:
    link = await site.joined()
    async with site.database.write() as session:
        await put_service(session, Service("shop", ("http://127.0.0.1:9",), breaker=Breaker()), now=site.now)
    body = orjson.dumps({"service": "shop", "phase": "open", "why": "x"})

    for _ in range(5):
        await link.call("POST", "/breakers", body)

    rows = await site.database.lookup.all("SELECT name FROM core_events WHERE name = 'breaker.opened'")
    assert len(rows) == 1
    await link.close()


async def test_what_it_says_to_versions_that_were_never_published_is_not_kept(site: Site) -> None:
    link = await site.joined()
    async with site.database.write() as session:
        version = (await publish(session, Snapshot("http://localhost:8081"), author="t", now=site.now)).version

    for offered in (version, version + 1, 1 << 40, 1 << 52):
        said = encode(Standing(site.now, offered=offered, took="rejected", reason="no"))
        assert (await link.call("POST", "/standing", orjson.dumps(said))).status == 200

    async with site.database.read() as session:
        kept = [one.version for one, _ in await list_deliveries(session)]
    assert kept == [version]
    await link.close()


async def test_a_stranger_with_no_invitation_waits_for_nobody_and_holds_nobody_up(site: Site) -> None:
    link = await site.joined()
    _, request = new_request("x")
    body = mint(INVITATION).encode() + b"\n" + request

    async with site.database.write() as session:
        await session.wait_to_be_alone()
        told = await link.call("POST", "/join", body, seconds=3)

    assert told.status == 403
    await link.close()
