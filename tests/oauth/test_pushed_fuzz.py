"""Whatever a client pushes or signs: an answer, never a bug, and never a request that says more than was checked."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kronborg.oauth.authorize_request import PARAMETERS
from oauth.flow import CATALOGUE, CHALLENGE, WEB, Flow
from oauth.signing import ec_key, jwks_of, request_claims, sign

pytestmark = pytest.mark.anyio

MANY = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEY = ec_key()
BANK = replace(WEB, jwks=jwks_of(KEY))
CODES = {
    "invalid_request",
    "invalid_client",
    "invalid_scope",
    "invalid_target",
    "unauthorized_client",
    "unsupported_response_type",
    "invalid_request_object",
    "invalid_authorization_details",
    "request_not_supported",
}

ODD = ["\0", "\ud800", "\u202e", "x" * 3000, "{}", "[]", "none", "code", "0", " "]
TEXT = st.text(max_size=20) | st.sampled_from(ODD)
SOUND = {
    "response_type": "code",
    "redirect_uri": WEB.redirect_uris[0],
    "scope": "openid catalogue:read",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
CLAIMS = [*PARAMETERS, "iss", "aud", "exp", "nbf", "iat", "jti", "sub"]
RESOURCES = st.just([CATALOGUE]) | JSON


@MANY
@given(st.dictionaries(st.sampled_from([*PARAMETERS, "unknown"]), TEXT, max_size=6))
async def test_anything_pushed_is_answered(flow: Flow, changes: dict[str, str]) -> None:
    values = {"client_id": "web", **SOUND, **changes}
    body = "&".join(f"{name}={_encoded(value)}" for name, value in values.items())
    form = {"content-type": "application/x-www-form-urlencoded"}

    answer = await flow.http.post("/oauth/par", content=body, headers=form)

    assert answer.status_code in (201, 400, 401)
    if answer.status_code != 201:
        assert answer.json()["error"] in CODES
        assert answer.json()["error_description"].isascii()


@MANY
@given(st.dictionaries(st.sampled_from(CLAIMS), JSON, max_size=4), RESOURCES)
async def test_anything_signed_is_answered(flow: Flow, changes: dict[str, object], resource: object) -> None:
    known = await flow.engine.directory.client("web", now=flow.clock.now)
    if known is None or known.jwks is None:
        await flow.client(BANK)
    request = _signed(request_claims(flow, "web", WEB.redirect_uris[0], **{"resource": resource, **changes}))

    pushed = await flow.call("/oauth/par", BANK, request=request)
    shown = await flow.http.get("/oauth/authorize", params={"client_id": "web", "request": request})

    assert pushed.status_code in (201, 400)
    if pushed.status_code == 400:
        assert pushed.json()["error"] in CODES
    assert shown.status_code in (200, 303, 400)


def _encoded(value: str) -> str:
    return "".join(f"%{octet:02X}" for octet in value.encode("utf-8", "surrogatepass"))


def _signed(said: dict[str, object]) -> str:
    """Signed as it is: also what our own writer of JSON would refuse."""
    return sign(KEY, json.dumps(said).encode())
