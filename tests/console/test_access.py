"""Who has access to what, and its end: grants, consents, sessions, keys; and what the dashboard says."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from console.conftest import ADMIN, Console
from console.stage import ORDERS, stage
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import add_secret, save_client
from kronborg.core import clock, events
from kronborg.oauth.figures import Board
from kronborg.oauth.store import consents_of_user
from kronborg.tokens.access_store import PAGES, grants_page
from kronborg.tokens.codes import create_code
from kronborg.tokens.model import Authorization
from kronborg.tokens.store import find_grant, grants_of_user

pytestmark = pytest.mark.anyio


async def test_what_is_typed_leads_to_whom_or_what_it_names(console: Console) -> None:
    there = await stage(console)
    ada = await console.signed_in("ada", ADMIN)

    for text, place in (
        ("hamlet", f"/console/access/users/{there.user}"),
        ("Hamlet@kronborg.example", f"/console/access/users/{there.user}"),
        ("shop", "/console/access/clients/shop"),
        (there.session, f"/console/access/sessions/{there.session}"),
        (there.grant, f"/console/access/grants/{there.grant}/revoke"),
    ):
        answer = await ada.http.get("/console/access", params={"q": text})

        assert answer.headers.get("location") == place, text
    assert "exactly this name" in (await ada.get("/console/access?q=nobody")).text


async def test_a_grant_is_revoked(console: Console) -> None:
    there = await stage(console)
    ada = await console.signed_in("ada", ADMIN)

    answer = await ada.post(f"/console/access/grants/{there.grant}/revoke")

    grant = await find_grant(console.engine.database.lookup, there.grant)
    assert answer.status_code == 303
    assert grant is not None
    assert grant.revoked_at is not None
    assert "Revoked" in (await ada.get(f"/console/access/users/{there.user}")).text


@pytest.mark.parametrize("path", ["/console/access/users/{user}/revoke", "/console/access/clients/shop/revoke"])
async def test_everything_of_a_user_or_a_client_is_revoked(console: Console, path: str) -> None:
    there = await stage(console)
    ada = await console.signed_in("ada", ADMIN)

    answer = await ada.post(there.fill(path))

    assert answer.status_code == 303
    assert await grants_of_user(console.engine.database.lookup, there.user, now=clock.now()) == ()


async def test_a_consent_is_withdrawn_with_what_was_given(console: Console) -> None:
    there = await stage(console)
    ada = await console.signed_in("ada", ADMIN)

    await ada.post(f"/console/access/users/{there.user}/consents/shop/withdraw")

    assert await consents_of_user(console.engine.database.lookup, there.user) == ()
    assert await grants_of_user(console.engine.database.lookup, there.user, now=clock.now()) == ()


async def test_grants_are_listed_newest_first_some_at_a_time(console: Console) -> None:
    there = await stage(console)
    for _ in range(55):
        allowed = Authorization(
            "shop", there.user, there.session, ("openid",), (ORDERS,), "https://shop.example/callback", None, None,
            clock.now(),
        )  # fmt: skip
        await create_code(console.engine, allowed, now=clock.now())
    ada = await console.signed_in("ada", ADMIN)

    for path in ("/console/access", "/console/access/clients/shop", f"/console/access/users/{there.user}"):
        first = await ada.get(path)
        [onward] = re.findall(r'href="([^"]+)" rel="next"', first.text)
        second = await ada.get(html.unescape(onward))

        assert first.text.count("/revoke") >= 50
        assert there.grant not in first.text
        assert there.grant in second.text


@pytest.mark.parametrize("side", list(PAGES))
async def test_each_list_of_grants_is_read_on_an_index(console: Console, side: str) -> None:
    await stage(console)
    sqlite = "sqlite" in type(console.engine.database.lookup).__name__.lower()
    if not sqlite:
        pytest.skip("a planner that knows how few rows there are reads them all")
    lookup = console.engine.database.lookup
    sql = PAGES[side]  # type: ignore[index]  # a key of it

    plan = await lookup.all(f"EXPLAIN QUERY PLAN {sql}", ("z", 50) if side == "all" else ("x", "z", 50))

    told = " | ".join(str(row[3]) for row in plan)
    assert "SEARCH g USING" in told
    assert side == "session" or "TEMP B-TREE" not in told


async def test_the_newest_page_of_nobody_is_empty(console: Console) -> None:
    assert await grants_page(console.engine.database.lookup, "user", "nobody") == []


async def test_keys_rotate_and_one_that_is_compromised_is_believed_no_more(console: Console) -> None:
    there = await stage(console)
    ada = await console.signed_in("ada", ADMIN)

    rotated = await ada.post("/console/keys/rotate?line=ES256", page="/console/keys/rotate?line=ES256")
    wrong = await ada.post(f"/console/keys/{there.key}/revoke", {"typed": "yes"})
    before = {key.id for key in await console.engine.keys.stored()}
    revoked = await ada.post(f"/console/keys/{there.key}/revoke", {"typed": "compromised"})
    after = {key.id for key in await console.engine.keys.stored()}

    assert (rotated.status_code, wrong.status_code, revoked.status_code) == (303, 422, 303)
    assert there.key in before
    assert there.key not in after


async def test_the_dashboard_counts_days_and_says_what_needs_attention(console: Console) -> None:
    await stage(console)
    now = clock.now()
    async with console.engine.database.write() as session:
        for _ in range(25):
            await events.record(session, "signin.refused", actor="x", subject="x", now=now)
        await save_client(
            session,
            ClientDraft("old", "Old portal", grants=("password",)),
            actor="test",
            now=now,
        )
        await add_secret(session, console.engine.vault, "old", actor="test", now=now, lifetime=timedelta(days=9))
    board = Board(console.engine)

    figures = await board.figures(now=now)
    page = await (await console.signed_in("ada", ADMIN)).get("/console")

    said = " ".join(one.text for one in figures.attention)
    assert figures.days[-1].refused == 25
    assert (figures.people, figures.people_exact) == (1, True)
    assert "25 sign-ins failed in the last hour" in said
    assert "A secret of Old portal ends in 9 days." in said or "ends in 8 days" in said
    assert "Old portal is allowed what is legacy: password." in said
    assert await board.figures(now=now + timedelta(seconds=10)) is figures
    assert page.status_code == 200


async def test_a_worker_that_is_behind_is_seen(console: Console) -> None:
    await stage(console)
    await console.person("late")

    figures = await Board(console.engine).figures(now=clock.now() + timedelta(minutes=5))

    assert any("The worker is behind" in one.text for one in figures.attention)


async def test_the_settings_show_no_secret() -> None:
    from pathlib import Path

    from kronborg.config import Settings
    from kronborg.oauth.pages.settings import groups_of

    settings = Settings(
        database="postgresql://kronborg:s3cret@db.example/k", master_key="a" * 44, data=Path("/var/lib/kronborg")
    )

    shown = {one.name: one for group in groups_of(settings, Settings()) for one in group.settings}

    assert shown["server.database"].value == "postgresql://kronborg:…@db.example/k"
    assert not shown["server.database"].usual
    assert shown["server.session.idle"].usual
    assert not any("s3cret" in one.value or "a" * 44 in one.value for one in shown.values())
