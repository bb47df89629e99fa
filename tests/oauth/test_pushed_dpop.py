"""A code that is bound to a DPoP key from the start: by `dpop_jkt`, or by a proof when it is pushed (RFC 9449 §10)."""

from __future__ import annotations

import httpx
import pytest

from oauth.flow import CHALLENGE, ISSUER, VERIFIER, WEB, Flow, answer_of
from oauth.proofs import Prover

pytestmark = [pytest.mark.anyio, pytest.mark.spec("RFC 9449 §10")]

PAR = f"{ISSUER}/oauth/par"


async def push(flow: Flow, *, proof: str | None = None, **changes: str) -> httpx.Response:
    values = {
        "client_id": "web",
        "response_type": "code",
        "redirect_uri": WEB.redirect_uris[0],
        "scope": "catalogue:read",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    headers = {} if proof is None else {"dpop": proof}
    return await flow.http.post("/oauth/par", data=values, headers=headers)


async def code_of(flow: Flow, uri: str) -> str:
    browser = flow.browser()
    page = await browser.get(str(httpx.URL("/oauth/authorize", params={"client_id": "web", "request_uri": uri})))
    return answer_of(await browser.sign_in(page))["code"]


async def redeem(flow: Flow, code: str, prover: Prover | None) -> httpx.Response:
    headers = {} if prover is None else {"dpop": prover.proof(flow.clock.now)}
    values = {
        "grant_type": "authorization_code",
        "client_id": "web",
        "code": code,
        "redirect_uri": WEB.redirect_uris[0],
        "code_verifier": VERIFIER,
    }
    return await flow.http.post("/oauth/token", data=values, headers=headers)


@pytest.mark.parametrize("way", ["proof", "parameter", "both"])
async def test_only_the_key_that_was_named_trades_the_code(flow: Flow, way: str) -> None:
    prover = Prover()
    proof = prover.proof(flow.clock.now, PAR) if way != "parameter" else None
    named = {"dpop_jkt": prover.jkt} if way != "proof" else {}

    pushed = await push(flow, proof=proof, **named)
    code = await code_of(flow, pushed.json()["request_uri"])
    refused = [await redeem(flow, code, each) for each in (None, Prover())]
    tokens = await redeem(flow, code, prover)

    assert pushed.status_code == 201
    assert [answer.json()["error"] for answer in refused] == ["invalid_grant"] * 2
    assert tokens.json()["token_type"] == "DPoP"


async def test_it_may_be_named_in_the_request_itself(flow: Flow) -> None:
    prover = Prover()
    code = await flow.code(flow.browser(), scope="catalogue:read", dpop_jkt=prover.jkt)

    other = await redeem(flow, code, Prover())
    tokens = await redeem(flow, code, prover)

    assert other.json()["error"] == "invalid_grant"
    assert tokens.json()["token_type"] == "DPoP"


@pytest.mark.spec("RFC 9449 §10.1")
async def test_a_proof_by_another_key_than_named_is_refused(flow: Flow) -> None:
    answer = await push(flow, proof=Prover().proof(flow.clock.now, PAR), dpop_jkt=Prover().jkt)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


async def test_a_proof_for_elsewhere_or_a_second_time_is_refused(flow: Flow) -> None:
    prover = Prover()
    proof = prover.proof(flow.clock.now, PAR)

    elsewhere = await push(flow, proof=prover.proof(flow.clock.now))
    first = await push(flow, proof=proof)
    second = await push(flow, proof=proof)

    assert [a.status_code for a in (elsewhere, first, second)] == [400, 201, 400]
    assert elsewhere.json()["error"] == second.json()["error"] == "invalid_dpop_proof"
