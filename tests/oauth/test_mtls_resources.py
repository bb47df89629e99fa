"""Tokens bound to a certificate where they are used: userinfo compares it with that of the connection."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette

from client_certificates import Certified, certify
from kronborg.clients.settings import ClientSettings
from kronborg.core.forwarded import Forwarded
from kronborg.oauth.api import protocol_routes
from kronborg.oauth.authorize_api import browser_routes
from oauth.flow import ISSUER, USERINFO, VERIFIER, WEB, Flow
from oauth.proofs import Prover

pytestmark = pytest.mark.anyio


async def send(
    flow: Flow,
    method: str,
    path: str,
    own: Certified | None,
    headers: dict[str, str] | None = None,
    form: dict[str, str] | None = None,
) -> httpx.Response:
    """One request through a trusted proxy, on a connection with this certificate."""
    app = Starlette(routes=[*protocol_routes(flow.engine, time=flow.clock), *browser_routes(flow.engine)])
    outer = Forwarded(app, ["10.0.0.1"], certificates="x-forwarded-client-cert")
    shown = {} if own is None else {"x-forwarded-client-cert": f'Cert="{quote(own.pem, safe="")}"'}
    transport = httpx.ASGITransport(outer, client=("10.0.0.1", 40000))
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER, trust_env=False) as http:
        return await http.request(method, path, headers={**(headers or {}), **shown}, data=form)


async def bound_token(flow: Flow, own: Certified, proof: str | None = None) -> str:
    bound = ClientSettings(tls_client_certificate_bound_access_tokens=True)
    await flow.client(replace(WEB, settings=bound))
    code = await flow.code(flow.browser(), WEB, scope="openid profile")
    form = {"grant_type": "authorization_code", "code": code, "client_id": WEB.id, "code_verifier": VERIFIER}
    form["redirect_uri"] = WEB.redirect_uris[0]
    answer = await send(flow, "POST", "/oauth/token", own, {} if proof is None else {"dpop": proof}, form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


@pytest.mark.spec("RFC 8705 §3")
async def test_a_bound_token_is_taken_over_its_own_connection_only(flow: Flow) -> None:
    own, thief = certify("CN=phone", flow.clock.now), certify("CN=phone", flow.clock.now)
    bearer = {"authorization": f"Bearer {await bound_token(flow, own)}"}

    right = await send(flow, "GET", "/oauth/userinfo", own, bearer)
    wrong = [await send(flow, "GET", "/oauth/userinfo", other, bearer) for other in (thief, None)]

    assert right.status_code == 200, right.text
    for answer in wrong:
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.spec("RFC 8705 §3")
@pytest.mark.spec("RFC 9449 §7.1")
async def test_a_token_that_is_bound_twice_needs_both(flow: Flow) -> None:
    own, other, prover = certify("CN=phone", flow.clock.now), certify("CN=phone", flow.clock.now), Prover()
    token = await bound_token(flow, own, prover.proof(flow.clock.now))

    def headers() -> dict[str, str]:
        proof = prover.proof(flow.clock.now, USERINFO, "GET", token=token)
        return {"authorization": f"DPoP {token}", "dpop": proof}

    right = await send(flow, "GET", "/oauth/userinfo", own, headers())
    wrong = [
        await send(flow, "GET", "/oauth/userinfo", other, headers()),
        await send(flow, "GET", "/oauth/userinfo", own, {"authorization": f"DPoP {token}"}),
        await send(flow, "GET", "/oauth/userinfo", own, {"authorization": f"Bearer {token}"}),
    ]

    assert right.status_code == 200, right.text
    assert [answer.status_code for answer in wrong] == [401] * 3
