"""Profiles at the endpoints: what they demand is demanded, and what they refuse is refused."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from kronborg.clients.settings import ClientSettings, Profile
from kronborg.oauth.documents import metadata_document
from oauth.flow import CATALOGUE, WEB, WISH_LIST, Flow, Value, answer_of

pytestmark = pytest.mark.anyio


@pytest.mark.spec("OAuth 2.1 §7.5.1")
@pytest.mark.parametrize("profile", ["oauth21", "mcp"])
async def test_a_confidential_client_needs_pkce_too(flow: Flow, profile: Profile) -> None:
    await flow.client(WISH_LIST)
    without: dict[str, Value] = {"code_challenge": None, "code_challenge_method": None, "resource": CATALOGUE}
    before = answer_of(await flow.through(flow.browser(), WISH_LIST, username="ada", **without))["code"]

    await flow.client(WISH_LIST, settings=ClientSettings(profile=profile))
    refused = answer_of(await flow.authorize(flow.browser(), WISH_LIST, **without))
    late = await flow.exchange(before, WISH_LIST, code_verifier=None)
    with_it = await flow.tokens(flow.browser(), WISH_LIST, resource=CATALOGUE)

    assert refused["error"] == "invalid_request"
    assert (late.status_code, late.json()["error"]) == (400, "invalid_grant")
    assert "access_token" in with_it


@pytest.mark.spec("RFC 8707 §2")
async def test_under_mcp_every_request_names_its_resource(flow: Flow) -> None:
    machine = "client_credentials"
    grants = ("authorization_code", "client_credentials")
    await flow.client(WISH_LIST, grants=grants, settings=ClientSettings(profile="mcp"))

    bare = answer_of(await flow.authorize(flow.browser(), WISH_LIST))
    bare_machine = await flow.token(WISH_LIST, grant_type=machine, scope="catalogue:read")
    named = await flow.token(WISH_LIST, grant_type=machine, scope="catalogue:read", resource=CATALOGUE)

    assert bare["error"] in ("invalid_target", "invalid_request")
    assert bare_machine.json()["error"] == "invalid_target"
    assert named.status_code == 200


@pytest.mark.spec("FAPI 2.0 SP §5.3.2.1")
async def test_without_rotation_a_refresh_token_stays_good_and_idle_time_begins_anew(flow: Flow) -> None:
    await flow.client(WISH_LIST, settings=ClientSettings(refresh_token_rotation=False))
    asked = "openid offline_access catalogue:read"
    first = (await flow.tokens(flow.browser(), WISH_LIST, scope=asked))["refresh_token"]

    answers = []
    for _ in range(3):
        flow.clock.pass_by(days=10)
        answers.append(await flow.refresh(first, WISH_LIST))
    flow.clock.pass_by(days=15)
    idle = await flow.refresh(first, WISH_LIST)

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert all("refresh_token" not in answer.json() for answer in answers)
    assert idle.json()["error"] == "invalid_grant"


async def test_a_token_that_was_rotated_before_rotation_ended_does_not_come_back(flow: Flow) -> None:
    first = (await flow.tokens(flow.browser(), WISH_LIST))["refresh_token"]
    second = (await flow.refresh(first, WISH_LIST)).json()["refresh_token"]
    await flow.client(WISH_LIST, settings=ClientSettings(refresh_token_rotation=False))
    flow.clock.pass_by(minutes=5)

    kept = await flow.refresh(second, WISH_LIST)
    replayed = await flow.refresh(first, WISH_LIST)
    after = await flow.refresh(second, WISH_LIST)

    assert kept.status_code == 200
    assert [replayed.json()["error"], after.json()["error"]] == ["invalid_grant", "invalid_grant"]


@pytest.mark.spec("FAPI 2.0 SP §5.3.2.1")
async def test_a_client_that_contradicts_its_profile_gets_nothing_any_more(flow: Flow) -> None:
    refresh = (await flow.tokens(flow.browser(), WEB, scope="openid offline_access catalogue:read"))["refresh_token"]
    flow.engine.directory._profile = "fapi2-security"
    flow.engine.directory.forget()

    refused = await flow.refresh(refresh, WEB)
    page = await flow.authorize(flow.browser(), WEB)

    assert refused.json()["error"] == "invalid_client"
    assert (page.status_code, page.is_redirect) == (400, False)


@pytest.mark.spec("RFC 9700 §2.1.2")
@pytest.mark.spec("RFC 9700 §2.4")
async def test_metadata_offers_legacy_only_when_a_client_opted_in_and_says_so(flow: Flow) -> None:
    before = (await flow.http.get("/.well-known/openid-configuration")).json()
    old = replace(WEB, id="old", kind="confidential", auth_method="client_secret_basic", grants=("password",))
    grants = ("authorization_code", "implicit")
    hybrid = replace(WEB, id="hybrid", grants=grants, settings=ClientSettings(response_types=("code", "code id_token")))
    for client in (old, hybrid):
        await flow.client(client)

    after = (await flow.http.get("/.well-known/openid-configuration")).json()
    await flow.client(old, disabled=True)
    await flow.client(hybrid, disabled=True)
    again = (await flow.http.get("/.well-known/openid-configuration")).json()

    assert before["response_types_supported"] == ["code", "none"]
    assert "password" not in before["grant_types_supported"]
    assert set(after["response_types_supported"]) == {"code", "none", "code id_token"}
    assert "password" in after["grant_types_supported"]
    assert after["kronborg_legacy_warning"] == ["password", "implicit", "id_token"]
    assert again == before


@pytest.mark.spec("FAPI 2.0 SP §5.3.2.1")
@pytest.mark.spec("FAPI 2.0 MS §5.4.1")
async def test_metadata_under_a_profile_offers_nothing_it_refuses(flow: Flow) -> None:
    await flow.client(replace(WEB, id="old", grants=("authorization_code", "implicit")))
    plain = orjson.loads((await metadata_document(flow.engine)(flow.clock.now))[0])

    strict = replace(flow.engine, profile="fapi2-message-signing")
    told = orjson.loads((await metadata_document(strict)(flow.clock.now))[0])

    assert "implicit" in plain["grant_types_supported"]
    assert {"implicit", "password"}.isdisjoint(told["grant_types_supported"])
    assert told["response_types_supported"] == ["code"]
    assert told["backchannel_token_delivery_modes_supported"] == ["poll", "ping"]
    assert "jwt" in told["response_modes_supported"]
    assert "query" not in told["response_modes_supported"]
    assert told["require_pushed_authorization_requests"] is True
    assert told["require_signed_request_object"] is True
    assert "client_secret_basic" not in told["token_endpoint_auth_methods_supported"]
    assert "private_key_jwt" in told["token_endpoint_auth_methods_supported"]
    assert "RS256" not in orjson.dumps(told).decode()
