"""The grace of a rotated refresh token ends when its successor is used (ADR 0013); lifetimes of a client's own."""

from collections.abc import AsyncIterator
from datetime import datetime

import anyio
import pytest

from kronborg.clients.settings import ClientSettings
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from oauth.flow import WEB, Flow
from token_site import Site, token_site

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        await opened.web_client()
        yield opened


@pytest.mark.spec("RFC 9700 §4.14.2")
async def test_a_rotated_token_after_its_successor_was_used_ends_the_family_even_within_the_grace(site: Site) -> None:
    first = await site.tokens(await site.person())
    second = (await site.refresh(first["refresh_token"])).json()
    third = (await site.refresh(second["refresh_token"])).json()

    late = await site.refresh(first["refresh_token"])

    assert (late.status_code, late.json()["error"]) == (400, "invalid_grant")
    assert (await site.refresh(third["refresh_token"])).json()["error"] == "invalid_grant"
    assert await site.introspect(third["access_token"]) == {"active": False}


@pytest.mark.spec("RFC 9700 §4.14.2")
async def test_a_lost_answer_may_be_asked_for_again_until_then(site: Site) -> None:
    first = await site.tokens(await site.person())
    lost = (await site.refresh(first["refresh_token"])).json()

    again = (await site.refresh(first["refresh_token"])).json()
    onwards = await site.refresh(again["refresh_token"])

    assert again["refresh_token"] == lost["refresh_token"]
    assert onwards.status_code == 200


@pytest.mark.spec("RFC 9700 §4.14.2")
async def test_two_who_race_with_the_same_token_never_end_up_with_two_families(site: Site) -> None:
    first = await site.tokens(await site.person())
    answers: list[dict[str, str]] = []

    async def use(token: str) -> None:
        answers.append((await site.refresh(token)).json())

    second = (await site.refresh(first["refresh_token"])).json()
    async with anyio.create_task_group() as group:
        for token in (first["refresh_token"], second["refresh_token"]) * 3:
            group.start_soon(use, token)

    # However they were interleaved: one line of successors at most, and none once a reuse was seen.
    given = {answer["refresh_token"] for answer in answers if "refresh_token" in answer} - {second["refresh_token"]}
    assert len(given) <= 1
    seen = any(answer.get("error") == "invalid_grant" for answer in answers)
    for token in given:
        assert ("error" in (await site.refresh(token)).json()) is seen


async def test_a_client_has_lifetimes_of_its_own(flow: Flow) -> None:
    await flow.client(WEB, settings=ClientSettings(refresh_token_lifetime=3600, refresh_token_idle=600))
    browser = flow.browser()
    tokens = await flow.tokens(browser)

    flow.clock.pass_by(seconds=599)
    second = (await flow.refresh(tokens["refresh_token"])).json()
    flow.clock.pass_by(seconds=600)
    idle = await flow.refresh(second["refresh_token"])

    assert idle.json()["error"] == "invalid_grant"


async def test_the_absolute_lifetime_ends_a_grant_that_is_used_all_the_time(flow: Flow) -> None:
    await flow.client(WEB, settings=ClientSettings(refresh_token_lifetime=1000, refresh_token_idle=600))
    token = (await flow.tokens(flow.browser()))["refresh_token"]

    flow.clock.pass_by(seconds=500)
    second = (await flow.refresh(token)).json()
    flow.clock.pass_by(seconds=499)
    third = (await flow.refresh(second["refresh_token"])).json()
    flow.clock.pass_by(seconds=1)
    over = await flow.refresh(third["refresh_token"])

    # Nothing of a grant outlives it.
    assert third["expires_in"] == 1
    assert over.json()["error"] == "invalid_grant"
