"""The authorization code grant over HTTP: bound, short, once; a replay takes back what the code gave."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import anyio
import pytest

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.jose import parse
from token_site import CART, CATALOGUE, USERINFO, Site, token_site

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        await opened.web_client()
        yield opened


@pytest.mark.spec("RFC 6749 §4.1.4")
@pytest.mark.spec("RFC 6749 §5.1")
async def test_a_code_gives_tokens_that_nobody_may_store(site: Site) -> None:
    person = await site.person()

    answer = await site.redeem(await site.code(person))

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    tokens = answer.json()
    assert (tokens["token_type"], tokens["scope"]) == ("Bearer", "catalogue:read")
    assert 0 < tokens["expires_in"] <= 600
    assert tokens["refresh_token"].startswith("kro_rt_")


@pytest.mark.spec("RFC 9068 §2")
async def test_the_access_token_is_an_at_jwt_for_one_audience(site: Site) -> None:
    person = await site.person(roles=("admin",))

    token = parse((await site.tokens(person))["access_token"])

    assert token.header["typ"] == "at+jwt"
    assert token.header["alg"] == "ES256"
    assert token.claims["aud"] == CATALOGUE
    assert token.claims["sub"] == person.user.id
    assert token.claims["client_id"] == "web"
    assert token.claims["scope"] == "catalogue:read"
    assert token.claims["roles"] == ["admin"]
    assert token.claims["sid"] == person.session_id
    assert {"iss", "iat", "exp", "jti", "gid"} <= token.claims.keys()


@pytest.mark.spec("OIDC Core §2")
async def test_the_id_token_carries_nonce_auth_time_and_session(site: Site) -> None:
    person = await site.person()

    tokens = await site.tokens(person)

    token = parse(tokens["id_token"])
    assert token.header["typ"] == "JWT"
    assert token.claims["aud"] == "web"
    assert token.claims["nonce"] == "n-1"
    assert token.claims["auth_time"] == int(site.clock.now.timestamp())
    assert token.claims["sid"] == person.session_id
    assert token.claims["amr"] == ["pwd"]
    assert len(str(token.claims["at_hash"])) == 22


@pytest.mark.spec("RFC 6749 §4.1.2")
async def test_rfc6749_4_1_2__a_replayed_code_is_refused_and_its_tokens_stop_working(site: Site) -> None:
    code = await site.code(await site.person())

    first = await site.redeem(code)
    alive = await site.introspect(first.json()["access_token"])
    second = await site.redeem(code)

    assert (first.status_code, second.status_code) == (200, 400)
    assert alive["active"] is True
    assert second.json()["error"] == "invalid_grant"
    assert await site.introspect(first.json()["access_token"]) == {"active": False}
    assert (await site.refresh(first.json()["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.spec("RFC 6749 §4.1.2")
async def test_a_code_replayed_much_later_still_ends_its_tokens(site: Site) -> None:
    code = await site.code(await site.person())
    tokens = (await site.redeem(code)).json()

    site.clock.pass_by(minutes=5)
    await site.redeem(code)

    assert await site.introspect(tokens["access_token"]) == {"active": False}


@pytest.mark.spec("RFC 6749 §10.5")
async def test_of_two_racing_redemptions_one_wins_and_its_tokens_are_taken_back(site: Site) -> None:
    code = await site.code(await site.person())
    answers = []

    async def go() -> None:
        answers.append(await site.redeem(code))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(go)

    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    won = next(answer for answer in answers if answer.status_code == 200)
    assert await site.introspect(won.json()["access_token"]) == {"active": False}


@pytest.mark.spec("RFC 6749 §4.1.2")
async def test_a_code_lives_for_sixty_seconds(site: Site) -> None:
    code = await site.code(await site.person())

    site.clock.pass_by(seconds=60)
    answer = await site.redeem(code)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.spec("RFC 6749 §4.1.3")
async def test_a_code_of_another_client_is_refused_and_stays_usable_for_its_own(site: Site) -> None:
    await site.web_client("other")
    code = await site.code(await site.person())

    stolen = await site.redeem(code, "other")
    rightful = await site.redeem(code)

    assert stolen.json()["error"] == "invalid_grant"
    assert rightful.status_code == 200


@pytest.mark.spec("RFC 6749 §4.1.3")
@pytest.mark.parametrize("redirect_uri", ["", "https://app.example/callback/", "https://APP.example/callback"])
async def test_the_redirect_uri_must_be_the_one_of_the_request(site: Site, redirect_uri: str) -> None:
    code = await site.code(await site.person())

    answer = await site.redeem(code, redirect_uri=redirect_uri)

    assert answer.json()["error"] == "invalid_grant"
    assert (await site.redeem(code)).status_code == 200


@pytest.mark.spec("RFC 9700 §4.8.2")
async def test_a_verifier_without_a_challenge_is_refused(site: Site) -> None:
    await site.client("server", grants=("authorization_code",), redirect_uris=("https://app.example/callback",))
    code = await site.code(await site.person(), "server", challenge=None)
    usual = {"grant_type": "authorization_code", "code": code, "redirect_uri": "https://app.example/callback"}

    with_verifier = await site.token("server", **usual, code_verifier="v" * 43)
    without = await site.token("server", **usual)

    assert with_verifier.json()["error"] == "invalid_grant"
    assert without.status_code == 200
    assert "refresh_token" not in without.json()


@pytest.mark.spec("RFC 7636 §4.6")
@pytest.mark.parametrize(
    ("verifier", "error"),
    [("", "invalid_grant"), ("w" * 43, "invalid_grant"), ("short", "invalid_request"), ("+" * 43, "invalid_request")],
)
async def test_a_challenge_wants_its_verifier(site: Site, verifier: str, error: str) -> None:
    code = await site.code(await site.person())

    answer = await site.redeem(code, code_verifier=verifier)

    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.spec("RFC 9700 §2.1.1")
async def test_a_public_client_needs_pkce(site: Site) -> None:
    code = await site.code(await site.person(), challenge=None)

    answer = await site.redeem(code, code_verifier="")

    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.spec("RFC 8707 §2.2")
async def test_resource_picks_one_of_the_audiences_granted(site: Site) -> None:
    person = await site.person()
    scopes = ("openid", "catalogue:read", "cart:read")
    wide: dict[str, Any] = {"scopes": scopes, "audiences": (CATALOGUE, CART, USERINFO)}

    unnamed = await site.redeem(await site.code(person, **wide))
    cart = await site.redeem(await site.code(person, **wide), resource=CART)
    userinfo = await site.redeem(await site.code(person, **wide), resource=USERINFO)
    foreign = await site.redeem(await site.code(person, **wide), resource="https://elsewhere.example/")
    malformed = await site.redeem(await site.code(person, **wide), resource="not a uri")

    assert unnamed.json()["error"] == "invalid_target"
    assert cart.json()["access_token"].startswith("kro_at_")
    assert cart.json()["scope"] == "cart:read"
    assert parse(userinfo.json()["access_token"]).claims["aud"] == USERINFO
    assert (foreign.json()["error"], malformed.json()["error"]) == ("invalid_target", "invalid_target")


async def test_scopes_of_openid_alone_give_a_token_for_userinfo(site: Site) -> None:
    person = await site.person()

    tokens = await site.tokens(person, scopes=("openid", "profile"), audiences=(USERINFO,))

    token = parse(tokens["access_token"])
    assert (token.claims["aud"], token.claims["scope"]) == (USERINFO, "openid profile")


@pytest.mark.parametrize("code", ["", "kro_ac_short", "kro_ac_" + "A" * 49, "x" * 2000])
async def test_what_is_no_code_is_refused(site: Site, code: str) -> None:
    answer = await site.redeem(code)

    assert answer.json()["error"] == ("invalid_grant" if code else "invalid_request")
