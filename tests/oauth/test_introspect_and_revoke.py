"""Introspection and revocation over HTTP: who may ask, what is said, what is taken back."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.jose import parse
from kronborg.core.jws import LocalSigner, SigningKey, generate
from kronborg.tokens.exchange import exchange
from kronborg.tokens.purge import purge
from kronborg.tokens.reference import resolve
from token_site import CART, CATALOGUE, ISSUER, Site, basic, claims_of, token_site

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        await opened.web_client()
        await opened.client("batch")
        yield opened


async def own(site: Site, scope: str, auth: str = "batch") -> str:
    """A token of a client for itself."""
    answer = await site.token(auth, grant_type="client_credentials", scope=scope)
    return str(answer.json()["access_token"])


@pytest.mark.spec("RFC 7662 §2.2")
@pytest.mark.parametrize(
    ("scope", "auth", "audience"), [("catalogue:read", "catalogue-api", CATALOGUE), ("cart:read", "cart-api", CART)]
)
async def test_a_live_token_is_described_to_its_resource_server(
    site: Site, scope: str, auth: str, audience: str
) -> None:
    said = await site.introspect(await own(site, scope), auth)

    assert {key: said[key] for key in ("active", "iss", "aud", "sub", "client_id", "scope", "token_type")} == {
        "active": True,
        "iss": ISSUER,
        "aud": audience,
        "sub": "batch",
        "client_id": "batch",
        "scope": scope,
        "token_type": "Bearer",
    }
    assert said["exp"] - said["iat"] == 600


@pytest.mark.spec("RFC 7662 §4")
async def test_a_resource_server_learns_nothing_of_tokens_for_others(site: Site) -> None:
    jwt, reference = await own(site, "catalogue:read"), await own(site, "cart:read")

    answers = [await site.introspect(jwt, "cart-api"), await site.introspect(reference, "catalogue-api")]

    assert answers == [{"active": False}] * 2


@pytest.mark.spec("RFC 7662 §2.1")
async def test_only_a_proved_client_may_ask(site: Site) -> None:
    nobody = await site.http.post("/oauth/introspect", data={"token": "x"})
    public = await site.http.post("/oauth/introspect", data={"token": "x", "client_id": "web"})
    no_token = await site.post("/oauth/introspect", "batch")

    assert (nobody.status_code, public.status_code) == (401, 401)
    assert (no_token.status_code, no_token.json()["error"]) == (400, "invalid_request")


@pytest.mark.spec("RFC 7662 §2.2")
@pytest.mark.parametrize("scope", ["catalogue:read", "cart:read"])
async def test_an_expired_token_is_inactive(site: Site, scope: str) -> None:
    token = await own(site, scope)

    site.clock.pass_by(minutes=10)

    assert await site.introspect(token, "batch") == {"active": False}


@pytest.mark.spec("RFC 8725 §3.11")
async def test_what_is_not_an_access_token_of_ours_is_inactive(site: Site) -> None:
    tokens = await site.tokens(await site.person())
    good = parse(tokens["access_token"])
    key = SigningKey(str(good.header["kid"]), "ES256", LocalSigner("ES256", generate("ES256")))
    forged = key.compact(good.claims, typ="at+jwt")
    cut = tokens["access_token"][:-4]
    reference = await own(site, "cart:read")
    swapped = reference[:20] + ("A" if reference[20] != "A" else "B") + reference[21:]

    for token in (tokens["id_token"], forged, cut, swapped, reference[:-1], "kro_at_", "a.b.c", "x" * 9000, "ü"):
        assert await site.introspect(token) == {"active": False}, token


async def test_a_refresh_token_is_told_to_its_own_client_only(site: Site) -> None:
    grants = ("authorization_code", "refresh_token")
    await site.client("server", grants=grants, redirect_uris=("https://app.example/callback",))
    person = await site.person()
    code = await site.code(person, "server", challenge=None)
    answer = await site.token(
        "server", grant_type="authorization_code", code=code, redirect_uri="https://app.example/callback"
    )
    token = answer.json()["refresh_token"]

    mine, foreign = await site.introspect(token, "server"), await site.introspect(token, "batch")

    assert (mine["active"], mine["sub"]) == (True, person.user.id)
    assert foreign == {"active": False}


@pytest.mark.spec("RFC 7009 §2.1")
async def test_revoking_a_refresh_token_takes_its_access_tokens_along(site: Site) -> None:
    tokens = await site.tokens(await site.person())

    answer = await site.post("/oauth/revoke", client_id="web", token=tokens["refresh_token"])

    assert (answer.status_code, answer.content) == (200, b"")
    assert await site.introspect(tokens["access_token"]) == {"active": False}
    assert (await site.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.spec("RFC 7009 §2.1")
@pytest.mark.parametrize(("scope", "auth"), [("catalogue:read", "catalogue-api"), ("cart:read", "cart-api")])
async def test_an_access_token_is_revoked_by_its_client_and_by_nobody_else(site: Site, scope: str, auth: str) -> None:
    token, other = await own(site, scope), await own(site, scope)

    foreign = await site.post("/oauth/revoke", auth, token=token)
    still = await site.introspect(token, auth)
    mine = await site.post("/oauth/revoke", "batch", token=token)
    again = await site.post("/oauth/revoke", "batch", token=token)

    assert [answer.status_code for answer in (foreign, mine, again)] == [200, 200, 200]
    assert still["active"] is True
    assert await site.introspect(token, auth) == {"active": False}
    assert (await site.introspect(other, auth))["active"] is True


@pytest.mark.spec("RFC 7009 §2.2")
@pytest.mark.parametrize("token", ["unknown", "kro_at_" + "A" * 49, "kro_rt_x", "a.b.c"])
async def test_an_unknown_token_is_no_error(site: Site, token: str) -> None:
    answer = await site.post("/oauth/revoke", "batch", token=token)

    assert answer.status_code == 200


@pytest.mark.spec("RFC 7009 §2.1")
async def test_revocation_wants_a_client(site: Site) -> None:
    nobody = await site.http.post("/oauth/revoke", data={"token": "x"})
    wrong = await site.http.post(
        "/oauth/revoke", data={"token": "x"}, headers={"authorization": basic("batch", "wrong")}
    )

    assert (nobody.status_code, wrong.status_code) == (401, 401)


async def test_a_reference_token_is_exchanged_for_a_short_jwt_that_says_the_same(site: Site) -> None:
    person = await site.person(roles=("clerk",))
    code = await site.code(person, scopes=("openid", "cart:read"), audiences=(CART,))
    token = (await site.redeem(code)).json()["access_token"]

    internal = await exchange(site.engine, token, now=site.clock.now)

    assert internal is not None
    claims = claims_of(internal.token)
    assert (claims["aud"], claims["sub"], claims["client_id"]) == (CART, person.user.id, "web")
    assert (claims["scope"], claims["roles"]) == ("cart:read", ["clerk"])
    assert claims["exp"] - claims["iat"] == 60
    assert await exchange(site.engine, "kro_at_" + "A" * 49, now=site.clock.now) is None
    assert await exchange(site.engine, internal.token, now=site.clock.now) is None


async def test_rows_that_expired_are_deleted_and_live_ones_stay(site: Site) -> None:
    old = await own(site, "cart:read")
    site.clock.pass_by(minutes=5)
    fresh = await own(site, "cart:read")
    site.clock.pass_by(minutes=6)

    deleted = await purge(site.engine, now=site.clock.now)

    assert deleted == 1
    assert await resolve(site.engine, old, now=site.clock.now) is None
    assert await resolve(site.engine, fresh, now=site.clock.now) is not None


async def test_spent_refresh_tokens_do_not_pile_up_and_the_live_one_stays(site: Site) -> None:
    person = await site.person()
    tokens = await site.tokens(person, scopes=("openid", "offline_access", "catalogue:read"))
    for _ in range(5):
        tokens = (await site.refresh(tokens["refresh_token"])).json()
    site.clock.pass_by(days=10)
    tokens = (await site.refresh(tokens["refresh_token"])).json()
    site.clock.pass_by(days=5)

    await purge(site.engine, now=site.clock.now)

    assert await site.engine.database.lookup.all("SELECT count(*) FROM tokens_refresh") == [(1,)]
    assert (await site.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_code_that_nobody_traded_leaves_nothing_behind(site: Site) -> None:
    person = await site.person()
    tokens = await site.tokens(person)
    before = await site.engine.database.lookup.all("SELECT count(*) FROM tokens_grants")
    late = await site.code(person)
    site.clock.pass_by(seconds=59)
    pending = await site.code(person)
    site.clock.pass_by(seconds=2)

    await purge(site.engine, now=site.clock.now)

    assert (await site.redeem(late)).json()["error"] == "invalid_grant"
    assert (await site.redeem(pending)).status_code == 200
    assert (await site.refresh(tokens["refresh_token"])).status_code == 200
    assert await site.engine.database.lookup.all("SELECT count(*) FROM tokens_grants") == [(before[0][0] + 1,)]
