"""The refresh token grant over HTTP: rotation, the grace for parallel tabs, reuse, and who is still allowed."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import anyio
import pytest

from kronborg.accounts.users import disable_user
from kronborg.clients.register import remove_client, set_disabled
from kronborg.core import events
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.sessions.life import end_session
from kronborg.tokens.exchange import exchange
from kronborg.tokens.revoke import revoke_client, revoke_grants
from token_site import CART, CATALOGUE, USERINFO, Person, Site, claims_of, token_site

pytestmark = pytest.mark.anyio

WIDE: dict[str, Any] = {
    "scopes": ("openid", "catalogue:read", "catalogue:write", "cart:read"),
    "audiences": (CATALOGUE, CART, USERINFO),
}


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        await opened.web_client()
        yield opened


@pytest.mark.spec("RFC 9700 §4.14.2")
async def test_a_refresh_token_is_rotated_at_each_use(site: Site) -> None:
    first = await site.tokens(await site.person())

    second = (await site.refresh(first["refresh_token"])).json()
    third = await site.refresh(second["refresh_token"])

    assert third.status_code == 200
    assert len({first["refresh_token"], second["refresh_token"], third.json()["refresh_token"]}) == 3
    assert len({first["access_token"], second["access_token"], third.json()["access_token"]}) == 3


async def test_within_the_grace_the_same_client_gets_the_same_successor(site: Site) -> None:
    first = await site.tokens(await site.person())

    one = (await site.refresh(first["refresh_token"])).json()
    site.clock.pass_by(seconds=29)
    other = (await site.refresh(first["refresh_token"])).json()

    assert one["refresh_token"] == other["refresh_token"]
    assert one["access_token"] != other["access_token"]
    assert (await site.refresh(one["refresh_token"])).status_code == 200


async def test_parallel_tabs_all_get_the_same_successor(site: Site) -> None:
    first = await site.tokens(await site.person())
    answers = []

    async def tab() -> None:
        answers.append(await site.refresh(first["refresh_token"]))

    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(tab)

    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


@pytest.mark.spec("RFC 9700 §4.14.2")
async def test_reuse_after_the_grace_ends_the_family_and_is_recorded(site: Site) -> None:
    first = await site.tokens(await site.person())
    second = (await site.refresh(first["refresh_token"])).json()

    site.clock.pass_by(seconds=30)
    reused = await site.refresh(first["refresh_token"])

    assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
    assert (await site.refresh(second["refresh_token"])).json()["error"] == "invalid_grant"
    assert await site.introspect(second["access_token"]) == {"active": False}
    async with site.engine.database.read() as session:
        latest = await events.latest(session, limit=1)
    assert (latest[0].name, latest[0].detail["reason"]) == ("grant.revoked", "refresh_token_reused")


@pytest.mark.spec("RFC 6749 §6")
async def test_a_refresh_token_of_another_client_is_refused_without_harm(site: Site) -> None:
    await site.web_client("other")
    first = await site.tokens(await site.person())

    stolen = await site.refresh(first["refresh_token"], "other")

    assert stolen.json()["error"] == "invalid_grant"
    assert (await site.refresh(first["refresh_token"])).status_code == 200


@pytest.mark.spec("RFC 6749 §6")
async def test_scope_may_be_narrower_and_never_wider(site: Site) -> None:
    first = await site.tokens(await site.person(), **WIDE | {"audiences": (CATALOGUE,)})

    narrow = (await site.refresh(first["refresh_token"], scope="catalogue:read")).json()
    wide = await site.refresh(narrow["refresh_token"], scope="catalogue:read profile")
    again = (await site.refresh(narrow["refresh_token"])).json()

    assert narrow["scope"] == "catalogue:read"
    assert wide.json()["error"] == "invalid_scope"
    assert again["scope"] == "catalogue:read catalogue:write"


@pytest.mark.spec("RFC 6749 §6")
async def test_what_the_client_may_not_ask_for_any_more_is_not_issued_any_more(site: Site) -> None:
    person = await site.person()
    first = await site.tokens(person, **WIDE | {"scopes": ("openid", "catalogue:read", "catalogue:write")})
    code = await site.code(person, **WIDE)

    await site.web_client(scopes=("openid", "profile", "catalogue:read"))
    narrowed = (await site.refresh(first["refresh_token"])).json()
    taken = await site.refresh(narrowed["refresh_token"], scope="catalogue:write")
    gone = await site.refresh(narrowed["refresh_token"], resource=CART)
    late = await site.redeem(code, resource=CART)

    assert narrowed["scope"] == "catalogue:read"
    assert taken.json()["error"] == "invalid_scope"
    assert (gone.json()["error"], late.json()["error"]) == ("invalid_target", "invalid_target")


@pytest.mark.spec("RFC 8707 §2.2")
async def test_a_refresh_with_another_resource_gives_a_token_for_it(site: Site) -> None:
    code = await site.code(await site.person(), **WIDE)
    first = (await site.redeem(code, resource=CATALOGUE)).json()

    cart = (await site.refresh(first["refresh_token"], resource=CART)).json()
    foreign = await site.refresh(cart["refresh_token"], resource="https://shop.example/pricing")
    unrelated = await site.refresh(cart["refresh_token"], resource=CART, scope="catalogue:read")

    assert cart["access_token"].startswith("kro_at_")
    assert foreign.json()["error"] == "invalid_target"
    assert unrelated.json()["error"] == "invalid_target"


@pytest.mark.spec("OIDC Core §12.2")
async def test_a_refreshed_id_token_keeps_sub_and_auth_time_and_has_no_nonce(site: Site) -> None:
    first = await site.tokens(await site.person())
    site.clock.pass_by(minutes=20)

    second = (await site.refresh(first["refresh_token"])).json()

    before, after = claims_of(first["id_token"]), claims_of(second["id_token"])
    assert (before["sub"], before["auth_time"], before["aud"]) == (after["sub"], after["auth_time"], after["aud"])
    assert after["iat"] == before["iat"] + 1200
    assert "nonce" not in after


@pytest.mark.parametrize("token", ["kro_rt_" + "A" * 49, "no token", "kro_at_" + "A" * 49])
async def test_what_is_no_refresh_token_is_refused(site: Site, token: str) -> None:
    answer = await site.refresh(token)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_an_idle_refresh_token_expires(site: Site) -> None:
    first = await site.tokens(await site.person(), scopes=("openid", "offline_access", "catalogue:read"))

    site.clock.pass_by(days=14)
    answer = await site.refresh(first["refresh_token"])

    assert answer.json()["error"] == "invalid_grant"


async def _disable_user(site: Site, person: Person) -> None:
    async with site.engine.database.write() as session:
        await disable_user(session, person.user.id, actor="test", now=site.clock.now)


async def _sign_out(site: Site, person: Person) -> None:
    async with site.engine.database.write() as session:
        await end_session(session, person.session_id, user_id=person.user.id, actor="test", now=site.clock.now)


async def _disable_client(site: Site, _person: Person) -> None:
    async with site.engine.database.write() as session:
        await set_disabled(session, "web", disabled=True, actor="test", now=site.clock.now)


async def _remove_client(site: Site, _person: Person) -> None:
    async with site.engine.database.write() as session:
        await remove_client(session, "web", actor="test", now=site.clock.now)


async def _revoke_user(site: Site, person: Person) -> None:
    await revoke_grants(site.engine, user_id=person.user.id, actor="test", reason="test", now=site.clock.now)


async def _withdraw(site: Site, person: Person) -> None:
    await revoke_grants(
        site.engine, user_id=person.user.id, client_id="web", actor="test", reason="test", now=site.clock.now
    )


async def _revoke_session(site: Site, person: Person) -> None:
    await revoke_grants(site.engine, session_id=person.session_id, actor="test", reason="test", now=site.clock.now)


async def _revoke_client(site: Site, _person: Person) -> None:
    await revoke_client(site.engine, "web", actor="test", now=site.clock.now)


async def _idle_session(site: Site, _person: Person) -> None:
    site.clock.pass_by(hours=12, minutes=1)


FALLS = {
    "user disabled": (_disable_user, True),
    "signed out": (_sign_out, False),
    "session revoked": (_revoke_session, False),
    "session idle": (_idle_session, False),
    "client disabled": (_disable_client, True),
    "client removed": (_remove_client, True),
    "grants of the user revoked": (_revoke_user, True),
    "consent withdrawn": (_withdraw, True),
    "client revoked": (_revoke_client, True),
}


@pytest.mark.spec("RFC 6749 §6")
@pytest.mark.parametrize("offline", [False, True], ids=["online", "offline"])
@pytest.mark.parametrize("what", FALLS)
async def test_no_path_forgets_that_a_grant_has_fallen(site: Site, what: str, offline: bool) -> None:
    fall, ends_offline = FALLS[what]
    scopes = (*WIDE["scopes"], "offline_access") if offline else WIDE["scopes"]
    person = await site.person()
    code = await site.code(person, **WIDE | {"scopes": scopes})
    cart = (await site.redeem(code, resource=CART)).json()
    jwt = (await site.refresh(cart["refresh_token"], resource=CATALOGUE)).json()
    pending = await site.code(person)
    assert (await site.introspect(cart["access_token"], "cart-api"))["active"] is True
    assert (await site.introspect(jwt["access_token"]))["active"] is True

    await fall(site, person)

    stands = offline and not ends_offline
    fresh = "session idle" not in what  # by then the access tokens and the code have expired anyway
    refreshed = await site.refresh(jwt["refresh_token"], resource=CART)
    assert (refreshed.status_code == 200) is stands
    assert (await site.redeem(pending)).status_code in (400, 401)
    assert (await site.introspect(cart["access_token"], "cart-api"))["active"] is (stands and fresh)
    assert (await site.introspect(jwt["access_token"]))["active"] is (stands and fresh)
    phantom = await exchange(site.engine, cart["access_token"], now=site.clock.now)
    assert (phantom is not None) is (stands and fresh)
