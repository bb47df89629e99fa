"""Relying parties written by others drive the running product: what they accept, the specifications accept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.node import allowed, node
from e2e.stack import Stack

LIBRARIES = ["openid_client", "oauth4webapi"]


def code_flow(stack: Stack, library: str, wanted: dict[str, object]) -> dict[str, Any]:
    with node(library, {"flow": "code", "issuer": stack.identity, **wanted}) as party:
        party.tell(allowed(stack.identity, party.said()["authorize"], "freja", stack.passwords["freja"]))
        result: dict[str, Any] = party.said()["result"]
        return result


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_public_client_signs_a_person_in_and_refreshes(stack: Stack, library: str) -> None:
    result = code_flow(
        stack,
        library,
        {
            "client_id": "shop-web",
            "method": "none",
            "redirect_uri": f"{stack.gateway}/shop/callback",
            "scope": "openid profile catalogue:read",
            "resource": "https://shop.example/catalogue",
        },
    )

    assert result["claims"]["iss"] == stack.identity
    assert result["tokens"]["access_token"] != result["refreshed"]["access_token"]
    assert result["tokens"]["refresh_token"] != result["refreshed"]["refresh_token"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_confidential_third_party_client_signs_a_person_in_after_consent(stack: Stack, library: str) -> None:
    result = code_flow(
        stack,
        library,
        {
            "client_id": "wish-list",
            "secret": stack.secret("wish-list"),
            "method": "client_secret_basic",
            "redirect_uri": f"{stack.wish_list}callback",
            "scope": "openid profile",
            "userinfo": library == "openid_client",
        },
    )

    assert result["claims"]["aud"] == "wish-list"
    if library == "openid_client":
        assert result["userinfo"]["preferred_username"] == "freja"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_machine_client_gets_introspects_and_revokes_its_token(stack: Stack, library: str) -> None:
    wanted = {
        "flow": "machine",
        "issuer": stack.identity,
        "client_id": "shop-batch",
        "secret": stack.secret("shop-batch"),
        "method": "client_secret_basic",
        "scope": "catalogue:read",
        "introspect": True,
    }
    with node(library, wanted) as party:
        result = party.said()["result"]

    assert result["tokens"]["token_type"].lower() == "bearer"
    assert result["life"]["before"]["active"] is True
    assert result["life"]["before"]["client_id"] == "shop-batch"
    assert result["life"]["after"] == {"active": False}


def test_private_key_jwt_by_openid_client(stack: Stack) -> None:
    key = json.loads(stack.secret("shop-robot"))
    wanted = {
        "flow": "machine",
        "issuer": stack.identity,
        "client_id": "shop-robot",
        "method": "private_key_jwt",
        "key": key,
        "kid": key["kid"],
        "scope": "inventory:read",
    }
    with node("openid_client", wanted) as party:
        result = party.said()["result"]

    assert result["tokens"]["scope"] == "inventory:read"
