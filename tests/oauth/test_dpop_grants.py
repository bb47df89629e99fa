"""The further grants and DPoP: what they issue is bound like everything else, and nothing takes a binding off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import httpx
import pytest

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from oauth.device_flow import GRANT as DEVICE
from oauth.device_flow import TV, answered, begin
from oauth.exchange_flow import ACCESS, PRICING, exchange_site
from oauth.exchange_flow import GRANT as EXCHANGE
from oauth.flow import Flow
from oauth.proofs import Prover
from token_site import CATALOGUE, REDIRECT, VERIFIER, Site, basic, claims_of

pytestmark = pytest.mark.anyio


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error", "")


@pytest.mark.spec("RFC 9449 §5")
async def test_a_device_binds_its_tokens_to_its_key(flow: Flow) -> None:
    prover, thief = Prover(), Prover()
    begun = await begin(flow, TV)
    await answered(flow, begun)

    async def ask(proof: str | None, **form: str) -> httpx.Response:
        headers = {} if proof is None else {"dpop": proof}
        return await flow.http.post("/oauth/token", data={"client_id": TV.id, **form}, headers=headers)

    flow.clock.pass_by(seconds=5)
    used = prover.proof(flow.clock.now)
    first = await ask(used, grant_type=DEVICE, device_code=begun["device_code"])
    refresh = {"grant_type": "refresh_token", "refresh_token": first.json()["refresh_token"]}
    stolen = [await ask(proof, **refresh) for proof in (None, thief.proof(flow.clock.now))]
    replayed = await ask(used, **refresh)
    right = await ask(prover.proof(flow.clock.now), **refresh)

    assert first.json()["token_type"] == "DPoP"
    assert claims_of(first.json()["access_token"])["cnf"] == {"jkt": prover.jkt}
    assert [error_of(answer) for answer in stolen] == [(400, "invalid_grant")] * 2
    assert error_of(replayed) == (400, "invalid_dpop_proof")
    assert right.status_code == 200, right.text


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with exchange_site(database, vault, now) as opened:
        yield opened


async def exchange(site: Site, token: str, proof: str | None = None) -> httpx.Response:
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS, "audience": PRICING}
    headers = {"authorization": basic("catalogue-api", site.secrets["catalogue-api"])}
    return await site.http.post("/oauth/token", data=form, headers=headers | ({} if proof is None else {"dpop": proof}))


@pytest.mark.spec("RFC 9449 §5")
async def test_an_exchanged_token_is_bound_to_the_key_of_who_exchanges(site: Site) -> None:
    sender, service, now = Prover(), Prover(), site.clock.now
    code = await site.code(
        await site.person(), scopes=("openid", "catalogue:read", "pricing:read"), audiences=(PRICING, CATALOGUE)
    )
    form = {"grant_type": "authorization_code", "code": code, "client_id": "web", "redirect_uri": REDIRECT}
    held = await site.http.post(
        "/oauth/token",
        data={**form, "code_verifier": VERIFIER, "resource": CATALOGUE},
        headers={"dpop": sender.proof(now)},
    )
    assert held.status_code == 200, held.text
    proof = service.proof(now)

    first, again = [await exchange(site, held.json()["access_token"], proof) for _ in range(2)]

    assert first.json()["token_type"] == "DPoP"
    assert claims_of(first.json()["access_token"])["cnf"] == {"jkt": service.jkt}
    assert error_of(again) == (400, "invalid_dpop_proof")
