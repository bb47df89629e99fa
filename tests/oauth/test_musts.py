"""Rules over all endpoints: what is not offered, what cannot be taken for something else, what cannot be guessed."""

from __future__ import annotations

import pytest

from kronborg.core import opaque
from kronborg.core.errors import Invalid
from oauth.flow import CART, RESOURCE_SERVER, WEB, Flow, answer_of

pytestmark = pytest.mark.anyio


@pytest.mark.spec("RFC 9700 §2.1.2")
@pytest.mark.spec("RFC 9700 §2.4")
async def test_neither_passwords_nor_tokens_in_the_front_channel(flow: Flow) -> None:
    browser = flow.browser()
    metadata = (await flow.http.get("/.well-known/openid-configuration")).json()

    password = await flow.token(WEB, grant_type="password", username="ada", password="to be or not to be")
    errors = [
        answer_of(await flow.authorize(browser, response_type=kind))["error"]
        for kind in ("token", "id_token", "code token", "code id_token", "none")
    ]

    assert password.json()["error"] == "unauthorized_client"
    assert set(errors) <= {"unauthorized_client", "unsupported_response_type"}
    assert metadata["response_types_supported"] == ["code", "none"]
    assert "kronborg_legacy_warning" not in metadata
    assert {"password", "implicit"}.isdisjoint(metadata["grant_types_supported"])


@pytest.mark.spec("RFC 8725 §3.12")
async def test_no_kind_of_jwt_is_taken_for_another(flow: Flow) -> None:
    browser = flow.browser()
    tokens = await flow.tokens(browser)
    access, identity = tokens["access_token"], tokens["id_token"]

    as_access = await flow.userinfo(identity)
    introspected = await flow.introspect(identity)
    as_hint = await flow.authorize(browser, id_token_hint=access)
    as_assertions = [
        await flow.http.post(
            "/oauth/token",
            data={
                "grant_type": "client_credentials",
                "client_assertion": token,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            },
        )
        for token in (access, identity)
    ]

    assert as_access.status_code == 401
    assert introspected == {"active": False}
    assert answer_of(as_hint)["error"] == "invalid_request"
    assert [answer.status_code for answer in as_assertions] == [401, 401]


@pytest.mark.spec("RFC 6749 §10.10")
async def test_credentials_carry_224_random_bits_and_more(flow: Flow) -> None:
    browser = flow.browser()
    code = await flow.code(browser, scope="openid cart:read")
    tokens = (await flow.exchange(code, resource=CART)).json()

    found = (code, tokens["access_token"], tokens["refresh_token"], flow.secrets[RESOURCE_SERVER.id])

    assert [text[:7] for text in found] == [opaque.CODE, opaque.ACCESS, opaque.REFRESH, opaque.SECRET]
    assert all(len(text[7:-6]) * 6 >= 256 for text in found)
    # An access token begins with the minute it was made in: 32 bits, which the first six characters hold.
    assert len({text[13:-6] for text in found}) == 4


@pytest.mark.spec("RFC 9700 §4.15")
async def test_no_client_can_be_taken_for_a_user(flow: Flow) -> None:
    ada = await flow.person("hamlet")

    with pytest.raises(Invalid) as refused:
        await flow.client(RESOURCE_SERVER, id=ada.id)

    assert [problem.where for problem in refused.value.problems] == ["id"]
