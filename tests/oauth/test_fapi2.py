"""The FAPI 2.0 profiles from the first request to the last: what goes through, and what is refused at each step."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest
from joserfc.jwk import ECKey

from kronborg.clients.model import ClientDraft
from kronborg.clients.settings import ClientSettings, Profile
from kronborg.core.ids import token_id
from kronborg.core.jose import parse
from kronborg.core.json import JsonObject
from oauth.flow import CATALOGUE, CHALLENGE, ISSUER, RESOURCE_SERVER, VERIFIER, Flow, answer_of, is_consent
from oauth.proofs import Prover
from oauth.signing import ec_key, jwks_of, request_claims, sign

pytestmark = [pytest.mark.anyio, pytest.mark.spec("FAPI 2.0 SP §5.3.2.1"), pytest.mark.spec("FAPI 2.0 SP §5.3.2.2")]

KEY: ECKey = ec_key()
SIGNED = "application/token-introspection+jwt"
CALLBACK = "https://bank.example/callback"


def bank(profile: Profile) -> ClientDraft:
    return ClientDraft(
        "bank",
        "Bank",
        auth_method="private_key_jwt",
        jwks=jwks_of(KEY),
        redirect_uris=(CALLBACK,),
        grants=("authorization_code", "refresh_token"),
        scopes=("openid", "offline_access", "catalogue:read"),
        first_party=True,
        settings=ClientSettings(profile=profile),
    )


class Bank:
    """A client that does everything as the profile says, unless it is told otherwise."""

    def __init__(self, flow: Flow, prover: Prover) -> None:
        self.flow, self.prover = flow, prover

    async def call(self, path: str, values: Mapping[str, str | None], *, bound: bool = False) -> httpx.Response:
        now = self.flow.clock.now
        said = int(now.timestamp())
        claims = {"iss": "bank", "sub": "bank", "aud": ISSUER, "iat": said, "exp": said + 60, "jti": token_id()}
        form = {
            "client_assertion": sign(KEY, claims, typ="client-authentication+jwt"),
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            **{name: value for name, value in values.items() if value is not None},
        }
        headers = {"dpop": self.prover.proof(now)} if bound else {"accept": f"{SIGNED}, application/json"}
        return await self.flow.http.post(path, data=form, headers=headers)

    async def push(self, **changes: str | None) -> httpx.Response:
        usual: dict[str, str | None] = {
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "openid offline_access catalogue:read",
            "state": "state-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return await self.call("/oauth/par", {**usual, **changes})

    async def answer(self, pushed: httpx.Response) -> httpx.Response:
        """What the browser brings back."""
        assert pushed.status_code == 201, pushed.text
        values = {"client_id": "bank", "request_uri": pushed.json()["request_uri"]}
        browser = self.flow.browser()
        page = await browser.sign_in(await browser.get(str(httpx.URL("/oauth/authorize", params=values))))
        return await browser.press(page, "allow") if is_consent(page) else page

    async def redeem(self, code: str, *, bound: bool = True, **changes: str | None) -> httpx.Response:
        usual = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return await self.call("/oauth/token", {**usual, "code": code, **changes}, bound=bound)

    async def refresh(self, token: str, *, bound: bool = True) -> httpx.Response:
        return await self.call("/oauth/token", {"grant_type": "refresh_token", "refresh_token": token}, bound=bound)


async def opened(flow: Flow, profile: Profile) -> Bank:
    await flow.client(bank(profile))
    return Bank(flow, Prover())


async def test_the_whole_way_under_the_security_profile(flow: Flow) -> None:
    client = await opened(flow, "fapi2-security")

    given = answer_of(await client.answer(await client.push()))
    tokens = (await client.redeem(given["code"])).json()
    flow.clock.pass_by(minutes=5)
    refreshed = await client.refresh(tokens["refresh_token"])
    once_more = await client.refresh(tokens["refresh_token"])

    assert (given["state"], given["iss"]) == ("state-1", ISSUER)
    assert tokens["token_type"] == "DPoP"
    assert parse(tokens["access_token"]).claims["cnf"] == {"jkt": client.prover.jkt}
    assert [answer.status_code for answer in (refreshed, once_more)] == [200, 200]
    assert "refresh_token" not in refreshed.json()


async def test_what_the_security_profile_refuses(flow: Flow) -> None:
    client = await opened(flow, "fapi2-security")

    direct = await flow.authorize(flow.browser(), bank("fapi2-security"), scope="catalogue:read")
    without_redirect = await client.push(redirect_uri=None, scope="catalogue:read")
    without_pkce = await client.push(code_challenge=None, code_challenge_method=None)
    hybrid = await client.push(response_type="code id_token", nonce="n")
    code = answer_of(await client.answer(await client.push()))["code"]
    unbound = await client.redeem(code, bound=False)
    tokens = (await client.redeem(code)).json()
    bare = await client.refresh(tokens["refresh_token"], bound=False)
    by_secret = await flow.http.post("/oauth/par", data={"client_id": "bank", "client_secret": "x" * 40})

    assert answer_of(direct)["error"] == "invalid_request"
    assert [one.status_code for one in (without_redirect, without_pkce, hybrid, unbound, bare)] == [400] * 5
    assert unbound.json()["error"] in ("invalid_dpop_proof", "invalid_request")
    assert by_secret.status_code == 401


@pytest.mark.spec("FAPI 2.0 MS §5.3.1")
@pytest.mark.spec("FAPI 2.0 MS §5.4.1")
async def test_message_signing_takes_signed_requests_and_gives_signed_answers(flow: Flow) -> None:
    client = await opened(flow, "fapi2-message-signing")
    plain = await client.push(response_mode="jwt")
    claims = request_claims(flow, "bank", CALLBACK, scope="openid offline_access catalogue:read", response_mode="jwt")
    in_the_clear = sign(KEY, {**claims, "response_mode": "query"})

    answer = answer_of(await client.answer(await client.call("/oauth/par", {"request": sign(KEY, claims)})))
    refused = await client.call("/oauth/par", {"request": in_the_clear})
    said: JsonObject = parse(answer["response"]).claims
    tokens = await client.redeem(str(said["code"]))

    assert plain.status_code == 400
    assert refused.status_code == 400
    assert answer.keys() == {"response"}
    assert (said["iss"], said["aud"], said["state"]) == (ISSUER, "bank", "inner")
    assert tokens.status_code == 200, tokens.text


@pytest.mark.spec("FAPI 2.0 MS §5.3.1")
@pytest.mark.parametrize(
    "changes",
    [
        {"nbf": None},
        {"exp": None},
        {"aud": "https://other.example"},
        {"nbf": -3700, "exp": 300},
        {"nbf": 0, "exp": 3700},
    ],
    ids=str,
)
async def test_request_objects_are_fresh_and_for_us(flow: Flow, changes: dict[str, int | str | None]) -> None:
    client = await opened(flow, "fapi2-message-signing")
    now = int(flow.clock.now.timestamp())
    wrong = {name: now + value if isinstance(value, int) else value for name, value in changes.items()}
    claims = request_claims(flow, "bank", CALLBACK, response_mode="jwt", **wrong)

    refused = await client.call("/oauth/par", {"request": sign(KEY, claims)})

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request_object")


@pytest.mark.spec("FAPI 2.0 MS §5.5.1")
async def test_a_resource_server_under_message_signing_gets_signed_introspection(flow: Flow) -> None:
    await flow.client(RESOURCE_SERVER)
    token = (await flow.tokens(flow.browser()))["access_token"]
    server = ClientDraft(
        "bank",
        "Bank's API",
        auth_method="private_key_jwt",
        jwks=jwks_of(KEY),
        audiences=(CATALOGUE,),
        settings=ClientSettings(profile="fapi2-message-signing"),
    )
    await flow.client(server)

    answer = await Bank(flow, Prover()).call("/oauth/introspect", {"token": token})

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == SIGNED
