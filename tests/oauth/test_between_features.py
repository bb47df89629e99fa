"""What one feature must not open in another: profiles and pushed tokens, pairwise subjects and hints, and more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from joserfc.jwk import RSAKey

from kronborg.clients.directory import Directory
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import save_api
from kronborg.clients.settings import ApiSettings, ClientSettings, Profile
from kronborg.core.jose import parse
from kronborg.core.json import JsonValue
from kronborg.tokens.revoke import revoke_grants
from oauth.ciba_flow import BANK, ask
from oauth.exchange_flow import ACCESS, JWT
from oauth.exchange_flow import GRANT as EXCHANGE
from oauth.flow import CART, CATALOGUE, ISSUER, RESOURCE_SERVER, WEB, WISH_LIST, Flow, answer_of
from oauth.proofs import Prover
from oauth.registration.registering import initial_token, register
from oauth.signing import jwks_of, request_claims, sign
from oauth.test_fapi2 import bank
from oauth.test_jwt_bearer import BRIDGE, bring, trust, vouch

pytestmark = pytest.mark.anyio

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
PAYMENT = [{"type": "payment", "actions": ["initiate"]}]


async def knowing_payments(flow: Flow, **settings: Any) -> None:
    """The catalogue knows payments."""
    known = tuple(Scope(f"catalogue:{verb}", verb) for verb in ("read", "write"))
    draft = ApiDraft(
        CATALOGUE,
        "Catalogue",
        known,
        token_format="reference",
        settings=ApiSettings(authorization_details_types=("payment",), **settings),
    )
    async with flow.database.write() as session:
        await save_api(session, draft, actor="test", now=flow.clock.now)


@pytest.mark.spec("OIDC Core §8")
async def test_a_pairwise_client_cannot_ask_whether_a_user_id_is_the_person_here(flow: Flow) -> None:
    ada = await flow.site.person("grace")
    await flow.client(WISH_LIST, first_party=True, settings=ClientSettings(subject_type="pairwise"))
    browser = flow.browser()
    own = parse((await flow.tokens(browser, WISH_LIST, username="grace"))["id_token"]).claims["sub"]

    async def asked(subject: object) -> dict[str, str]:
        claims = orjson.dumps({"id_token": {"sub": {"value": subject}}}).decode()
        return answer_of(await flow.authorize(browser, WISH_LIST, prompt="none", claims=claims))

    assert "code" in await asked(own)
    assert (await asked(ada.id))["error"] == "login_required"


@pytest.mark.parametrize("profile", ["fapi2-security", "fapi2-message-signing"])
@pytest.mark.spec("FAPI 2.0 SP §5.3.2.1")
async def test_no_unbound_token_is_pushed_under_fapi(flow: Flow, profile: Profile) -> None:
    settings = ClientSettings(
        backchannel_token_delivery_mode="push",
        backchannel_client_notification_endpoint="https://bank.example/notice",
    )
    held = Directory(flow.database, profile)
    await flow.client(replace(BANK, auth_method="private_key_jwt", jwks=bank(profile).jwks, settings=settings))

    client = await held.client("bank", now=flow.clock.now)

    assert client is not None
    assert client.disabled


@pytest.mark.spec("FAPI 2.0 SP §5.4.1")
async def test_weak_signatures_are_refused_under_fapi_wherever_a_client_signs(flow: Flow) -> None:
    key = RSAKey.generate_key(2048, {"kid": "one"})
    await flow.client(replace(bank("fapi2-message-signing"), jwks=jwks_of(key)))
    claims = request_claims(flow, "bank", "https://bank.example/callback", response_mode="jwt")
    now = flow.clock.now

    async def push(alg: str, proof: Prover) -> Any:
        said = int(now.timestamp())
        who = {"iss": "bank", "sub": "bank", "aud": ISSUER, "iat": said, "exp": said + 60}
        form = {
            "client_assertion": sign(
                key, {**who, "jti": f"assertion-{alg}-{proof.alg}"}, alg="PS256", typ="client-authentication+jwt"
            ),
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "request": sign(key, claims, alg=alg),
        }
        headers = {"dpop": proof.proof(now, f"{ISSUER}/oauth/par")}
        return await flow.http.post("/oauth/par", data=form, headers=headers)

    strong = await push("PS256", Prover(key, "PS256"))
    weak_request = await push("RS256", Prover(key, "PS256"))
    weak_proof = await push("PS256", Prover(key, "RS256"))

    assert strong.status_code == 201, strong.text
    assert (weak_request.status_code, weak_request.json()["error"]) == (400, "invalid_request_object")
    assert (weak_proof.status_code, weak_proof.json()["error"]) == (400, "invalid_dpop_proof")


async def test_what_an_api_is_told_of_a_person_its_clients_are_not(flow: Flow) -> None:
    await knowing_payments(flow, claims={"email": "email", "user": "username"})
    await flow.client(WISH_LIST, first_party=True)
    token = (await flow.tokens(flow.browser(), WISH_LIST, scope="catalogue:read"))["access_token"]

    of_api, of_client = await flow.introspect(token), await flow.introspect(token, WISH_LIST)

    assert of_api["user"] == "ada"
    assert of_client["active"] is True
    assert "user" not in of_client


@pytest.mark.spec("RFC 9396 §5")
async def test_who_registered_itself_gets_no_details_for_itself(flow: Flow) -> None:
    await knowing_payments(flow)
    token = await initial_token(flow, grants=("client_credentials",), auth_methods=("client_secret_basic",))
    metadata = {
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["client_credentials"],
        "redirect_uris": [],
        "authorization_details_types": ["payment"],
    }
    made = (await register(flow, token.text, **metadata)).json()

    answer = await flow.http.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "authorization_details": orjson.dumps(PAYMENT).decode()},
        auth=(made["client_id"], made["client_secret"]),
    )

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details"), answer.text


@pytest.mark.spec("RFC 8707 §2")
async def test_who_always_names_the_resource_does_so_in_every_flow(flow: Flow) -> None:
    strict = ClientSettings(require_resource=True)
    till = replace(BANK, id="strict-till", settings=strict)
    tv = ClientDraft(
        "strict-tv", "TV", kind="public", auth_method="none", grants=(DEVICE,), scopes=BANK.scopes, settings=strict
    )
    await flow.client(tv)

    backchannel = await ask(flow, till)
    named = await ask(flow, till, resource=CATALOGUE)
    device = await flow.call("/oauth/device_authorization", tv, scope="openid catalogue:read")

    assert (backchannel.status_code, backchannel.json()["error"]) == (400, "invalid_target")
    assert named.status_code == 200, named.text
    assert (device.status_code, device.json()["error"]) == (400, "invalid_target")


async def test_a_person_is_asked_only_so_often_from_however_many_addresses(flow: Flow) -> None:
    answers = []
    for number in range(8):
        flow.http._transport.client = (f"192.0.2.{number}", 1234)  # type: ignore[attr-defined]  # ASGI transport
        answers.append((await ask(flow)).status_code)

    assert answers == [200] * 5 + [429] * 3


@pytest.mark.spec("OIDC Core §8")
async def test_the_feed_ends_the_tokens_of_a_pairwise_client_with_their_person(flow: Flow) -> None:
    await flow.client(WISH_LIST, first_party=True, settings=ClientSettings(subject_type="pairwise"))
    grace = await flow.site.person("grace")
    tokens = await flow.tokens(flow.browser(), WISH_LIST, username="grace", scope="openid catalogue:read")
    claims = parse(tokens["access_token"]).claims

    await revoke_grants(flow.engine, user_id=grace.id, actor="test", reason="test", now=flow.clock.now)

    sql = "SELECT kind, subject FROM tokens_feed"
    told = {(str(kind), str(subject)) for kind, subject in await flow.database.lookup.all(sql)}
    assert {("user", claims["sub"]), ("grant", claims["gid"])} & told


@pytest.mark.spec("RFC 8693 §4.4")
async def test_whom_an_issuer_names_alone_may_act_whichever_way_the_assertion_goes(flow: Flow) -> None:
    await trust(flow)

    async def traded(token: str, kind: str) -> tuple[int, JsonValue]:
        form = {"subject_token": token, "subject_token_type": kind, "audience": CATALOGUE}
        answer = await flow.token(BRIDGE, grant_type=EXCHANGE, **form)
        return answer.status_code, answer.json().get("error_description")

    by_name = await traded(vouch(flow, may_act={"sub": "bridge"}), JWT)
    of_another = await traded(vouch(flow, may_act={"sub": "another"}), JWT)
    token = (await bring(flow, vouch(flow, may_act={"sub": "another"}))).json()["access_token"]
    round_about = await traded(token, ACCESS)

    refused = (400, "the subject_token names another party that may act for its subject")
    assert by_name == (200, None)
    assert (of_another, round_about) == (refused, refused)


async def test_what_was_taken_from_a_client_nobody_gets_by_way_of_it(flow: Flow) -> None:
    settings = ClientSettings(exchange_audiences=(CART,), may_impersonate=True)
    trader = ClientDraft(
        "trader", "Trader", grants=(EXCHANGE,), audiences=(CATALOGUE,), scopes=("cart:read",), settings=settings
    )
    await flow.client(trader)
    code = await flow.code(flow.browser(), scope="catalogue:read cart:read", resource=(CATALOGUE, CART))
    tokens = (await flow.exchange(code, resource=CATALOGUE)).json()
    form = {"subject_token": tokens["access_token"], "subject_token_type": ACCESS, "audience": CART}

    before = await flow.token(trader, grant_type=EXCHANGE, scope="cart:read", **form)
    await flow.client(WEB, scopes=tuple(scope for scope in WEB.scopes if scope != "cart:read"))
    flow.clock.pass_by(seconds=1)
    after = await flow.token(trader, grant_type=EXCHANGE, scope="cart:read", **form)

    assert before.status_code == 200, before.text
    assert (after.status_code, after.json()["error"]) == (400, "invalid_scope")


@pytest.mark.spec("RFC 9396 §7")
async def test_an_exchange_tells_the_authorization_details_of_its_token(flow: Flow) -> None:
    await knowing_payments(flow)
    await flow.client(WEB, settings=ClientSettings(authorization_details_types=("payment",)))
    await flow.client(
        RESOURCE_SERVER,
        grants=(EXCHANGE,),
        scopes=("catalogue:read",),
        settings=ClientSettings(may_impersonate=True),
    )
    details = orjson.dumps(PAYMENT).decode()
    tokens = await flow.tokens(flow.browser(), scope="catalogue:read", authorization_details=details)

    form = {"subject_token": tokens["access_token"], "subject_token_type": ACCESS}
    answer = (await flow.token(RESOURCE_SERVER, grant_type=EXCHANGE, **form)).json()

    assert (answer["authorization_details"], answer["issued_token_type"]) == (PAYMENT, ACCESS)
