"""Bound tokens where they are used: at userinfo by their key alone, never as bearer tokens."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from kronborg.clients.settings import ClientSettings
from oauth.flow import ISSUER, USERINFO, VERIFIER, WEB, Flow
from oauth.proofs import Prover

pytestmark = pytest.mark.anyio


async def bound_token(flow: Flow, prover: Prover, scope: str = "openid profile") -> str:
    code = await flow.code(flow.browser(), WEB, scope=scope)
    form = {"grant_type": "authorization_code", "code": code, "client_id": WEB.id, "code_verifier": VERIFIER}
    answer = await flow.http.post(
        "/oauth/token",
        data={**form, "redirect_uri": WEB.redirect_uris[0]},
        headers={"dpop": prover.proof(flow.clock.now)},
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def userinfo(flow: Flow, token: str, proof: str | None, scheme: str = "DPoP") -> httpx.Response:
    headers = {"authorization": f"{scheme} {token}"} | ({} if proof is None else {"dpop": proof})
    return await flow.http.get("/oauth/userinfo", headers=headers)


@pytest.mark.spec("RFC 9449 §7.1")
async def test_the_holder_of_the_key_is_answered_once_for_each_proof(flow: Flow) -> None:
    prover = Prover()
    token = await bound_token(flow, prover)
    proof = prover.proof(flow.clock.now, USERINFO, "GET", token=token)

    first, again = await userinfo(flow, token, proof), await userinfo(flow, token, proof, "dpop")

    assert first.status_code == 200, first.text
    assert first.json()["preferred_username"] == "ada"
    assert (again.status_code, again.json()["error"]) == (401, "invalid_dpop_proof")


@pytest.mark.spec("RFC 9449 §7.2")
@pytest.mark.spec("RFC 9449 §4.3")
async def test_a_bound_token_is_worth_nothing_without_its_key(flow: Flow) -> None:
    prover, thief = Prover(), Prover()
    token, other, now = await bound_token(flow, prover), await bound_token(flow, prover), flow.clock.now

    def by(who: Prover = prover, url: str = USERINFO, method: str = "GET", of: str | None = token) -> str:
        return who.proof(now, url, method, token=of)

    answers = {
        "as a bearer token": await userinfo(flow, token, None, "Bearer"),
        "as a bearer token with a proof": await userinfo(flow, token, by(), "Bearer"),
        "in a form": await flow.http.post("/oauth/userinfo", data={"access_token": token}, headers={"dpop": by()}),
        "without a proof": await userinfo(flow, token, None),
        "by another key": await userinfo(flow, token, by(thief)),
        "without ath": await userinfo(flow, token, by(of=None)),
        "for another token": await userinfo(flow, token, by(of=other)),
        "for another method": await userinfo(flow, token, by(method="POST")),
        "for another URL": await userinfo(flow, token, by(url=f"{ISSUER}/oauth/token")),
        "ath as a list": await userinfo(flow, token, prover.proof(now, USERINFO, "GET", ath=[token])),
    }

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 401)
    for answer in answers.values():
        assert 'algs="ES256' in answer.headers["www-authenticate"]
    assert answers["as a bearer token"].headers["www-authenticate"].startswith("Bearer ")
    assert answers["by another key"].json()["error"] == "invalid_token"
    assert answers["without ath"].headers["www-authenticate"].startswith('DPoP error="invalid_dpop_proof"')


@pytest.mark.spec("RFC 9449 §7.1")
async def test_a_bearer_token_is_not_taken_as_a_bound_one(flow: Flow) -> None:
    token = (await flow.tokens(flow.browser(), WEB, scope="openid"))["access_token"]

    answer = await userinfo(flow, token, Prover().proof(flow.clock.now, USERINFO, "GET", token=token))

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


@pytest.mark.spec("RFC 9449 §9")
async def test_userinfo_asks_for_a_nonce_too(flow: Flow) -> None:
    prover = Prover()
    token = await bound_token(flow, prover)
    await flow.client(replace(WEB, settings=ClientSettings(require_dpop_nonce=True)))

    asked = await userinfo(flow, token, prover.proof(flow.clock.now, USERINFO, "GET", token=token))
    nonce = asked.headers["dpop-nonce"]
    proof = prover.proof(flow.clock.now, USERINFO, "GET", token=token, nonce=nonce)
    answer = await userinfo(flow, token, proof)

    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith('DPoP error="use_dpop_nonce"')
    assert (answer.status_code, answer.headers["dpop-nonce"]) == (200, nonce)


async def test_two_credentials_at_once_are_refused(flow: Flow) -> None:
    prover = Prover()
    token = await bound_token(flow, prover)
    proof = prover.proof(flow.clock.now, USERINFO, "GET", token=token)
    twice = [("authorization", f"DPoP {token}"), ("authorization", f"Bearer {token}"), ("dpop", proof)]

    answer = await flow.http.get("/oauth/userinfo", headers=twice)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.spec("RFC 9449 §5.1")
async def test_the_metadata_names_the_algorithms(flow: Flow) -> None:
    document = (await flow.http.get("/.well-known/openid-configuration")).json()

    assert {"ES256", "Ed25519"} <= set(document["dpop_signing_alg_values_supported"])
    assert not {"none", "HS256"} & set(document["dpop_signing_alg_values_supported"])
