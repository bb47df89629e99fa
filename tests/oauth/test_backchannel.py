"""Back-channel logout: clients learn that a session is over, in a token that says only that, again if need be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlencode

import pytest

from forms import forms_of
from kronborg.accounts.users import delete_user, disable_user
from kronborg.clients.settings import ClientSettings
from kronborg.core.fetch import Fetcher
from kronborg.core.jose import parse, verify
from kronborg.core.json import JsonObject
from kronborg.duties import JOBS
from kronborg.oauth import backchannel, logout_store
from kronborg.oauth.backchannel import LOGOUT_EVENT, WAITS, deliver
from kronborg.oauth.logout_store import Logout, latest_logouts
from kronborg.tokens.engine import Engine
from kronborg.worker import Outbox
from oauth.flow import ISSUER, WEB, WISH_LIST, Browser, Flow
from outside import LOOPBACK, Answer, Outside, outside

pytestmark = [pytest.mark.anyio, pytest.mark.spec("OIDC Back-Channel Logout §2.5")]


async def listen(flow: Flow, client_uri: str, **settings: object) -> None:
    """Register the address for both clients."""
    wanted = ClientSettings(backchannel_logout_uri=client_uri, **settings)  # type: ignore[arg-type]  # by name
    for client in (WEB, WISH_LIST):
        await flow.client(replace(client, settings=wanted))


def told(there: Outside, status: int = 200) -> str:
    """The address of a client that answers so."""
    there.answers["/logout"] = Answer(status=status)
    return there.url("/logout")


def engine_of(flow: Flow) -> Engine:
    return replace(flow.engine, fetcher=Fetcher(LOOPBACK))


async def work(flow: Flow) -> None:
    """What the worker does in a turn."""
    engine = engine_of(flow)
    while await Outbox(engine).turn(now=flow.clock.now):
        pass
    await deliver(engine, now=flow.clock.now)


async def log(flow: Flow) -> tuple[Logout, ...]:
    return await latest_logouts(flow.database.lookup, limit=50)


def token_of(body: bytes) -> str:
    form = parse_qs(body.decode(), strict_parsing=True)
    assert list(form) == ["logout_token"]
    [token] = form["logout_token"]
    return token


async def claims_in(flow: Flow, body: bytes) -> JsonObject:
    """What a logout token says, after the checks of a client (Back-Channel Logout §2.6)."""
    keys = await flow.engine.keys.current(now=flow.clock.now)
    jwt = parse(token_of(body))
    verify(jwt, keys.public, types=("logout+jwt",))
    return jwt.claims


async def is_over(browser: Browser) -> bool:
    return (await browser.get("/account")).url.path == "/signin"


@pytest.mark.spec("OIDC Back-Channel Logout §2.4")
@pytest.mark.spec("OIDC Back-Channel Logout §2.6")
async def test_each_client_of_the_session_is_told_and_nobody_else(flow: Flow) -> None:
    async with outside() as there:
        await listen(flow, told(there))
        browser, elsewhere = flow.browser(), flow.browser()
        tokens = await flow.tokens(browser)
        await flow.tokens(elsewhere, WISH_LIST)

        await browser.get(f"/oauth/logout?{urlencode({'id_token_hint': tokens['id_token']})}")
        await work(flow)
        await work(flow)

        [body] = [asked.body for asked in there.asked]
    identity, said = parse(tokens["id_token"]).claims, await claims_in(flow, body)
    assert said["iss"] == ISSUER
    assert said["aud"] == "web"
    assert (said["sub"], said["sid"]) == (identity["sub"], identity["sid"])
    assert said["events"] == {LOGOUT_EVENT: {}}
    assert "nonce" not in said
    assert isinstance(said["exp"], int)
    assert 0 < said["exp"] - int(flow.clock.now.timestamp()) <= 120
    assert {"iat", "jti"} <= set(said)
    assert [(one.client_id, one.state, one.attempts) for one in await log(flow)] == [("web", "delivered", 1)]
    assert not await is_over(elsewhere)


@pytest.mark.parametrize("how", ["sign_out_page", "disabled", "deleted", "expired", "idle"])
async def test_however_a_session_ends_its_clients_are_told(flow: Flow, how: str) -> None:
    async with outside() as there:
        await listen(flow, told(there))
        person, browser = await flow.person("freja"), flow.browser()
        await flow.tokens(browser, username="freja", scope="openid offline_access catalogue:read")
        await flow.tokens(browser, WISH_LIST, username="freja")
        await work(flow)
        before = len(there.asked)

        await end(flow, browser, person.id, how)
        await work(flow)

        clients = sorted([str((await claims_in(flow, asked.body))["aud"]) for asked in there.asked])
    assert before == 0
    assert clients == ["web", "wish-list"]


async def end(flow: Flow, browser: Browser, user_id: str, how: str) -> None:
    [clean] = [job for job in JOBS if job.name == "clean_signin"]
    if how == "sign_out_page":
        page = await browser.get("/signout")
        [form] = [form for form in forms_of(page) if form.action == "/signout"]
        await browser.submit(page, form, {})
    elif how == "disabled":
        async with flow.database.write() as session:
            await disable_user(session, user_id, actor="test", now=flow.clock.now)
    elif how == "deleted":
        async with flow.database.write() as session:
            await delete_user(session, user_id, actor="test", now=flow.clock.now)
    else:
        flow.clock.pass_by(**({"days": 15} if how == "expired" else {"hours": 13}))
        await clean.run(flow.engine, flow.clock.now)


async def test_a_client_without_an_address_hears_nothing(flow: Flow) -> None:
    browser = flow.browser()
    tokens = await flow.tokens(browser)

    await browser.get(f"/oauth/logout?{urlencode({'id_token_hint': tokens['id_token']})}")
    await work(flow)

    assert await log(flow) == ()


async def sign_out(flow: Flow) -> None:
    """A session of the web shop that ends, and whose end was noted."""
    browser = flow.browser()
    tokens = await flow.tokens(browser)
    await browser.get(f"/oauth/logout?{urlencode({'id_token_hint': tokens['id_token']})}")
    while await Outbox(flow.engine).turn(now=flow.clock.now):
        pass


@pytest.mark.parametrize("status", [500, 400, 404, 429, 302])
async def test_a_client_that_does_not_take_it_is_told_again_within_bounds(flow: Flow, status: int) -> None:
    async with outside() as there:
        await listen(flow, told(there, status))
        await sign_out(flow)
        engine = engine_of(flow)

        tries = [await deliver(engine, now=flow.clock.now)]
        for wait in WAITS:
            tries.append(await deliver(engine, now=flow.clock.now + wait - timedelta(seconds=1)))
            flow.clock.now += wait
            tries.append(await deliver(engine, now=flow.clock.now))
        flow.clock.pass_by(days=2)
        tries.append(await deliver(engine, now=flow.clock.now))

        bodies = [asked.body for asked in there.asked]
    [logout] = await log(flow)
    assert tries == [1, *([0, 1] * len(WAITS)), 0]
    assert (logout.state, logout.attempts, len(bodies)) == ("failed", len(WAITS) + 1, len(WAITS) + 1)
    assert len({token_of(body) for body in bodies}) == len(bodies)
    assert len(await flow.events("logout.undelivered")) == 1


async def test_a_client_that_comes_back_is_told_then(flow: Flow) -> None:
    async with outside() as there:
        await listen(flow, told(there, 503))
        await sign_out(flow)
        await deliver(engine_of(flow), now=flow.clock.now)
        [first] = await log(flow)
        told(there, 204)
        flow.clock.pass_by(seconds=5)

        await deliver(engine_of(flow), now=flow.clock.now)

    [logout] = await log(flow)
    assert (first.state, first.result) == ("pending", "status 503")
    assert (logout.state, logout.result, logout.attempts) == ("delivered", "204", 2)


async def test_no_address_inside_is_called(flow: Flow) -> None:
    async with outside() as there:
        await listen(flow, told(there))
        await sign_out(flow)

        await deliver(flow.engine, now=flow.clock.now)

        assert there.asked == []
    [logout] = await log(flow)
    assert (logout.state, logout.result) == ("pending", "unreachable")


async def test_a_worker_that_died_in_the_middle_leaves_it_to_another(flow: Flow) -> None:
    async with outside() as there:
        await listen(flow, told(there))
        await sign_out(flow)
        now = flow.clock.now
        lease = now + backchannel.LEASE
        claim = logout_store.claim_logouts
        await flow.database.writer.run(lambda execute: claim(execute, until=lease, limit=9, now=now))

        early = await deliver(engine_of(flow), now=now)
        late = await deliver(engine_of(flow), now=lease)

        assert (early, late, len(there.asked)) == (0, 1, 1)


async def test_telling_it_twice_tells_it_once(flow: Flow) -> None:
    async with outside() as there:
        await listen(flow, told(there))
        browser = flow.browser()
        sid = str(parse((await flow.tokens(browser))["id_token"]).claims["sid"])
        announce = backchannel.announce_session

        noted = [await announce(flow.engine, sid, user_id="u", now=flow.clock.now) for _ in range(2)]

    assert noted == [1, 0]


@pytest.mark.spec("OIDC Back-Channel Logout §2.7")
async def test_refresh_tokens_for_offline_access_stay_and_the_others_go(flow: Flow) -> None:
    async with outside() as there:
        await listen(flow, told(there))
        browser = flow.browser()
        online = await flow.tokens(browser)
        offline = await flow.tokens(browser, scope="openid offline_access catalogue:read")

        await browser.get(f"/oauth/logout?{urlencode({'id_token_hint': online['id_token']})}")
        await work(flow)

        assert len(there.asked) == 1
    assert (await flow.refresh(online["refresh_token"])).status_code == 400
    assert (await flow.refresh(offline["refresh_token"])).status_code == 200


@pytest.mark.spec("RFC 8725 §3.12")
async def test_a_logout_token_is_good_for_nothing_else(flow: Flow) -> None:
    async with outside() as there:
        await listen(flow, told(there))
        await sign_out(flow)
        await deliver(engine_of(flow), now=flow.clock.now)
        token = token_of(there.asked[0].body)
    browser = flow.browser()
    await flow.code(browser)

    as_hint = await browser.get(f"/oauth/logout?{urlencode({'id_token_hint': token})}")

    assert "Sign out?" in as_hint.text
    assert not await is_over(browser)
    assert (await flow.userinfo(token)).status_code == 401
    assert await flow.introspect(token) == {"active": False}


async def test_it_is_signed_as_the_client_wishes_its_id_tokens(flow: Flow) -> None:
    async with outside() as there:
        await listen(flow, told(there), id_token_signed_response_alg="PS256")
        await flow.engine.keys.rotate(now=flow.clock.now, wanted=frozenset({"PS256", "ES256", "RS256"}))
        await sign_out(flow)
        await deliver(engine_of(flow), now=flow.clock.now)
        [asked] = there.asked

    assert parse(token_of(asked.body)).header["alg"] == "PS256"


async def test_settled_notices_are_forgotten_after_a_month(flow: Flow) -> None:
    async with outside() as there:
        await listen(flow, told(there))
        await sign_out(flow)
        await deliver(engine_of(flow), now=flow.clock.now)

    await backchannel.forget_old(flow.engine, now=flow.clock.now + timedelta(days=29))
    kept = await log(flow)
    await backchannel.forget_old(flow.engine, now=flow.clock.now + timedelta(days=31))

    assert len(kept) == 1
    assert await log(flow) == ()
