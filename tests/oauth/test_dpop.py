"""DPoP at the token endpoint: every check of a proof, its one use, and what tokens are bound to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc.jwk import OKPKey, RSAKey
from starlette.applications import Starlette

from kronborg.clients.settings import ClientSettings
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.oauth.api import protocol_routes
from kronborg.oauth.dpop import current_nonce
from kronborg.tokens.engine import open_engine
from kronborg.tokens.purge import purge as clean
from oauth.proofs import TOKEN, Prover, malformed, misplaced
from token_site import ISSUER, Site, basic, claims_of, token_site

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        await opened.client("batch")
        await opened.web_client()
        yield opened


async def ask(site: Site, *proofs: str, http: httpx.AsyncClient | None = None, **form: str) -> httpx.Response:
    """Ask for a token by client credentials, or as `form` says, with these DPoP headers."""
    usual = {"grant_type": "client_credentials", "scope": "catalogue:read"}
    headers = [("dpop", proof) for proof in proofs]
    if form:
        usual = form
    else:
        headers.append(("authorization", basic("batch", site.secrets["batch"])))
    return await (http or site.http).post("/oauth/token", data=usual, headers=headers)


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error", "")


@pytest.mark.spec("RFC 9449 §5")
@pytest.mark.spec("RFC 9449 §6.1")
@pytest.mark.parametrize("alg", ["ES256", "Ed25519", "EdDSA", "PS256", "RS256"])
async def test_a_proof_binds_the_access_token_to_its_key(site: Site, alg: str) -> None:
    prover = Prover(alg=alg)
    if alg.startswith("Ed"):
        prover.key = OKPKey.generate_key("Ed25519")
    elif alg.endswith("S256") and alg != "ES256":
        prover.key = RSAKey.generate_key(2048)

    answer = await ask(site, prover.proof(site.clock.now))

    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "DPoP"
    token = answer.json()["access_token"]
    assert claims_of(token)["cnf"] == {"jkt": prover.jkt}
    told = await site.introspect(token)
    assert (told["token_type"], told["cnf"]) == ("DPoP", {"jkt": prover.jkt})


@pytest.mark.spec("RFC 9449 §6.2")
async def test_a_reference_token_is_bound_too(site: Site) -> None:
    prover = Prover()
    form: dict[str, Any] = {"grant_type": "client_credentials", "scope": "cart:read", "client_id": "poster"}
    await site.client("poster", auth_method="client_secret_post")

    answer = await ask(site, prover.proof(site.clock.now), client_secret=site.secrets["poster"], **form)

    assert answer.json()["token_type"] == "DPoP"
    told = await site.introspect(answer.json()["access_token"], auth="cart-api")
    assert (told["token_type"], told["cnf"]) == ("DPoP", {"jkt": prover.jkt})


async def test_without_a_proof_a_token_is_a_bearer_token(site: Site) -> None:
    answer = await ask(site)

    assert answer.json()["token_type"] == "Bearer"
    assert "cnf" not in claims_of(answer.json()["access_token"])


@pytest.mark.spec("RFC 9449 §4.3")
async def test_a_proof_that_is_not_exactly_right_is_refused(site: Site) -> None:
    wrong = {**malformed(site.clock.now), **misplaced(site.clock.now)}

    answers = {name: error_of(await ask(site, proof)) for name, proof in wrong.items()}

    assert answers == dict.fromkeys(wrong, (400, "invalid_dpop_proof"))


@pytest.mark.spec("RFC 9449 §4.3")
async def test_two_headers_are_refused(site: Site) -> None:
    prover = Prover()

    answer = await ask(site, prover.proof(site.clock.now), prover.proof(site.clock.now))

    assert error_of(answer) == (400, "invalid_dpop_proof")


@pytest.mark.spec("RFC 8725 §3.10")
async def test_a_key_that_a_proof_points_to_is_never_looked_at(site: Site) -> None:
    prover = Prover()
    pointers = {"jku": "https://attacker.example/jwks", "x5u": "https://attacker.example/x", "kid": "../../etc/passwd"}

    answer = await ask(site, prover.proof(site.clock.now, header=pointers))

    assert claims_of(answer.json()["access_token"])["cnf"] == {"jkt": prover.jkt}


@pytest.mark.spec("RFC 9449 §4.3")
@pytest.mark.parametrize(
    "htu",
    [
        f"{TOKEN}?a=b",
        f"{TOKEN}#x",
        "HTTP://LOCALHOST:8081/oauth/token",
        "http://localhost:8081/oauth/%74oken",
        "http://localhost:8081/x/../oauth/./token",
    ],
)
async def test_query_fragment_and_spelling_of_the_url_do_not_count(site: Site, htu: str) -> None:
    answer = await ask(site, Prover().proof(site.clock.now, htu=htu))

    assert answer.status_code == 200, answer.text


@pytest.mark.spec("RFC 9449 §11.1")
async def test_a_proof_is_taken_once_on_all_nodes(site: Site, database_url: str, vault: Vault) -> None:
    second = await Database.open(database_url)
    try:
        idle = timedelta(hours=12)
        engine = await open_engine(second, vault, issuer=ISSUER, session_idle=idle, now=site.clock.now)
        node = httpx.ASGITransport(Starlette(routes=protocol_routes(engine, time=site.clock)))
        async with httpx.AsyncClient(transport=node, base_url=ISSUER, trust_env=False) as elsewhere:
            proof = Prover().proof(site.clock.now)

            answers = [await ask(site, proof), await ask(site, proof), await ask(site, proof, http=elsewhere)]
            raced = Prover().proof(site.clock.now)
            race = await asyncio.gather(*(ask(site, raced, http=h) for h in [site.http, elsewhere] * 3))
    finally:
        await second.close()

    assert [error_of(answer) for answer in answers] == [(200, ""), *[(400, "invalid_dpop_proof")] * 2]
    assert sorted(answer.status_code for answer in race) == [200, *[400] * 5]


async def test_the_same_jti_of_another_key_is_another_proof(site: Site) -> None:
    now = site.clock.now

    answers = [await ask(site, Prover().proof(now, jti="one")), await ask(site, Prover().proof(now, jti="one"))]

    assert [answer.status_code for answer in answers] == [200, 200]


async def test_what_was_used_is_forgotten_when_it_is_too_old_to_come_again(site: Site) -> None:
    proof = Prover().proof(site.clock.now)
    await ask(site, proof)
    site.clock.pass_by(minutes=3)

    cleaned = await clean(site.engine, now=site.clock.now)

    assert cleaned >= 1
    assert await site.engine.database.lookup.first("SELECT 1 FROM tokens_proofs") is None
    assert error_of(await ask(site, proof)) == (400, "invalid_dpop_proof")


@pytest.mark.spec("RFC 9449 §5.2")
async def test_a_client_that_always_uses_it_gets_nothing_without(site: Site) -> None:
    await site.client("batch", settings=ClientSettings(dpop_bound_access_tokens=True))

    without, with_proof = await ask(site), await ask(site, Prover().proof(site.clock.now))

    assert error_of(without) == (400, "invalid_dpop_proof")
    assert with_proof.json()["token_type"] == "DPoP"


@pytest.mark.spec("RFC 9449 §5.2")
@pytest.mark.parametrize("name", ["dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens"])
async def test_tokens_that_are_always_bound_are_not_given_in_the_front_channel(site: Site, name: str) -> None:
    bound: dict[str, Any] = {name: True}
    settings = ClientSettings(response_types=("code", "id_token token"), **bound)

    with pytest.raises(Invalid) as refused:
        await site.web_client("spa", settings=settings)

    assert f"settings.{name}" in {problem.where for problem in refused.value.problems}


@pytest.mark.spec("RFC 9449 §8")
async def test_a_nonce_is_asked_for_and_renewed(site: Site) -> None:
    await site.client("batch", settings=ClientSettings(require_dpop_nonce=True))
    prover = Prover()

    first = await ask(site, prover.proof(site.clock.now))
    nonce = first.headers["dpop-nonce"]
    second = await ask(site, prover.proof(site.clock.now, nonce=nonce))
    site.clock.pass_by(seconds=61)
    later = await ask(site, prover.proof(site.clock.now, nonce=nonce))
    site.clock.pass_by(seconds=120)
    late = await ask(site, prover.proof(site.clock.now, nonce=nonce))

    assert error_of(first) == (400, "use_dpop_nonce")
    assert first.headers["cache-control"] == "no-store"
    assert (second.status_code, second.headers["dpop-nonce"]) == (200, nonce)
    # RFC 9449 §8.2: the next one comes along before the old one ends.
    assert later.status_code == 200
    assert later.headers["dpop-nonce"] not in (nonce, "")
    assert error_of(late) == (400, "use_dpop_nonce")


@pytest.mark.spec("RFC 9449 §8")
async def test_an_installation_may_ask_every_client_for_a_nonce(site: Site) -> None:
    engine = replace(site.engine, require_dpop_nonce=True)
    node = httpx.ASGITransport(Starlette(routes=protocol_routes(engine, time=site.clock)))
    async with httpx.AsyncClient(transport=node, base_url=ISSUER, trust_env=False) as http:
        asked = await ask(site, Prover().proof(site.clock.now), http=http)
        proof = Prover().proof(site.clock.now, nonce=asked.headers["dpop-nonce"])
        answer = await ask(site, proof, http=http)
        without = await ask(site, http=http)

    assert error_of(asked) == (400, "use_dpop_nonce")
    assert (answer.status_code, without.json()["token_type"]) == (200, "Bearer")


@pytest.mark.spec("RFC 9449 §8")
async def test_a_nonce_that_is_not_ours_is_refused_even_where_none_is_needed(site: Site) -> None:
    foreign = current_nonce(Vault(bytes(32)), now=site.clock.now)

    answers = [
        await ask(site, Prover().proof(site.clock.now, nonce=nonce)) for nonce in (foreign, "x", "\u00e9", "", 7, ["x"])
    ]

    assert [answer.status_code for answer in answers] == [400] * 6
    assert {answer.json()["error"] for answer in answers} <= {"use_dpop_nonce", "invalid_dpop_proof"}
    ours = current_nonce(site.engine.vault, now=site.clock.now)
    assert (await ask(site, Prover().proof(site.clock.now, nonce=ours))).status_code == 200


async def test_every_node_gives_the_same_nonce(vault: Vault, now: datetime) -> None:
    assert current_nonce(vault, now=now) == current_nonce(Vault(bytes(range(32))), now=now + timedelta(seconds=1))
    assert current_nonce(vault, now=now) != current_nonce(vault, now=now + timedelta(seconds=60))


async def redeem(site: Site, code: str, proof: str | None, **form: str) -> httpx.Response:
    headers = {} if proof is None else {"dpop": proof}
    values = {"grant_type": "authorization_code", "code": code, "client_id": "web", **form}
    usual = {"redirect_uri": "https://app.example/callback", "code_verifier": VERIFIER}
    return await site.http.post("/oauth/token", data={**usual, **values}, headers=headers)


VERIFIER = "a-code-verifier-of-at-least-forty-three-characters"


@pytest.mark.spec("RFC 9449 §5")
async def test_refresh_tokens_of_public_clients_are_bound_to_the_key(site: Site) -> None:
    person, owner, thief = await site.person(), Prover(), Prover()
    now = site.clock.now
    first = await redeem(site, await site.code(person), owner.proof(now))
    refresh = {"grant_type": "refresh_token", "refresh_token": first.json()["refresh_token"], "client_id": "web"}

    stolen = [await ask(site, **refresh), await ask(site, thief.proof(now), **refresh)]
    own = await ask(site, owner.proof(now), **refresh)

    assert [error_of(answer) for answer in stolen] == [(400, "invalid_grant")] * 2
    assert own.status_code == 200, own.text
    assert claims_of(own.json()["access_token"])["cnf"] == {"jkt": owner.jkt}
    next_one = {**refresh, "refresh_token": own.json()["refresh_token"]}
    assert error_of(await ask(site, thief.proof(now), **next_one)) == (400, "invalid_grant")
    assert (await ask(site, owner.proof(now), **next_one)).status_code == 200


@pytest.mark.spec("RFC 9449 §5")
async def test_a_confidential_client_may_change_its_key(site: Site) -> None:
    grants = ("authorization_code", "refresh_token")
    await site.client("server", grants=grants, redirect_uris=("https://app.example/callback",))
    auth, person, now = basic("server", site.secrets["server"]), await site.person(), site.clock.now
    code = await site.code(person, "server")
    values = {"grant_type": "authorization_code", "code": code, "redirect_uri": "https://app.example/callback"}

    first = await site.http.post(
        "/oauth/token",
        data={**values, "code_verifier": VERIFIER},
        headers={"dpop": Prover().proof(now), "authorization": auth},
    )
    other = Prover()
    second = await site.http.post(
        "/oauth/token",
        data={"grant_type": "refresh_token", "refresh_token": first.json()["refresh_token"]},
        headers={"dpop": other.proof(now), "authorization": auth},
    )

    assert second.status_code == 200, second.text
    assert claims_of(second.json()["access_token"])["cnf"] == {"jkt": other.jkt}


@pytest.mark.spec("RFC 9449 §10")
async def test_a_code_that_is_bound_to_a_key_is_traded_by_that_key_only(site: Site) -> None:
    person, owner, now = await site.person(), Prover(), site.clock.now
    code = await site.code(person, jkt=owner.jkt)

    wrong = [await redeem(site, code, None), await redeem(site, code, Prover().proof(now))]
    right = await redeem(site, code, owner.proof(now))

    assert [error_of(answer) for answer in wrong] == [(400, "invalid_grant")] * 2
    assert right.status_code == 200, right.text


async def test_a_used_proof_costs_neither_code_nor_refresh_token(site: Site) -> None:
    person, owner, now = await site.person(), Prover(), site.clock.now
    code, used = await site.code(person), owner.proof(now)
    await ask(site, used)

    replayed = await redeem(site, code, used)
    fresh = await redeem(site, code, owner.proof(now))
    form = {"grant_type": "refresh_token", "refresh_token": fresh.json()["refresh_token"], "client_id": "web"}
    again = await ask(site, used, **form)
    rotated = await ask(site, owner.proof(now), **form)

    assert error_of(replayed) == error_of(again) == (400, "invalid_dpop_proof")
    assert (fresh.status_code, rotated.status_code) == (200, 200)


async def test_a_refused_request_does_not_use_its_proof_up(site: Site) -> None:
    person, owner = await site.person(), Prover()
    code, proof = await site.code(person), owner.proof(site.clock.now)

    wrong = await redeem(site, code, proof, code_verifier="w" * 43)
    right = await redeem(site, code, proof)

    assert (wrong.status_code, right.status_code) == (400, 200)


async def test_scripts_may_send_a_proof_and_read_the_nonce(site: Site) -> None:
    await site.web_client("spa", web_origins=("https://spa.example",))
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "dpop"}

    preflight = await site.http.options("/oauth/token", headers={"origin": "https://spa.example", **asked})
    answer = await site.http.post("/oauth/token", headers={"origin": "https://spa.example"}, data={"a": "b"})

    assert "dpop" in preflight.headers["access-control-allow-headers"].split(", ")
    assert "dpop-nonce" in answer.headers["access-control-expose-headers"].split(", ")
