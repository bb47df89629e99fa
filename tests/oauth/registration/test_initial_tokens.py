"""Initial access tokens (RFC 7591 §1.2): who may register, how often, and what."""

from __future__ import annotations

import asyncio

import pytest

from kronborg.clients.registration import revoke_initial_token
from kronborg.core.whole import whole
from oauth.flow import Flow
from oauth.registration.registering import APP, initial_token, register

pytestmark = [pytest.mark.anyio]


@pytest.mark.spec("RFC 7591 §3")
async def test_without_open_registration_an_initial_access_token_is_needed(closed: Flow) -> None:
    made = await initial_token(closed)

    without = await register(closed)
    wrong = [await register(closed, text) for text in (f"{made.text}x", made.text[:-1], "kro_ia_x", "x" * 5000)]
    right = await register(closed, made.text)

    for answer in (without, *wrong):
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert answer.headers["cache-control"] == "no-store"
    assert right.status_code == 201


async def test_a_token_that_is_wrong_is_refused_even_where_anybody_may_register(flow: Flow) -> None:
    wrong = await register(flow, "kro_ia_wrong")
    basic = await flow.http.post("/oauth/register", json=APP, headers={"authorization": "Basic eDp5"})

    assert (wrong.status_code, basic.status_code) == (401, 401)


async def test_an_initial_access_token_ends_with_its_uses_its_time_or_its_revocation(closed: Flow) -> None:
    once = await initial_token(closed, max_uses=1)
    short, revoked = await initial_token(closed), await initial_token(closed)

    first, second = await register(closed, once.text), await register(closed, once.text)
    async with whole(closed.database) as session:
        await revoke_initial_token(session, revoked.token.id, actor="test", now=closed.clock.now)
    after_revocation = await register(closed, revoked.text)
    closed.clock.pass_by(days=1)
    after_its_time = await register(closed, short.text)

    assert first.status_code == 201
    assert [answer.status_code for answer in (second, after_revocation, after_its_time)] == [401, 401, 401]


async def test_a_refused_registration_uses_nothing_up(closed: Flow) -> None:
    once = await initial_token(closed, max_uses=1)

    refused = await register(closed, once.text, redirect_uris=["http://my.example/"])
    taken = await register(closed, once.text)

    assert (refused.status_code, taken.status_code) == (400, 201)


async def test_of_many_registrations_at_once_a_token_lets_in_as_many_as_it_may(closed: Flow) -> None:
    twice = await initial_token(closed, max_uses=2)

    answers = await asyncio.gather(*(register(closed, twice.text) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201, 201, 401, 401, 401, 401]


async def test_the_policy_of_a_token_says_what_its_clients_may_be(closed: Flow) -> None:
    token = await initial_token(
        closed,
        grants=("authorization_code", "client_credentials"),
        scopes=("catalogue:read", "admin:write"),
        auth_methods=("client_secret_basic",),
        redirect_hosts=("*.my.example", "my.example"),
        redirect_schemes=("https",),
        max_clients=2,
    )
    confidential = {"token_endpoint_auth_method": "client_secret_basic"}

    right = await register(closed, token.text, **confidential, grant_types=["authorization_code", "client_credentials"])
    wrong = [
        await register(closed, token.text, **{**confidential, **metadata})
        for metadata in (
            {"grant_types": ["authorization_code", "refresh_token"]},
            {"token_endpoint_auth_method": "none"},
            {"redirect_uris": ["https://evil.example/"]},
            {"redirect_uris": ["https://notmy.example/"]},
            {"redirect_uris": ["http://127.0.0.1/"]},
            {"post_logout_redirect_uris": ["https://evil.example/"]},
            {"scope": "admin:write"},
        )
    ]
    second = await register(closed, token.text, **confidential, redirect_uris=["https://a.my.example/"])
    too_many = await register(closed, token.text, **confidential)

    assert right.json()["scope"] == "catalogue:read"
    assert [answer.status_code for answer in wrong] == [400] * 7
    assert (second.status_code, too_many.status_code) == (201, 400)
    assert too_many.json()["error"] == "invalid_client_metadata"
