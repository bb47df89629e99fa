"""The pages and verbs that manage factors: a fresh sign-in, names, removal, and taking everything away."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlsplit

import orjson
import pytest

from factors.test_journey import form_fields
from factors.test_other_ways import with_codes
from factors.world import ADD, FACTORS, World, give, submit
from kronborg.core.values import freeze, thaw
from kronborg.factors.manage import reset_factors
from kronborg.factors.model import FactorSettings, SmsSettings
from people_site import PASSWORD

pytestmark = pytest.mark.anyio


async def test_changing_takes_a_fresh_and_full_sign_in(here: World) -> None:
    await here.person()
    visitor = await here.signed_in()
    app = await here.add_app(visitor)
    here.clock.pass_by(minutes=11)
    page = await visitor.get(FACTORS)
    [link] = re.findall(rf'href="({FACTORS}/[0-9a-f-]{{36}})"', page.text)

    for path in (link, f"{ADD}/passkey"):
        answer = await visitor.get(path)
        assert urlsplit(answer.headers["location"]).path == "/signin"
    asked = await visitor.get(answer.headers["location"])
    onward = await submit(
        visitor, "/signin", {**form_fields(asked, "/signin"), "username": "hamlet", "password": "to be or not to be"}
    )
    back = await give(visitor, await visitor.get(onward.headers["location"]), {"code": app.code()})

    assert back.headers["location"] == f"{ADD}/passkey"
    assert (await visitor.get(link)).status_code == 200


async def test_one_is_renamed_and_removed(here: World) -> None:
    await here.person()
    visitor = await here.signed_in()
    await here.add_app(visitor)
    await here.add_key(visitor)
    page = await visitor.get(FACTORS)
    links = re.findall(rf'href="({FACTORS}/[0-9a-f-]{{36}})"', page.text)

    await visitor.post(links[0], {"name": "Red phone"})
    empty = await visitor.post(links[0], {"name": " "})
    assert "Red phone" in (await visitor.get(FACTORS)).text
    for link in links:
        assert (await visitor.post(link, {"remove": "1"})).status_code == 303

    assert empty.status_code == 422
    assert (await here.site.visitor().sign_in("hamlet")).headers["location"] == "/account"
    # With the last one the codes go that would stand in for it.
    assert await here.database.lookup.first("SELECT 1 FROM factors_recovery_codes") is None
    assert [one["kind"] for one in await here.events("factor.added")] == ["totp", "passkey"]
    assert sorted(str(one["kind"]) for one in await here.events("factor.removed")) == ["passkey", "totp"]


async def test_nobody_changes_the_factors_of_another(here: World) -> None:
    await here.person()
    await here.person("ophelia")
    visitor, other = await here.signed_in(), await here.signed_in("ophelia")
    await here.add_app(visitor)
    [link] = re.findall(rf'href="({FACTORS}/[0-9a-f-]{{36}})"', (await visitor.get(FACTORS)).text)

    shown = await other.get(link)
    removed = await other.post(link, {"remove": "1"}, page="/account/security")

    assert (shown.status_code, removed.status_code) == (404, 404)
    assert await here.database.lookup.first("SELECT 1 FROM factors_factors") is not None


async def test_what_is_not_offered_is_not_there(here: World) -> None:
    here.settings(FactorSettings(methods=("totp",)))
    await here.person()
    visitor = await here.signed_in()

    page = await visitor.get(FACTORS)

    assert f"{ADD}/totp" in page.text
    assert f"{ADD}/passkey" not in page.text
    assert (await visitor.get(f"{ADD}/passkey")).status_code == 404
    assert "data-passkey" not in (await here.site.visitor().get("/signin")).text


async def test_resetting_takes_everything_away(here: World) -> None:
    await with_codes(here)
    [(user_id,)] = await here.database.lookup.all("SELECT id FROM accounts_users")

    async with here.database.write() as session:
        count = await reset_factors(session, str(user_id), actor="support", now=here.clock.now)

    assert count == 1
    for table in ("factors_factors", "factors_recovery_codes", "factors_browsers"):
        assert await here.database.lookup.first(f"SELECT 1 FROM {table}") is None
    assert (await here.site.visitor().sign_in("hamlet")).headers["location"] == "/account"
    assert [one["count"] for one in await here.events("factor.reset")] == [1]


async def test_the_settings_survive_the_way_to_a_child_process(here: World) -> None:
    settings = FactorSettings(
        "required", risks=("new_network",), remember=timedelta(days=1), sms=SmsSettings("https://sms.example")
    )

    assert thaw(FactorSettings, orjson.loads(orjson.dumps(freeze(settings)))) == settings


async def test_a_new_password_keeps_what_the_session_had_proved_and_proves_nothing_more(here: World) -> None:
    await here.person()
    visitor = await here.signed_in()
    await here.add_app(visitor)
    before = await here.amr(visitor)
    here.clock.pass_by(minutes=11)

    changed = {"current": PASSWORD, "new": "the rest is silence"}
    answer = await visitor.post("/account/password", changed, page="/account/security")

    assert answer.headers["location"] == "/account/security?done=password"
    assert await here.amr(visitor) == before == ["pwd", "otp", "mfa"]
    # To know the password is no fresh second factor: what takes one still asks.
    asked = await visitor.get(f"{ADD}/passkey")
    assert urlsplit(asked.headers["location"]).path == "/signin"
