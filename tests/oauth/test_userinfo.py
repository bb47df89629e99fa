"""Userinfo: claims by scope to a bearer token made for it, and the challenges of RFC 6750."""

from __future__ import annotations

import pytest

from kronborg.accounts.users import UserChange, update_user
from oauth.flow import CATALOGUE, USERINFO, WEB, Flow

pytestmark = pytest.mark.anyio


async def token(flow: Flow, scope: str = "openid profile email") -> str:
    return (await flow.tokens(flow.browser(), WEB, scope=scope))["access_token"]


@pytest.mark.spec("OIDC Core §5.3.2")
@pytest.mark.spec("OIDC Core §5.4")
@pytest.mark.parametrize(
    ("scope", "claims"),
    [
        ("openid", {"sub"}),
        ("openid profile", {"sub", "name", "preferred_username", "updated_at"}),
        ("openid email", {"sub", "email", "email_verified"}),
    ],
)
async def test_the_claims_follow_the_scope(flow: Flow, scope: str, claims: set[str]) -> None:
    access_token = await token(flow, scope)

    answer = await flow.userinfo(access_token)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == claims
    assert answer.json().get("email", "ada@kronborg.example") == "ada@kronborg.example"
    assert answer.json().get("email_verified", False) is False


@pytest.mark.spec("RFC 6750 §2.1")
@pytest.mark.spec("RFC 6750 §2.2")
async def test_the_token_comes_in_the_header_or_in_a_form(flow: Flow) -> None:
    access_token = await token(flow)

    answers = [
        await flow.http.get("/oauth/userinfo", headers={"authorization": f"bearer {access_token}"}),
        await flow.http.post("/oauth/userinfo", headers={"authorization": f"Bearer {access_token}"}),
        await flow.http.post("/oauth/userinfo", data={"access_token": access_token}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


@pytest.mark.spec("RFC 6750 §2")
@pytest.mark.spec("RFC 6750 §3.1")
async def test_one_way_at_a_time_and_never_the_query(flow: Flow) -> None:
    access_token = await token(flow)
    header = {"authorization": f"Bearer {access_token}"}
    double = {**header, "content-type": "application/x-www-form-urlencoded"}

    answers = [
        await flow.http.post("/oauth/userinfo", data={"access_token": access_token}, headers=header),
        await flow.http.get(f"/oauth/userinfo?access_token={access_token}"),
        await flow.http.get(f"/oauth/userinfo?access_token={access_token}", headers=header),
        await flow.http.get("/oauth/userinfo", headers=[*header.items(), *header.items()]),
        await flow.http.post("/oauth/userinfo", content=f"access_token={access_token}&" * 2, headers=double),
        await flow.http.get("/oauth/userinfo", headers={"authorization": "Bearer"}),
        await flow.http.get("/oauth/userinfo", headers={"authorization": "Bearer a b"}),
        await flow.http.post("/oauth/userinfo", content=b"access_token=\xff", headers=double),
        await flow.http.post("/oauth/userinfo", content=b"x" * 40_000, headers=double),
    ]

    for answer in answers:
        assert answer.status_code == 400
        assert 'error="invalid_request"' in answer.headers["www-authenticate"]


@pytest.mark.spec("RFC 6750 §3")
async def test_without_a_token_the_challenge_has_no_error(flow: Flow) -> None:
    answers = [
        await flow.http.get("/oauth/userinfo"),
        await flow.http.post("/oauth/userinfo"),
        await flow.http.get("/oauth/userinfo", headers={"authorization": "Basic YTpi"}),
    ]

    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].split(", DPoP ")[0] == 'Bearer realm="kronborg"'
        assert "error" not in answer.headers["www-authenticate"]


@pytest.mark.spec("RFC 6750 §3.1")
@pytest.mark.spec("RFC 9068 §4")
async def test_a_token_that_is_not_for_us_is_invalid(flow: Flow) -> None:
    browser = flow.browser()
    tokens = await flow.tokens(browser, scope="openid catalogue:read cart:read", resource=CATALOGUE)
    reference = await flow.tokens(browser, scope="cart:read")

    answers = [
        await flow.userinfo(text)
        for text in (
            tokens["access_token"],
            tokens["id_token"],
            tokens["refresh_token"],
            reference["access_token"],
            "kro_at_x",
            "a.b.c",
            "x" * 9000,
        )
    ]

    for answer in answers[:-1]:
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert answers[-1].status_code == 400


@pytest.mark.spec("RFC 6750 §3.1")
async def test_without_openid_the_scope_is_named(flow: Flow) -> None:
    tokens = await flow.tokens(flow.browser(), scope="profile catalogue:read", resource=USERINFO)

    answer = await flow.userinfo(tokens["access_token"])

    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="openid"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("end", ["expired", "revoked", "user", "client", "session"])
async def test_what_ended_says_nothing_any_more(flow: Flow, end: str) -> None:
    user = await flow.person("bob")
    browser = flow.browser()
    tokens = await flow.tokens(browser, username="bob", scope="openid profile")
    assert (await flow.userinfo(tokens["access_token"])).status_code == 200

    if end == "expired":
        flow.clock.pass_by(hours=1)
    elif end == "revoked":
        await flow.revoke(tokens["refresh_token"])
    elif end == "user":
        async with flow.database.write() as session:
            await update_user(session, user.id, UserChange(disabled=True), actor="test", now=flow.clock.now)
    elif end == "client":
        await flow.client(WEB, disabled=True)
    else:
        await browser.get(f"/oauth/logout?id_token_hint={tokens['id_token']}")

    answer = await flow.userinfo(tokens["access_token"])
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_scripts_of_registered_origins_may_read_it(flow: Flow) -> None:
    access_token = await token(flow)
    question = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}

    preflight = await flow.http.options("/oauth/userinfo", headers={"origin": "https://web.example", **question})
    answer = await flow.http.get(
        "/oauth/userinfo", headers={"origin": "https://web.example", "authorization": f"Bearer {access_token}"}
    )
    refused = await flow.http.get("/oauth/userinfo", headers={"origin": "https://web.example"})
    stranger = await flow.http.get("/oauth/userinfo", headers={"origin": "https://attacker.example"})
    strangers = await flow.http.options("/oauth/userinfo", headers={"origin": "null", **question})

    assert preflight.status_code == 204
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    for allowed in (preflight, answer, refused):
        assert allowed.headers["access-control-allow-origin"] == "https://web.example"
        assert "access-control-allow-credentials" not in allowed.headers
    for denied in (stranger, strangers):
        assert "access-control-allow-origin" not in denied.headers
        assert denied.headers["vary"].lower() == "origin"
