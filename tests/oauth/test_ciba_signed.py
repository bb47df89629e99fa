"""CIBA requests that the client signed (CIBA §7.1.1)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from joserfc import jwt as jose_jwt
from joserfc.jwk import ECKey

from kronborg.clients.model import ClientDraft
from kronborg.clients.settings import ClientSettings
from kronborg.core.ids import token_id
from oauth.ciba_flow import GRANT, SCOPES, ask, error_of
from oauth.flow import ISSUER, Flow
from token_site import claims_of

pytestmark = pytest.mark.anyio


KEY = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)


SIGNER = ClientDraft(
    "signer",
    "Signer",
    grants=(GRANT,),
    scopes=SCOPES,
    auth_method="client_secret_basic",
    jwks={"keys": [KEY.as_dict(private=False)]},
    settings=ClientSettings(backchannel_authentication_request_signing_alg="ES256"),
)


def signed(flow: Flow, **changes: Any) -> str:
    at = int(flow.clock.now.timestamp())
    claims = {
        "iss": "signer",
        "aud": ISSUER,
        "iat": at,
        "nbf": at,
        "exp": at + 300,
        "jti": token_id(),
        "scope": "openid catalogue:read",
        "login_hint": "ada",
        "requested_expiry": 120,
        **changes,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    return jose_jwt.encode({"alg": "ES256", "kid": str(KEY.kid)}, kept, KEY)


async def send_signed(flow: Flow, text: str, **beside: str) -> httpx.Response:
    if "signer" not in flow.secrets:
        await flow.client(SIGNER)
    return await flow.call("/oauth/backchannel-authentication", SIGNER, request=text, **beside)


@pytest.mark.spec("CIBA §7.1.1")
async def test_a_signed_request_says_everything_inside_and_once(flow: Flow) -> None:
    text = signed(flow)

    first = await send_signed(flow, text)
    replayed = await send_signed(flow, text)
    beside = await send_signed(flow, signed(flow), login_hint="ada")
    plain = await ask(flow, SIGNER)

    assert (first.status_code, first.json()["expires_in"]) == (200, 120)
    assert error_of(replayed) == error_of(beside) == error_of(plain) == (400, "invalid_request")


WRONG: dict[str, dict[str, Any]] = {
    "issuer": {"iss": "bank"},
    "audience": {"aud": "https://elsewhere.example"},
    "no audience": {"aud": None},
    "expired": {"exp": 1},
    "too long": {"exp": 4_000_000_000},
    "no exp": {"exp": None},
    "no nbf": {"nbf": None},
    "no iat": {"iat": None},
    "no jti": {"jti": None},
    "short jti": {"jti": "x"},
    "of the client": {"sub": "signer"},
    "no text": {"scope": ["openid"]},
}


@pytest.mark.spec("CIBA §7.1.1")
@pytest.mark.parametrize("what", WRONG)
async def test_a_signed_request_that_is_not_right_is_refused(flow: Flow, what: str) -> None:
    answer = await send_signed(flow, signed(flow, **WRONG[what]))

    assert error_of(answer) == (400, "invalid_request")


@pytest.mark.spec("RFC 8725 §3.1")
async def test_unsigned_and_foreign_signatures_are_refused(flow: Flow) -> None:
    other = ECKey.generate_key("P-256")
    good = signed(flow)
    head, body, _ = good.split(".")
    none = f"eyJhbGciOiJub25lIn0.{body}.AAAA"
    foreign = jose_jwt.encode({"alg": "ES256"}, claims_of(good), other)

    for text in (none, foreign, f"{head}.{body}.AAAA", "x"):
        assert error_of(await send_signed(flow, text)) == (400, "invalid_request")
