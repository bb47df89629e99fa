"""Metadata, JWKS and CORS over HTTP, and the rotation of signing keys behind them."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import anyio
import pytest

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.jose import parse
from kronborg.tokens.keys import FRESH, KeyRing
from kronborg.tokens.model import KEY_AGE, KEY_RETIREMENT
from token_site import ISSUER, Site, token_site

pytestmark = pytest.mark.anyio
ORIGIN = "https://app.example"


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        await opened.web_client(web_origins=(ORIGIN,))
        await opened.client("batch")
        yield opened


async def kids(site: Site) -> list[str]:
    """The keys that sign."""
    return [key["kid"] for key in (await site.http.get("/oauth/jwks")).json()["keys"] if key["use"] == "sig"]


async def signed_by(site: Site) -> object:
    answer = await site.token("batch", grant_type="client_credentials", scope="catalogue:read")
    return parse(answer.json()["access_token"]).header["kid"]


@pytest.mark.spec("RFC 8414 §3")
@pytest.mark.spec("OIDC Discovery §4")
async def test_metadata_is_the_same_at_both_addresses_and_names_the_issuer(site: Site) -> None:
    openid = await site.http.get("/.well-known/openid-configuration")
    oauth = await site.http.get("/.well-known/oauth-authorization-server")

    document = openid.json()
    assert document == oauth.json()
    assert document["issuer"] == ISSUER
    assert document["token_endpoint"] == f"{ISSUER}/oauth/token"
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert {"openid", "catalogue:read", "admin:write"} <= set(document["scopes_supported"])


async def test_documents_are_validated_by_etag_and_never_posted(site: Site) -> None:
    for path in ("/.well-known/openid-configuration", "/oauth/jwks"):
        first = await site.http.get(path)
        second = await site.http.get(path, headers={"if-none-match": first.headers["etag"]})
        head = await site.http.head(path)
        posted = await site.http.post(path)

        assert (first.status_code, second.status_code, second.content) == (200, 304, b"")
        assert (head.status_code, head.content) == (200, b"")
        assert posted.status_code == 405


@pytest.mark.spec("RFC 7517 §5")
async def test_the_jwks_holds_public_keys_only_and_the_next_one_too(site: Site) -> None:
    keys = (await site.http.get("/oauth/jwks")).json()["keys"]

    assert sorted(key["use"] for key in keys) == ["enc", "sig", "sig"]
    assert all(key["kty"] == "EC" and "d" not in key for key in keys)


async def test_keys_rotate_by_age_and_what_was_signed_stays_verifiable(site: Site) -> None:
    before, active = await kids(site), await signed_by(site)
    person = await site.person()
    token = (await site.tokens(person))["access_token"]

    early = await site.engine.keys.rotate(now=site.clock.now + KEY_AGE - timedelta(seconds=1))
    rotated = await site.engine.keys.rotate(now=site.clock.now + KEY_AGE)
    again = await site.engine.keys.rotate(now=site.clock.now + KEY_AGE)

    assert (early, rotated, again) == (False, True, False)
    after = await kids(site)
    assert set(before) < set(after)
    assert len(after) == 3
    assert await signed_by(site) == next(kid for kid in before if kid != active)
    assert (await site.introspect(token))["active"] is True


async def test_a_retired_key_leaves_the_jwks_in_time(site: Site) -> None:
    active = await signed_by(site)
    await site.engine.keys.rotate(now=site.clock.now, force=True)

    site.clock.pass_by(days=KEY_RETIREMENT.days)
    await site.engine.keys.rotate(now=site.clock.now)

    assert active not in await kids(site)


async def test_what_a_compromised_key_signed_is_not_believed_any_more(site: Site) -> None:
    token = (await site.tokens(await site.person()))["access_token"]

    await site.engine.keys.rotate(now=site.clock.now, compromised=True)

    assert parse(token).header["kid"] not in await kids(site)
    assert await site.introspect(token) == {"active": False}


async def test_many_processes_rotating_at_once_make_one_step(site: Site) -> None:
    before = await kids(site)
    rings = [KeyRing(site.engine.database, site.engine.vault) for _ in range(5)]
    done: list[bool] = []

    async def rotate(ring: KeyRing) -> None:
        done.append(await ring.rotate(now=site.clock.now + KEY_AGE))

    async with anyio.create_task_group() as group:
        for ring in rings:
            group.start_soon(rotate, ring)

    site.clock.pass_by(seconds=FRESH.total_seconds())
    assert sorted(done) == [False, False, False, False, True]
    assert len(await kids(site)) == len(before) + 1


async def test_another_process_learns_of_a_rotation_within_seconds(site: Site) -> None:
    other = KeyRing(site.engine.database, site.engine.vault)
    known = await other.current(now=site.clock.now)

    await site.engine.keys.rotate(now=site.clock.now, force=True)

    later = await other.current(now=site.clock.now + FRESH)
    assert later.active.kid != known.active.kid


@pytest.mark.spec("RFC 10017")
async def test_browsers_of_registered_origins_may_call(site: Site) -> None:
    for method, path in (("POST", "/oauth/token"), ("POST", "/oauth/revoke"), ("GET", "/oauth/jwks")):
        preflight = await site.http.options(path, headers={"origin": ORIGIN, "access-control-request-method": method})
        call = await site.http.request(method, path, headers={"origin": ORIGIN})
        foreign = await site.http.request(method, path, headers={"origin": "https://evil.example"})
        foreign_preflight = await site.http.options(
            path, headers={"origin": "https://evil.example", "access-control-request-method": method}
        )

        assert preflight.status_code == 204
        assert method in preflight.headers["access-control-allow-methods"]
        assert preflight.headers["access-control-allow-origin"] == ORIGIN
        assert call.headers["access-control-allow-origin"] == ORIGIN
        assert "origin" in call.headers["vary"]
        assert "access-control-allow-origin" not in foreign.headers
        assert "access-control-allow-origin" not in foreign_preflight.headers


async def test_introspection_is_not_for_browsers(site: Site) -> None:
    answer = await site.http.options(
        "/oauth/introspect", headers={"origin": ORIGIN, "access-control-request-method": "POST"}
    )

    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers
