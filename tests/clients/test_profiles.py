"""Profiles: what they refuse, what they switch on, and what becomes of clients that were there before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from kronborg.clients.check import client_problems
from kronborg.clients.directory import Directory
from kronborg.clients.model import ClientDraft
from kronborg.clients.profiles import DEMANDS, JWT_MODES, PROFILES, hardened, problems, switched_on, table
from kronborg.clients.register import save_client
from kronborg.clients.settings import ClientSettings, Profile
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.core.json import JsonObject
from kronborg.core.jws import generate, public_jwk

KEYS: JsonObject = {"keys": [public_jwk(generate("ES256"), "ES256")]}
BANK = ClientDraft(
    "bank",
    "Bank",
    auth_method="private_key_jwt",
    jwks=KEYS,
    redirect_uris=("https://bank.example/callback",),
    grants=("authorization_code", "refresh_token"),
)
WEB = ClientDraft(
    "web", "Web", "public", "none", redirect_uris=("https://web.example/callback",), grants=("authorization_code",)
)


def held(draft: ClientDraft, profile: Profile, **settings: object) -> ClientDraft:
    wanted = replace(draft.settings, profile=profile, **settings)  # type: ignore[arg-type]  # settings by name
    return replace(draft, settings=wanted)


@pytest.mark.spec("FAPI 2.0 SP §5.3.2.1")
@pytest.mark.spec("FAPI 2.0 SP §5.3.2.2")
@pytest.mark.spec("FAPI 2.0 SP §5.4.1")
@pytest.mark.parametrize("profile", ["fapi2-security", "fapi2-message-signing"])
@pytest.mark.parametrize(
    ("draft", "where", "clause"),
    [
        (replace(BANK, auth_method="client_secret_basic", jwks=None), "auth_method", "§5.3.2.1 (6)"),
        (replace(BANK, auth_method="client_secret_jwt", jwks=None), "auth_method", "§5.3.2.1 (6)"),
        (WEB, "kind", "§5.3.2.1 (3)"),
        (replace(BANK, grants=("password",)), "grants", "§5.3.2.1 (2)"),
        (replace(BANK, grants=("implicit",)), "settings.response_types", "§5.3.2.2 (1)"),
        (held(BANK, "none", response_types=("code id_token",)), "settings.response_types", "§5.3.2.2 (1)"),
        (replace(BANK, redirect_uris=("http://bank.example/",)), "redirect_uris[0]", "§5.3.2.2 (8)"),
        (held(BANK, "none", token_endpoint_auth_signing_alg="RS256"), "settings.token_endpoint_", "§5.4.1 (1)"),
        (held(BANK, "none", legacy_client_assertions=True), "settings.legacy_client_assertions", "§5.3.2.1 (8)"),
        (held(BANK, "none", backchannel_token_delivery_mode="push"), "settings.backchannel_token", "§5.3.2.1 (4)"),
        (held(BANK, "none", pushed_request_lifetime=600), "settings.pushed_request_lifetime", "§5.3.2.2 (12)"),
        (held(BANK, "none", id_token_signed_response_alg="RS256"), "settings.id_token_signed", "§5.4.1 (1)"),
        (held(replace(BANK, jwks=None), "none", jwks_uri="https://bank.example/jwks"), "settings.token_", "§5.4.1 (1)"),
    ],
)
def test_fapi2_refuses_what_contradicts_it_and_names_the_clause(
    profile: Profile, draft: ClientDraft, where: str, clause: str
) -> None:
    found = [*problems(held(draft, profile)), *problems(draft, profile)]

    assert len(found) >= 2
    assert any(one.where.startswith(where) and f"{clause})" in one.detail and one.mend for one in found)
    assert hardened(draft, profile).disabled
    assert hardened(held(draft, profile)).disabled


@pytest.mark.spec("FAPI 2.0 SP §5.3.2.1")
@pytest.mark.spec("FAPI 2.0 SP §5.3.2.2")
def test_fapi2_security_switches_on_what_it_demands() -> None:
    assert list(problems(held(BANK, "fapi2-security"))) == []
    assert switched_on(held(BANK, "fapi2-security")) == {
        "require_pkce": True,
        "require_redirect_uri": True,
        "require_pushed_authorization_requests": True,
        "dpop_bound_access_tokens": True,
        "refresh_token_rotation": False,
        "strong_signatures": True,
        "token_endpoint_auth_signing_alg": "ES256",
    }


@pytest.mark.spec("FAPI 2.0 SP §5.3.2.1")
def test_fapi2_binds_to_the_certificate_where_there_is_one() -> None:
    by_name = held(
        replace(BANK, auth_method="tls_client_auth", jwks=None), "fapi2-security", tls_client_auth_san_dns="b.example"
    )
    chosen = held(BANK, "fapi2-security", tls_client_certificate_bound_access_tokens=True)

    settings = hardened(by_name).settings

    assert (settings.tls_client_certificate_bound_access_tokens, settings.dpop_bound_access_tokens) == (True, False)
    assert not hardened(chosen).settings.dpop_bound_access_tokens


@pytest.mark.spec("FAPI 2.0 MS §5.3.1")
@pytest.mark.spec("FAPI 2.0 MS §5.4.1")
@pytest.mark.spec("FAPI 2.0 MS §5.5.1")
def test_message_signing_signs_requests_answers_and_introspection() -> None:
    more = switched_on(held(BANK, "fapi2-message-signing")).items() - {
        (name, value) for name, value in switched_on(held(BANK, "fapi2-security")).items()
    }
    plain = list(problems(held(BANK, "fapi2-message-signing", response_modes=("jwt", "query"))))

    assert dict(more) == {
        "require_signed_request_object": True,
        "response_modes": JWT_MODES,
        "authorization_signed_response_alg": "ES256",
        "introspection_signed_response_alg": "ES256",
    }
    assert [one.where for one in plain] == ["settings.response_modes"]


@pytest.mark.spec("OAuth 2.1 §7.5.1")
@pytest.mark.spec("OAuth 2.1 §10.1")
@pytest.mark.parametrize("profile", ["oauth21", "mcp"])
def test_oauth21_demands_pkce_of_all_and_knows_neither_implicit_nor_password(profile: Profile) -> None:
    legacy = replace(WEB, grants=("implicit", "password"))
    hybrid = held(WEB, profile, response_types=("code token",))
    identity_only = held(WEB, profile, response_types=("code id_token",))

    assert [one.where for one in problems(legacy, profile)] == ["grants", "grants"]
    assert [one.where for one in problems(hybrid)] == ["settings.response_types"]
    assert list(problems(identity_only)) == []
    assert hardened(held(BANK, profile)).settings.require_pkce
    assert hardened(held(BANK, profile)).settings.require_resource == (profile == "mcp")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("draft", [BANK, WEB])
def test_hardening_twice_is_hardening_once_and_never_softens(profile: Profile, draft: ClientDraft) -> None:
    once = hardened(held(draft, profile))

    assert hardened(once) == once
    assert hardened(hardened(draft, profile), profile) == hardened(draft, profile)
    assert not draft.settings.require_pkce or once.settings.require_pkce


def test_every_demand_names_a_clause_and_a_sentence() -> None:
    for name in PROFILES:
        for demand in DEMANDS[name]:
            assert "§" in demand.clause
            assert demand.says.endswith(".")
    assert DEMANDS["none"] == ()


@pytest.mark.spec("RFC 9700 §2.2.2")
def test_refresh_tokens_of_a_public_client_are_rotated_or_bound() -> None:
    still = held(WEB, "none", refresh_token_rotation=False)
    bound = held(WEB, "none", refresh_token_rotation=False, dpop_bound_access_tokens=True)

    refused = client_problems(still, scopes=(), audiences=())

    assert [one.where for one in refused] == ["settings.refresh_token_rotation"]
    assert client_problems(bound, scopes=(), audiences=()) == ()


@pytest.mark.anyio
async def test_registration_refuses_under_the_profile_of_the_installation(database: Database, now: datetime) -> None:
    async with database.write() as session:
        with pytest.raises(Invalid) as refused:
            await save_client(session, WEB, actor="test", now=now, profile="fapi2-security")

    assert [problem.where for problem in refused.value.problems] == ["kind"]


@pytest.mark.anyio
async def test_a_client_registered_before_is_held_to_the_profile_of_the_installation(
    database: Database, now: datetime
) -> None:
    async with database.write() as session:
        for draft in (BANK, WEB):
            await save_client(session, draft, actor="test", now=now)
    directory = Directory(database, "fapi2-security")

    bank, web = [await directory.client(name, now=now) for name in ("bank", "web")]

    assert bank is not None
    assert web is not None
    assert bank.settings.dpop_bound_access_tokens
    assert not bank.disabled
    assert web.disabled


@pytest.mark.anyio
async def test_without_a_profile_a_client_is_as_it_was_registered(database: Database, now: datetime) -> None:
    async with database.write() as session:
        saved = await save_client(session, BANK, actor="test", now=now)

    read = await Directory(database).client("bank", now=now)

    assert read == saved
    assert read is not None
    assert read.settings == ClientSettings()


def test_the_page_on_profiles_lists_what_the_code_demands() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "profiles.md").read_text(encoding="utf-8")

    assert table().rstrip() in page
