"""ID tokens and userinfo in the form that each client registered, and pairwise subjects."""

import hashlib
from dataclasses import replace
from typing import Any

import orjson
import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, RSAKey

from kronborg.clients.register import save_client
from kronborg.clients.settings import ClientSettings, SigningAlgorithm
from kronborg.core.base64url import b64
from kronborg.core.errors import Invalid
from kronborg.core.jose import parse, public_key, verify
from kronborg.tokens.codes import grant_of
from kronborg.tokens.id_token import id_token
from kronborg.tokens.model import Authorization, GrantDetails
from oauth.flow import USERINFO, WEB, Flow, answer_of, is_sign_in
from token_site import claims_of

pytestmark = pytest.mark.anyio

OTHER = replace(WEB, id="other", name="Other", redirect_uris=("https://other.example/callback",))
NEIGHBOUR = replace(WEB, id="neighbour", name="Neighbour", redirect_uris=("https://web.example/neighbour",))
ENCRYPTIONS = ["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW", "A128CBC-HS256", "A256GCM"]
PAIRWISE = ClientSettings(subject_type="pairwise")


async def verified(flow: Flow, token: str, typ: str = "jwt") -> dict[str, Any]:
    """The claims of a JWT that a key of the JWKS signed."""
    keys = (await flow.http.get("/oauth/jwks")).json()["keys"]
    verify(parse(token), [public_key(key) for key in keys if key["use"] == "sig"], types=(typ,))
    return dict(parse(token).claims)


@pytest.mark.spec("OIDC Registration §2")
@pytest.mark.spec("OIDC Core §3.1.3.6")
@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [("ES256", "sha256"), ("RS256", "sha256"), ("PS256", "sha256"), ("Ed25519", "sha512"), ("EdDSA", "sha512")],
)
async def test_a_client_gets_its_id_tokens_signed_as_it_registered(
    flow: Flow, algorithm: SigningAlgorithm, digest: str
) -> None:
    await flow.client(WEB, settings=ClientSettings(id_token_signed_response_alg=algorithm))

    tokens = await flow.tokens(flow.browser())

    claims = await verified(flow, tokens["id_token"])
    half = hashlib.new(digest, tokens["access_token"].encode()).digest()
    assert parse(tokens["id_token"]).header["alg"] == algorithm
    assert claims["at_hash"] == b64(half[: len(half) // 2])
    assert (claims["aud"], claims["nonce"]) == ("web", "nonce-1")


@pytest.mark.spec("OIDC Core §16.14")
@pytest.mark.parametrize("kind", ["EC", "RSA"])
async def test_an_id_token_may_be_encrypted_to_the_client(flow: Flow, kind: str) -> None:
    key = ECKey.generate_key("P-256", {"use": "enc"}) if kind == "EC" else RSAKey.generate_key(2048, {"use": "enc"})
    settings = ClientSettings(id_token_encrypted_response_alg="ECDH-ES" if kind == "EC" else "RSA-OAEP-256")
    await flow.client(WEB, settings=settings, jwks={"keys": [key.as_dict(private=False)]})

    token = (await flow.tokens(flow.browser()))["id_token"]

    opened = jwe.decrypt_compact(token, key, algorithms=ENCRYPTIONS)
    assert (opened.headers()["enc"], opened.headers()["cty"]) == ("A128CBC-HS256", "JWT")
    assert (await verified(flow, (opened.plaintext or b"").decode()))["aud"] == "web"


@pytest.mark.spec("OIDC Core §3.1.2.1")
async def test_an_encrypted_id_token_comes_back_as_a_hint_encrypted_to_us(flow: Flow) -> None:
    browser = flow.browser()
    hint = (await flow.tokens(browser))["id_token"]
    [jwk] = [key for key in (await flow.http.get("/oauth/jwks")).json()["keys"] if key["use"] == "enc"]
    header = {"alg": "ECDH-ES", "enc": "A128GCM", "cty": "JWT", "kid": jwk["kid"]}
    sealed = jwe.encrypt_compact(header, hint, ECKey.import_key(jwk), algorithms=[*ENCRYPTIONS, "A128GCM"])

    answer = await flow.authorize(browser, id_token_hint=sealed, prompt="none")

    assert "code" in answer_of(answer)


@pytest.mark.spec("OIDC Core §5.3.2")
@pytest.mark.spec("RFC 8725 §3.11")
async def test_userinfo_may_be_signed_and_is_not_taken_for_an_id_token(flow: Flow) -> None:
    await flow.client(WEB, settings=ClientSettings(userinfo_signed_response_alg="RS256"))
    browser = flow.browser()
    tokens = await flow.tokens(browser, scope="openid profile")

    answer = await flow.userinfo(tokens["access_token"])

    assert answer.headers["content-type"] == "application/jwt"
    claims = await verified(flow, answer.text, "userinfo+jwt")
    assert (claims["iss"], claims["aud"]) == ("http://localhost:8081", "web")
    assert (claims["sub"], claims["preferred_username"]) == (claims_of(tokens["id_token"])["sub"], "ada")
    as_hint = answer_of(await flow.authorize(browser, id_token_hint=answer.text, prompt="none"))
    assert "code" not in as_hint


@pytest.mark.spec("OIDC Core §5.3.2")
@pytest.mark.parametrize("signed", [True, False])
async def test_userinfo_may_be_encrypted(flow: Flow, signed: bool) -> None:
    key = ECKey.generate_key("P-256", {"use": "enc"})
    settings = ClientSettings(
        userinfo_signed_response_alg="ES256" if signed else None,
        userinfo_encrypted_response_alg="ECDH-ES+A256KW",
        userinfo_encrypted_response_enc="A256GCM",
    )
    await flow.client(WEB, settings=settings, jwks={"keys": [key.as_dict(private=False)]})
    tokens = await flow.tokens(flow.browser(), scope="openid profile")

    answer = await flow.userinfo(tokens["access_token"])

    assert answer.headers["content-type"] == "application/jwt"
    opened = jwe.decrypt_compact(answer.text, key, algorithms=ENCRYPTIONS)
    inside = (opened.plaintext or b"").decode()
    claims = await verified(flow, inside, "userinfo+jwt") if signed else orjson.loads(inside)
    assert claims["preferred_username"] == "ada"
    assert ("cty" in opened.headers()) is signed


@pytest.mark.spec("OIDC Core §3.3.2.11")
async def test_hashes_bind_an_id_token_to_what_stands_beside_it(flow: Flow) -> None:
    client = await flow.client(WEB)
    user = await flow.person("grace")
    details = GrantDetails(acr="urn:kronborg:acr:password", claims={"id_token": ["email", "name"]})
    authorization = Authorization(
        "web",
        user.id,
        "session-1",
        ("openid", "profile"),
        (USERINFO,),
        None,
        None,
        None,
        flow.clock.now,
        details=details,
    )
    grant = grant_of(authorization, expires_at=flow.clock.now, now=flow.clock.now)

    token = await id_token(
        flow.engine, client, grant, now=flow.clock.now, code="the-code", state="the-state", alone=True
    )

    claims = await verified(flow, token)
    for name, text in (("c_hash", b"the-code"), ("s_hash", b"the-state")):
        assert claims[name] == b64(hashlib.sha256(text).digest()[:16])
    assert "at_hash" not in claims
    # §5.4: without an access token, it says itself what the scopes are about; §5.5: and what was asked for by name.
    assert claims["preferred_username"] == "grace"
    assert claims["acr"] == "urn:kronborg:acr:password"
    assert "email" in claims


@pytest.mark.spec("OIDC Core §8.1")
async def test_pairwise_subjects_differ_by_sector_and_are_the_same_everywhere_in_one(flow: Flow) -> None:
    for client in (WEB, OTHER, NEIGHBOUR):
        await flow.client(client, settings=PAIRWISE)
    browser = flow.browser()

    web, other, neighbour = [await flow.tokens(browser, client) for client in (WEB, OTHER, NEIGHBOUR)]

    subjects = [claims_of(tokens["id_token"])["sub"] for tokens in (web, other, neighbour)]
    assert subjects[0] == subjects[2] != subjects[1]
    assert all(subject.startswith("p:") and len(subject) <= 255 for subject in subjects)
    second = (await flow.refresh(web["refresh_token"])).json()
    assert claims_of(second["id_token"])["sub"] == subjects[0]
    assert claims_of(second["id_token"])["auth_time"] == claims_of(web["id_token"])["auth_time"]


@pytest.mark.spec("OIDC Core §8")
@pytest.mark.spec("RFC 9068 §6")
async def test_a_pairwise_client_never_sees_the_user_id_and_an_api_with_reference_tokens_does(flow: Flow) -> None:
    await flow.client(WEB, settings=PAIRWISE)
    user = await flow.person("grace")
    tokens = await flow.tokens(
        flow.browser(),
        username="grace",
        scope="openid catalogue:read cart:read",
        resource="https://shop.example/catalogue",
    )
    subject = claims_of(tokens["id_token"])["sub"]

    cart = (await flow.refresh(tokens["refresh_token"], resource="https://shop.example/catalogue")).json()
    for_userinfo = await flow.tokens(flow.browser(), username="grace", scope="openid profile")
    shown = (await flow.userinfo(for_userinfo["access_token"])).json()

    assert subject != user.id
    for token in (tokens["access_token"], cart["access_token"], for_userinfo["access_token"]):
        assert claims_of(token)["sub"] == subject
    assert shown["sub"] == subject
    assert (await flow.introspect(tokens["access_token"]))["sub"] == subject


async def test_an_api_with_reference_tokens_learns_the_user_id(flow: Flow) -> None:
    await flow.client(WEB, settings=PAIRWISE)
    user = await flow.person("grace")

    tokens = await flow.tokens(
        flow.browser(), username="grace", scope="openid cart:read", resource="https://shop.example/cart"
    )

    assert (await flow.introspect(tokens["access_token"]))["sub"] == user.id


@pytest.mark.spec("OIDC Core §8")
async def test_a_pairwise_id_token_is_a_hint_about_its_person(flow: Flow) -> None:
    await flow.client(WEB, settings=PAIRWISE)
    await flow.person("grace")
    browser = flow.browser()
    mine = (await flow.tokens(browser))["id_token"]
    hers = (await flow.tokens(flow.browser(), username="grace"))["id_token"]

    about_me = await flow.authorize(browser, id_token_hint=mine, prompt="none")
    about_her = await flow.authorize(browser, id_token_hint=hers)

    assert "code" in answer_of(about_me)
    assert is_sign_in(about_her)


@pytest.mark.spec("OIDC Core §8.1")
async def test_several_hosts_need_a_sector_identifier(flow: Flow) -> None:
    several = replace(
        WEB, redirect_uris=("https://a.example/cb", "https://b.example/cb"), settings=PAIRWISE, id="several"
    )
    settled = replace(several, settings=replace(PAIRWISE, sector_identifier_uri="https://a.example/sector.json"))

    async with flow.database.write() as session:
        with pytest.raises(Invalid) as refused:
            await save_client(session, several, actor="test", now=flow.clock.now)
        await save_client(session, settled, actor="test", now=flow.clock.now)

    assert [problem.where for problem in refused.value.problems] == ["settings.subject_type"]


async def test_encryption_without_a_fitting_key_is_refused_at_registration(flow: Flow) -> None:
    rsa = RSAKey.generate_key(2048, {"use": "enc"}).as_dict(private=False)
    wishes = (
        (None, ClientSettings(id_token_encrypted_response_alg="ECDH-ES"), "settings.id_token_encrypted_response_alg"),
        (
            {"keys": [rsa]},
            ClientSettings(userinfo_encrypted_response_alg="ECDH-ES"),
            "settings.userinfo_encrypted_response_alg",
        ),
        (None, ClientSettings(id_token_encrypted_response_enc="A256GCM"), "settings.id_token_encrypted_response_enc"),
        (None, ClientSettings(refresh_token_idle=59), "settings.refresh_token_idle"),
    )
    for jwks, settings, where in wishes:
        with pytest.raises(Invalid) as refused:
            await flow.client(WEB, jwks=jwks, settings=settings)

        assert [problem.where for problem in refused.value.problems] == [where]


@pytest.mark.spec("OIDC Core §5.5")
async def test_claims_asked_for_by_name_stand_where_they_were_asked_for(flow: Flow) -> None:
    asked = {"id_token": {"name": None, "acr": {"essential": True}}, "userinfo": {"preferred_username": None}}
    browser = flow.browser()

    tokens = await flow.tokens(browser, scope="openid", claims=orjson.dumps(asked).decode())
    again = (await flow.refresh(tokens["refresh_token"])).json()
    shown = (await flow.userinfo(tokens["access_token"])).json()

    told = claims_of(tokens["id_token"])
    assert set(shown) == {"sub", "preferred_username"}
    assert "preferred_username" not in told
    assert told["name"]
    assert {name: claims_of(again["id_token"])[name] for name in ("name", "sub", "auth_time")} == {
        name: told[name] for name in ("name", "sub", "auth_time")
    }


@pytest.mark.spec("RFC 9470 §6.2")
@pytest.mark.spec("RFC 9068 §2.2.1")
async def test_an_access_token_tells_how_strongly_its_person_signed_in_when_that_was_asked_for(flow: Flow) -> None:
    wanted = "urn:kronborg:acr:password"

    tokens = await flow.tokens(
        flow.browser(), acr_values=wanted, scope="openid catalogue:read", resource="https://shop.example/catalogue"
    )
    plain = await flow.tokens(flow.browser())

    access = claims_of(tokens["access_token"])
    assert (access["acr"], access["auth_time"]) == (wanted, claims_of(tokens["id_token"])["auth_time"])
    assert (await flow.introspect(tokens["access_token"]))["acr"] == wanted
    assert "acr" not in claims_of(plain["access_token"])


async def test_a_code_is_not_spent_when_the_id_token_cannot_be_encrypted(flow: Flow) -> None:
    code = await flow.code(flow.browser())
    unreachable = ClientSettings(jwks_uri="https://127.0.0.1:1/jwks", id_token_encrypted_response_alg="ECDH-ES")
    await flow.client(WEB, settings=unreachable)
    failed = await flow.exchange(code)
    await flow.client(WEB)

    assert (failed.status_code, failed.json()["error"]) == (400, "invalid_request")
    assert (await flow.exchange(code)).status_code == 200
