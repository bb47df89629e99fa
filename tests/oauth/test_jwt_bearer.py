"""The JWT bearer grant: whose assertions are believed, for whom, once, and what they give."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from joserfc import jwt as jose_jwt
from joserfc.jwk import ECKey

from forms import forms_of
from kronborg.accounts.users import disable_user
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import set_disabled
from kronborg.clients.settings import ClientSettings
from kronborg.core.errors import Invalid
from kronborg.core.ids import token_id
from kronborg.oauth.consent import withdraw
from kronborg.oauth.issuers import remove_issuer, save_issuer
from kronborg.oauth.model import TrustedIssuerDraft
from oauth.flow import CATALOGUE, ISSUER, Flow
from token_site import claims_of

pytestmark = pytest.mark.anyio

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
PARTNER = "https://partner.example"
KEY = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
BRIDGE = ClientDraft(
    "bridge",
    "Bridge",
    grants=(GRANT, EXCHANGE),
    scopes=("openid", "catalogue:read", "cart:read"),
    settings=ClientSettings(assertion_issuers=("partner",), exchange_audiences=(CATALOGUE,), may_impersonate=True),
)


async def trust(flow: Flow, **changes: Any) -> None:
    """Trust the partner, and register the client that brings its assertions."""
    draft = TrustedIssuerDraft("partner", PARTNER, jwks={"keys": [KEY.as_dict(private=False)]})
    async with flow.database.write() as session:
        await save_issuer(session, replace(draft, **changes), own=ISSUER, actor="test", now=flow.clock.now)
    await flow.client(BRIDGE)


def vouch(flow: Flow, *, key: ECKey = KEY, header: dict[str, Any] | None = None, **changes: Any) -> str:
    at = int(flow.clock.now.timestamp())
    claims = {"iss": PARTNER, "sub": "ada", "aud": ISSUER, "iat": at, "exp": at + 300, "jti": token_id(), **changes}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jose_jwt.encode({"alg": "ES256", "kid": str(KEY.kid), **(header or {})}, kept, key)


async def bring(flow: Flow, assertion: str, client: ClientDraft = BRIDGE, **form: str) -> httpx.Response:
    return await flow.token(client, **{"grant_type": GRANT, "assertion": assertion, "scope": "catalogue:read", **form})


def error_of(response: httpx.Response) -> tuple[int, Any]:
    return response.status_code, response.json().get("error")


@pytest.mark.spec("RFC 7523 §2.1")
async def test_an_assertion_of_a_trusted_issuer_gives_a_token_for_its_person(flow: Flow) -> None:
    await trust(flow)

    answer = await bring(flow, vouch(flow))

    assert answer.status_code == 200, answer.text
    body, told = answer.json(), await flow.introspect(answer.json()["access_token"])
    assert {"refresh_token", "id_token"} & body.keys() == set()
    assert (body["scope"], told["active"], told["client_id"]) == ("catalogue:read", True, "bridge")
    assert len(await flow.events("grant.created")) == 1


@pytest.mark.spec("RFC 7521 §5.2")
async def test_what_an_assertion_gave_our_own_client_is_shown_and_can_be_withdrawn(flow: Flow) -> None:
    await trust(flow)
    await flow.client(BRIDGE, first_party=True)
    token = (await bring(flow, vouch(flow))).json()["access_token"]
    browser = flow.browser()
    await browser.sign_in(await browser.get("/signin"))

    page = await browser.get("/account/apps")
    [form] = [form for form in forms_of(page) if form.fields.get("client_id") == "bridge"]
    await browser.submit(page, form, {})

    assert (await flow.introspect(token))["active"] is False


async def test_an_assertion_counts_once_also_in_a_race(flow: Flow) -> None:
    await trust(flow)
    text = vouch(flow)

    answers = await asyncio.gather(*(bring(flow, text) for _ in range(5)))
    again = await bring(flow, text)

    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
    assert error_of(again) == (400, "invalid_grant")
    assert len(await flow.events("grant.created")) == 1


WRONG: dict[str, dict[str, Any]] = {
    "issuer": {"iss": "https://stranger.example"},
    "no issuer": {"iss": None},
    "ours": {"iss": ISSUER},
    "audience": {"aud": "https://elsewhere.example"},
    "audiences": {"aud": [ISSUER, "https://elsewhere.example"]},
    "no audience": {"aud": None},
    "nobody": {"sub": "nobody"},
    "no subject": {"sub": None},
    "disabled": {"sub": "grace"},
    "by mail": {"sub": "ada@kronborg.example"},
    "expired": {"exp": 1},
    "for years": {"exp": 4_000_000_000},
    "no exp": {"exp": None},
    "from tomorrow": {"iat": 4_000_000_000},
    "not yet": {"nbf": 4_000_000_000},
    "no jti": {"jti": None},
    "number": {"jti": 7},
}


@pytest.mark.spec("RFC 7523 §3")
@pytest.mark.parametrize("what", WRONG)
async def test_what_is_not_right_in_an_assertion_is_refused(flow: Flow, what: str) -> None:
    await trust(flow)
    await flow.person("grace", disabled=True)

    answer = await bring(flow, vouch(flow, **WRONG[what]))

    assert error_of(answer) == (400, "invalid_grant")


@pytest.mark.spec("RFC 8725 §3.11")
@pytest.mark.parametrize(
    "header",
    [
        {"typ": "at+jwt"},
        {"typ": "client-authentication+jwt"},
        {"typ": "logout+jwt"},
        {"crit": ["exp"]},
        {"alg": "none"},
        {"jku": "https://partner.example/keys", "kid": "another"},
    ],
    ids=str,
)
async def test_other_kinds_of_jwt_and_tricks_in_the_header_are_refused(flow: Flow, header: dict[str, Any]) -> None:
    await trust(flow)
    other = ECKey.generate_key("P-256")
    good = vouch(flow)
    if header.get("alg") == "none":
        text = f"eyJhbGciOiJub25lIn0.{good.split('.')[1]}.AAAA"
    elif "crit" in header:
        text = f"eyJhbGciOiJFUzI1NiIsImNyaXQiOlsiZXhwIl19.{good.split('.')[1]}.{good.split('.')[2]}"
    else:
        text = vouch(flow, key=other if "jku" in header else KEY, header=header)

    assert error_of(await bring(flow, text)) == (400, "invalid_grant")


async def test_only_clients_that_name_the_issuer_and_the_grant(flow: Flow) -> None:
    await trust(flow)
    stranger = replace(BRIDGE, id="stranger", settings=ClientSettings(assertion_issuers=("somebody-else",)))
    await flow.client(replace(stranger, grants=(GRANT,)))

    answer = await bring(flow, vouch(flow), stranger)
    with pytest.raises(Invalid):
        await flow.client(replace(BRIDGE, id="public", kind="public", auth_method="none"))
    with pytest.raises(Invalid):
        await flow.client(replace(BRIDGE, id="nameless", grants=(GRANT,), settings=ClientSettings()))

    assert error_of(answer) == (400, "invalid_grant")


@pytest.mark.spec("RFC 7521 §4.1")
async def test_an_assertion_signs_nobody_in_and_gives_nothing_the_client_may_not_have(flow: Flow) -> None:
    await trust(flow)

    for scope, error in (
        ("openid", "invalid_scope"),
        ("catalogue:write", "invalid_scope"),
        ("cart:read catalogue:read", "invalid_target"),
    ):
        assert error_of(await bring(flow, vouch(flow), scope=scope)) == (400, error)


async def test_people_can_be_named_by_mail_or_id_and_the_client_by_itself(flow: Flow) -> None:
    await trust(flow, subject="email")
    by_mail = await bring(flow, vouch(flow, sub="ada@kronborg.example"))
    by_name = await bring(flow, vouch(flow))
    user_id = claims_of(by_mail.json()["access_token"])["sub"]
    await trust(flow, subject="id")
    by_id = await bring(flow, vouch(flow, sub=user_id))
    await trust(flow, subject="client")
    itself = await bring(flow, vouch(flow, sub="bridge"))
    another = await bring(flow, vouch(flow, sub="web"))

    assert (by_mail.status_code, by_id.status_code) == (200, 200)
    assert claims_of(itself.json()["access_token"])["sub"] == "bridge"
    assert error_of(by_name) == error_of(another) == (400, "invalid_grant")


async def test_an_issuer_that_is_trusted_no_more_gives_nothing(flow: Flow) -> None:
    await trust(flow)
    async with flow.database.write() as session:
        await remove_issuer(session, "partner", actor="test", now=flow.clock.now)

    assert error_of(await bring(flow, vouch(flow))) == (400, "invalid_grant")


@pytest.mark.spec("RFC 8693 §3")
async def test_an_assertion_can_be_a_subject_token(flow: Flow) -> None:
    await trust(flow)
    text = vouch(flow)
    form = {"subject_token": text, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "audience": CATALOGUE}

    answer = await flow.token(BRIDGE, grant_type=EXCHANGE, **form)
    again = await flow.token(BRIDGE, grant_type=EXCHANGE, **form)

    claims = claims_of(answer.json()["access_token"])
    assert (claims["act"], claims["scope"]) == ({"sub": "bridge"}, "catalogue:read")
    assert claims["exp"] <= claims_of(text)["exp"]
    assert error_of(again) == (400, "invalid_request")


def draft(**changes: Any) -> TrustedIssuerDraft:
    return replace(TrustedIssuerDraft("partner", PARTNER, jwks={"keys": [KEY.as_dict(private=False)]}), **changes)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"name": "Partner One"}, "name"),
    "no issuer": ({"issuer": ""}, "issuer"),
    "ourselves": ({"issuer": ISSUER}, "issuer"),
    "no keys": ({"jwks": None}, "jwks"),
    "empty keys": ({"jwks": {"keys": []}}, "jwks"),
    "private key": ({"jwks": {"keys": [KEY.as_dict(private=True)]}}, "jwks"),
    "plain http": ({"jwks": None, "jwks_uri": "http://partner.example/keys"}, "jwks_uri"),
    "audience": ({"audience": "shop"}, "audience"),
    "subject": ({"subject": "nickname"}, "subject"),
}


@pytest.mark.parametrize("what", FAULTS)
async def test_what_is_wrong_with_an_issuer_is_named(flow: Flow, what: str) -> None:
    wrong, where = FAULTS[what]
    async with flow.database.write() as session:
        with pytest.raises(Invalid) as refusal:
            await save_issuer(session, draft(**wrong), own=ISSUER, actor="test", now=flow.clock.now)

    assert where in [problem.where for problem in refusal.value.problems]


async def _disable_user(flow: Flow, user_id: str) -> None:
    async with flow.database.write() as session:
        await disable_user(session, user_id, actor="test", now=flow.clock.now)


async def _disable_client(flow: Flow, _user_id: str) -> None:
    async with flow.database.write() as session:
        await set_disabled(session, "bridge", disabled=True, actor="test", now=flow.clock.now)


async def _withdraw(flow: Flow, user_id: str) -> None:
    await withdraw(flow.database, user_id, "bridge", now=flow.clock.now)


FALLS: dict[str, Callable[[Flow, str], Awaitable[None]]] = {
    "user": _disable_user,
    "client": _disable_client,
    "withdrawn": _withdraw,
}


@pytest.mark.parametrize("what", FALLS)
async def test_the_token_ends_with_its_person_client_and_grant(flow: Flow, what: str) -> None:
    await trust(flow)
    token = (await bring(flow, vouch(flow))).json()["access_token"]

    await FALLS[what](flow, str(claims_of(token)["sub"]))

    assert await flow.introspect(token) == {"active": False}
