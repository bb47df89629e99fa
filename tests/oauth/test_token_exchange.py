"""Token exchange over HTTP: who may trade which token for what, and who is named as acting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

import pytest

from kronborg.clients.settings import ClientSettings
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.json import JsonObject
from kronborg.tokens.issue import access_claims
from kronborg.tokens.keys import ACCESS_TYPE
from kronborg.tokens.reference import resolve
from oauth.exchange_flow import ACCESS, GRANT, JWT, PRICING, exchange_site, own, subject, trade, trader
from token_site import CART, CATALOGUE, REDIRECT, USERINFO, VERIFIER, Site, basic, claims_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with exchange_site(database, vault, now) as opened:
        yield opened


@pytest.mark.spec("RFC 8693 §2.2.1")
async def test_a_service_trades_the_token_it_was_sent_for_one_of_another_api(site: Site) -> None:
    person = await site.person(roles=("buyer",))

    answer = await trade(site, await subject(site, person), audience=PRICING)

    assert answer.status_code == 200, answer.text
    body, claims = answer.json(), claims_of(answer.json()["access_token"])
    assert (body["issued_token_type"], body["token_type"], body["scope"]) == (ACCESS, "Bearer", "pricing:read")
    assert "refresh_token" not in body
    assert (claims["aud"], claims["sub"], claims["client_id"]) == (PRICING, person.user.id, "catalogue-api")
    assert (claims["act"], claims["roles"]) == ({"sub": "catalogue-api"}, ["buyer"])
    told = await site.introspect(body["access_token"])
    assert (told["active"], told["act"], told["sub"]) == (True, {"sub": "catalogue-api"}, person.user.id)


@pytest.mark.spec("RFC 8693 §2.2.1")
async def test_for_an_api_with_reference_tokens_the_answer_is_one_and_tells_the_same(site: Site) -> None:
    person = await site.person()

    answer = await trade(site, await subject(site, person), resource=CART)
    refused = await trade(site, await subject(site, person), resource=CART, requested_token_type=JWT)
    jwt = await trade(site, await subject(site, person), resource=PRICING, requested_token_type=JWT)

    token = answer.json()["access_token"]
    assert token.startswith("kro_at_")
    told = await site.introspect(token, "cart-api")
    assert (told["sub"], told["act"], told["scope"]) == (person.user.id, {"sub": "catalogue-api"}, "cart:read")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert jwt.json()["issued_token_type"] == JWT


@pytest.mark.spec("RFC 8693 §4.1")
async def test_with_an_actor_token_its_subject_acts_and_chains_nest(site: Site) -> None:
    person = await site.person()
    await trader(site, "pricing-api", PRICING, CART)

    first = await trade(
        site,
        await subject(site, person),
        audience=PRICING,
        actor_token=await own(site, "catalogue-api"),
        actor_token_type=ACCESS,
    )
    second = await trade(site, first.json()["access_token"], "pricing-api", audience=CART)

    assert claims_of(first.json()["access_token"])["act"] == {"sub": "catalogue-api"}
    told = await site.introspect(second.json()["access_token"], "cart-api")
    assert told["act"] == {"sub": "pricing-api", "act": {"sub": "catalogue-api"}}


@pytest.mark.spec("RFC 8693 §4.1")
async def test_a_person_can_act_for_another_by_their_client(site: Site) -> None:
    helper = await site.person("horatio")

    answer = await trade(
        site,
        await subject(site, await site.person()),
        actor_token=await subject(site, helper),
        actor_token_type=ACCESS,
    )

    assert claims_of(answer.json()["access_token"])["act"] == {"sub": helper.user.id, "client_id": "web"}


@pytest.mark.spec("RFC 8693 §4.1")
async def test_a_chain_of_actors_has_an_end(site: Site) -> None:
    token = await subject(site, await site.person())

    answers = []
    for _ in range(6):
        answers.append(await trade(site, token))
        token = answers[-1].json().get("access_token", "")

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 400]
    assert answers[-1].json()["error"] == "invalid_request"


@pytest.mark.spec("RFC 8693 §1.1")
async def test_without_an_actor_token_only_those_may_trade_who_may_impersonate(site: Site) -> None:
    await trader(site, "catalogue-api", CATALOGUE, PRICING, impersonates=False)
    token = await subject(site, await site.person())

    refused = await trade(site, token, audience=PRICING)
    allowed = await trade(
        site, token, audience=PRICING, actor_token=await own(site, "catalogue-api"), actor_token_type=ACCESS
    )

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert claims_of(allowed.json()["access_token"])["act"] == {"sub": "catalogue-api"}


@pytest.mark.spec("RFC 8693 §2.1")
@pytest.mark.parametrize(
    "form",
    [
        {"subject_token": ""},
        {"subject_token_type": ""},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"},
        {"subject_token": "nonsense"},
        {"subject_token": "nonsense", "subject_token_type": JWT},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"actor_token": "nonsense"},
        {"actor_token_type": ACCESS},
        {"actor_token": "nonsense", "actor_token_type": ACCESS},
    ],
    ids=str,
)
async def test_what_is_missing_or_unknown_is_an_invalid_request(site: Site, form: dict[str, str]) -> None:
    answer = await trade(site, await subject(site, await site.person()), **form)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.spec("RFC 8693 §2.2.2")
async def test_a_refresh_token_a_code_and_an_id_token_are_no_subject_tokens(site: Site) -> None:
    tokens = await site.tokens(await site.person())

    for token in (tokens["refresh_token"], tokens["id_token"]):
        for kind in (ACCESS, JWT):
            answer = await trade(site, token, subject_token_type=kind)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.spec("RFC 8693 §2.1")
async def test_the_scope_is_never_wider_than_token_grant_and_client(site: Site) -> None:
    person = await site.person()
    narrow = await subject(site, person, scopes=("openid", "catalogue:read"))
    wide = await subject(site, person)

    same = await trade(site, wide)
    beyond_client = await trade(site, wide, scope="catalogue:write")
    beyond_grant = await trade(site, narrow, scope="pricing:read")
    nothing = await trade(site, narrow, audience=PRICING)
    beyond_both = await trade(site, wide, scope="pricing:write")
    other_api = await trade(site, wide, audience=PRICING, scope="catalogue:read")

    assert same.json()["scope"] == "catalogue:read"
    assert nothing.json()["scope"] == ""
    for answer in (beyond_client, beyond_grant, beyond_both, other_api):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


@pytest.mark.spec("RFC 8693 §2.2.2")
async def test_only_the_apis_that_the_client_may_trade_for_are_targets(site: Site) -> None:
    await trader(site, "catalogue-api", CATALOGUE, PRICING)
    token = await subject(site, await site.person())

    answers = [
        await trade(site, token, audience=CART),
        await trade(site, token, resource=CART),
        await trade(site, token, audience=USERINFO),
        await trade(site, token, audience="https://elsewhere.example/"),
        await trade(site, token, audience=PRICING, resource=CATALOGUE),
        await site.http.post(
            "/oauth/token",
            content=f"grant_type={GRANT}&subject_token={token}&subject_token_type={ACCESS}"
            f"&audience={PRICING}&audience={CATALOGUE}",
            headers={"content-type": "application/x-www-form-urlencoded", **await basic_of(site)},
        ),
    ]

    assert [answer.json()["error"] for answer in answers] == ["invalid_target"] * 6


async def basic_of(site: Site) -> dict[str, str]:
    return {"authorization": basic("catalogue-api", site.secrets["catalogue-api"])}


@pytest.mark.spec("RFC 8693 §2.1")
async def test_a_token_for_somebody_else_cannot_be_traded(site: Site) -> None:
    await trader(site, "pricing-api", PRICING, CATALOGUE)
    token = await subject(site, await site.person())

    stolen = await trade(site, token, "pricing-api", audience=CATALOGUE)
    as_actor = await trade(
        site,
        await subject(site, await site.person("ophelia"), resource=PRICING),
        "pricing-api",
        actor_token=token,
        actor_token_type=ACCESS,
    )

    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_request")
    assert (as_actor.status_code, as_actor.json()["error"]) == (400, "invalid_request")


@pytest.mark.spec("RFC 8693 §2.1")
async def test_the_grant_is_for_confidential_clients_that_registered_it(site: Site) -> None:
    token = await subject(site, await site.person())

    public = await site.token(client_id="web", grant_type=GRANT, subject_token=token, subject_token_type=ACCESS)
    unregistered = await trade(site, token, "cart-api")

    assert (public.json()["error"], unregistered.json()["error"]) == ("unauthorized_client",) * 2


@pytest.mark.spec("RFC 8693 §4.4")
async def test_may_act_decides_who_acts_and_is_handed_on(site: Site) -> None:
    """Nothing of ours writes the claim; a token that carries it is made the way an exchange makes one."""
    person = await site.person()
    token = await subject(site, person)
    allowed = await with_claims(site, token, {"may_act": {"sub": "catalogue-api", "iss": site.engine.issuer}})
    other = await with_claims(site, token, {"may_act": {"sub": "pricing-api"}})
    strange = await with_claims(site, token, {"may_act": {"sub": "catalogue-api", "sup": "x"}})
    broken = await with_claims(site, token, {"may_act": "catalogue-api"})

    answers = [await trade(site, each, audience=PRICING) for each in (allowed, other, strange, broken)]

    assert [answer.status_code for answer in answers] == [200, 400, 400, 400]
    assert claims_of(answers[0].json()["access_token"])["may_act"]["sub"] == "catalogue-api"
    assert {answer.json()["error"] for answer in answers[1:]} == {"invalid_request"}


async def with_claims(site: Site, token: str, claims: JsonObject) -> str:
    """The same access token with further claims."""
    access = await resolve(site.engine, token, now=site.clock.now)
    assert access is not None
    keys = await site.engine.keys.current(now=site.clock.now)
    return keys.active.compact(access_claims(site.engine.issuer, replace(access, claims=claims)), typ=ACCESS_TYPE)


@pytest.mark.spec("RFC 8693 §2.2.1")
async def test_the_new_token_does_not_outlive_the_one_traded(site: Site) -> None:
    token = await subject(site, await site.person())
    site.clock.pass_by(minutes=8)

    answer = await trade(site, token, audience=PRICING)
    site.clock.pass_by(minutes=2, seconds=1)
    late = await trade(site, token, audience=PRICING)

    assert answer.json()["expires_in"] <= 120
    assert claims_of(answer.json()["access_token"])["exp"] == claims_of(token)["exp"]
    assert late.json()["error"] == "invalid_request"


@pytest.mark.spec("RFC 9449 §7.1")
async def test_a_bound_token_is_traded_by_its_resource_server_and_not_by_a_client_without_the_key(site: Site) -> None:
    await trader(site, "owner", PRICING, CART)
    person = await site.person()
    code = await site.code(person, "owner", scopes=("catalogue:read",), audiences=(CATALOGUE,))
    await site.client(
        "owner",
        grants=("authorization_code", GRANT),
        redirect_uris=(REDIRECT,),
        scopes=("catalogue:read",),
        settings=ClientSettings(exchange_audiences=(CART,), may_impersonate=True),
    )
    plain = await site.token(
        "owner", grant_type="authorization_code", code=code, redirect_uri=REDIRECT, code_verifier=VERIFIER
    )
    bound = await with_claims(site, plain.json()["access_token"], {"cnf": {"jkt": "A" * 43}})

    by_server = await trade(site, bound)
    by_owner = await trade(site, bound, "owner")

    assert by_server.status_code == 200
    assert "cnf" not in claims_of(by_server.json()["access_token"])
    assert (by_owner.status_code, by_owner.json()["error"]) == (400, "invalid_request")
