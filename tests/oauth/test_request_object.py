"""Request objects (RFC 9101): signed by the client, for us alone, and nothing beside them counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx
import orjson
import pytest
from joserfc.jwk import OctKey, OKPKey, RSAKey

from kronborg.clients.model import ClientDraft
from kronborg.clients.settings import ClientSettings
from kronborg.core import jwe
from kronborg.core.fetch import Fetcher
from kronborg.core.json import JsonObject
from oauth.flow import CATALOGUE, ISSUER, WEB, WISH_LIST, Browser, Flow, answer_of, is_consent, is_sign_in
from oauth.signing import Key, ec_key, jwks_of, request_claims, sign, unsigned
from outside import LOOPBACK, Answer, outside

pytestmark = pytest.mark.anyio

KEY = ec_key()
OTHER = ec_key()
BANK = replace(WEB, jwks=jwks_of(KEY))
CALLBACK = WEB.redirect_uris[0]


def claims(flow: Flow, **changes: object) -> dict[str, object]:
    return request_claims(flow, "web", CALLBACK, **changes)


def bare(request: str, **more: str) -> dict[str, str | None]:
    """Only the client beside the object."""
    outer = ("redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge", "code_challenge_method")
    return {**dict.fromkeys(outer), "request": request, **more}


async def arrive(flow: Flow, browser: Browser, client: ClientDraft, **changes: str | None) -> httpx.Response:
    """Ask, and sign in if asked to."""
    page = await flow.authorize(browser, client, **changes)
    return await browser.sign_in(page) if is_sign_in(page) else page


@pytest.mark.spec("RFC 9101 §5.1")
async def test_a_signed_request_is_answered(flow: Flow) -> None:
    await flow.client(BANK)
    browser = flow.browser()

    page = await flow.authorize(browser, BANK, **bare(sign(KEY, claims(flow))))
    answer = await browser.sign_in(page)

    assert is_sign_in(page)
    given = answer_of(answer)
    assert (given["state"], given["iss"]) == ("inner", ISSUER)
    assert (await flow.exchange(given["code"], BANK)).status_code == 200


@pytest.mark.spec("RFC 9101 §6.3")
async def test_only_what_is_inside_counts(flow: Flow) -> None:
    await flow.client(BANK)
    request = sign(KEY, claims(flow, scope="openid", nonce="inner-nonce", prompt=None))

    answer = answer_of(
        await flow.through(flow.browser(), BANK, request=request, prompt="none", response_mode="fragment", claims="{")
    )

    assert answer["state"] == "inner"
    assert (await flow.exchange(answer["code"], BANK)).json()["scope"] == "openid"


@pytest.mark.spec("RFC 9101 §4")
async def test_numbers_and_json_stand_inside_as_such(flow: Flow) -> None:
    await flow.client(BANK)
    browser = flow.browser()
    await flow.code(browser, BANK)
    flow.clock.pass_by(minutes=10)
    inside = claims(flow, max_age=300, resource=[CATALOGUE], claims={"id_token": {"email": None}})

    answer = await flow.authorize(browser, BANK, **bare(sign(KEY, inside)))

    assert is_sign_in(answer)


KEYS: dict[str, Callable[[], Key]] = {
    "ES256": ec_key,
    "Ed25519": lambda: OKPKey.generate_key("Ed25519", {"kid": "one"}),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519", {"kid": "one"}),
    "PS256": lambda: RSAKey.generate_key(2048, {"kid": "one"}),
    "RS256": lambda: RSAKey.generate_key(2048, {"kid": "one"}),
}


@pytest.mark.parametrize("alg", list(KEYS))
@pytest.mark.parametrize("typ", ["oauth-authz-req+jwt", "JWT", None])
async def test_every_algorithm_and_type_that_may_be(flow: Flow, alg: str, typ: str | None) -> None:
    key = KEYS[alg]()
    await flow.client(replace(WEB, jwks=jwks_of(key)))

    answer = await arrive(flow, flow.browser(), WEB, **bare(sign(key, claims(flow), alg=alg, typ=typ)))

    assert "code" in answer_of(answer)


BROKEN: dict[str, Callable[[Flow], str]] = {
    "none": lambda flow: unsigned(claims(flow)),
    "no-signature": lambda flow: unsigned(claims(flow), alg="ES256"),
    "another-key": lambda flow: sign(OTHER, claims(flow)),
    "shared-secret": lambda flow: sign(
        OctKey.import_key(orjson.dumps(KEY.as_dict(private=False))), claims(flow), alg="HS256"
    ),
    "tampered": lambda flow: sign(KEY, claims(flow))[:-6] + "AAAAAA",
    "no-jwt": lambda _: "request",
    "jwk-in-header": lambda flow: sign(OTHER, claims(flow), jwk=OTHER.as_dict(private=False)),
    "other-kid": lambda flow: sign(KEY, claims(flow), kid="two"),
    "access-token": lambda flow: sign(KEY, claims(flow), typ="at+jwt"),
    "client-assertion": lambda flow: sign(KEY, claims(flow), typ="client-authentication+jwt"),
    "encrypted-to-nobody": lambda flow: ".".join([sign(KEY, claims(flow)), "AAAA", "AAAA"]),
}


@pytest.mark.spec("RFC 9101 §6.2")
@pytest.mark.spec("RFC 8725 §3.1")
@pytest.mark.parametrize("broken", list(BROKEN))
async def test_what_the_client_did_not_sign_is_refused(flow: Flow, broken: str) -> None:
    await flow.client(BANK)

    beside = answer_of(await flow.authorize(flow.browser(), BANK, request=BROKEN[broken](flow)))
    alone = await flow.authorize(flow.browser(), WISH_LIST_BANK, **bare(BROKEN[broken](flow)))

    # The address beside it is registered, so the client can be told there; without one there is only a page.
    assert (beside["error"], beside["state"]) == ("invalid_request_object", "state-1")
    assert alone.status_code == 400


WISH_LIST_BANK = replace(WISH_LIST, jwks=jwks_of(KEY))

NOT_RIGHT: dict[str, dict[str, object]] = {
    "another-issuer": {"iss": "wish-list"},
    "no-issuer": {"iss": None},
    "another-audience": {"aud": "https://elsewhere.example"},
    "no-audience": {"aud": None},
    "no-end": {"exp": None},
    "over": {"exp": 1},
    "endless": {"exp": 1 << 32},
    "true": {"exp": True},
    "another-client": {"client_id": "wish-list"},
    "no-client": {"client_id": None},
    "itself": {"sub": "web"},
    "nested": {"request": "e30.e30.e30"},
    "nested-uri": {"request_uri": "https://web.example/request.jwt"},
    "later": {"nbf": 1 << 32},
    "numbers-as-jti": {"jti": 5},
    "object-as-state": {"scope": {"a": 1}},
    "control-characters": {"nonce": "a\nb"},
    "bool-as-max_age": {"max_age": True},
}


@pytest.mark.spec("RFC 9101 §4")
@pytest.mark.spec("RFC 9101 §10.8")
@pytest.mark.parametrize("wrong", list(NOT_RIGHT))
async def test_what_is_signed_but_not_right_is_told_where_the_request_says(flow: Flow, wrong: str) -> None:
    await flow.client(BANK)

    told = answer_of(await flow.authorize(flow.browser(), BANK, **bare(sign(KEY, claims(flow, **NOT_RIGHT[wrong])))))

    assert (told["error"], told["state"], told["iss"]) == ("invalid_request_object", "inner", ISSUER)


@pytest.mark.spec("RFC 9101 §5")
async def test_not_both_by_value_and_by_reference(flow: Flow) -> None:
    await flow.client(BANK)

    told = answer_of(
        await flow.authorize(
            flow.browser(), BANK, request=sign(KEY, claims(flow)), request_uri="https://web.example/request.jwt"
        )
    )

    assert told["error"] == "invalid_request"


async def test_signing_in_may_take_longer_than_the_object_lives(flow: Flow) -> None:
    await flow.client(BANK)
    browser = flow.browser()
    page = await flow.authorize(browser, BANK, **bare(sign(KEY, claims(flow))))
    flow.clock.pass_by(minutes=20)

    answer = await browser.sign_in(page)

    assert "code" in answer_of(answer)


async def test_the_registered_algorithm_is_the_only_one(flow: Flow) -> None:
    rsa = RSAKey.generate_key(2048, {"kid": "one"})
    settings = ClientSettings(request_object_signing_alg="PS256")
    await flow.client(replace(WEB, jwks=jwks_of(rsa), settings=settings))

    right = await flow.authorize(flow.browser(), WEB, request=sign(rsa, claims(flow), alg="PS256"))
    wrong = answer_of(await flow.authorize(flow.browser(), WEB, request=sign(rsa, claims(flow), alg="RS256")))

    assert is_sign_in(right)
    assert wrong["error"] == "invalid_request_object"


@pytest.mark.spec("RFC 9101 §10.5")
async def test_a_client_that_has_to_sign_does_so(flow: Flow) -> None:
    await flow.client(BANK, settings=ClientSettings(require_signed_request_object=True))

    plain = answer_of(await flow.authorize(flow.browser(), BANK))
    untyped = answer_of(await flow.authorize(flow.browser(), BANK, request=sign(KEY, claims(flow), typ="JWT")))
    timeless = answer_of(await flow.authorize(flow.browser(), BANK, request=sign(KEY, claims(flow, nbf=None))))
    signed = await flow.authorize(flow.browser(), BANK, request=sign(KEY, claims(flow)))

    assert plain["error"] == "invalid_request"
    assert [untyped["error"], timeless["error"]] == ["invalid_request_object"] * 2
    assert is_sign_in(signed)


@pytest.mark.spec("RFC 9101 §6.1")
async def test_an_object_may_be_encrypted_to_us(flow: Flow) -> None:
    await flow.client(BANK)
    published: JsonObject = (await flow.http.get("/oauth/jwks")).json()
    keys = jwe.encryption_keys(published)
    nested = jwe.encrypt(sign(KEY, claims(flow)), keys, alg="ECDH-ES", enc="A256GCM")
    forged = jwe.encrypt(unsigned(claims(flow)), keys, alg="ECDH-ES", enc="A256GCM")

    answer = await arrive(flow, flow.browser(), BANK, **bare(nested))
    refused = answer_of(await flow.authorize(flow.browser(), BANK, request=forged))

    assert "code" in answer_of(answer)
    assert refused["error"] == "invalid_request_object"


@pytest.mark.spec("RFC 9126 §3")
async def test_an_object_may_be_pushed(flow: Flow) -> None:
    await flow.client(BANK, settings=ClientSettings(require_signed_request_object=True))
    browser = flow.browser()

    good = await flow.call("/oauth/par", BANK, request=sign(KEY, claims(flow)))
    bad = await flow.call("/oauth/par", BANK, request=sign(OTHER, claims(flow)))
    late = await flow.call("/oauth/par", BANK, request=sign(KEY, claims(flow, exp=1)))
    other = await flow.call("/oauth/par", BANK, request=sign(KEY, claims(flow, client_id="wish-list")))
    nested = await flow.call("/oauth/par", BANK, request=sign(KEY, claims(flow, request_uri="urn:x")))
    answer = await arrive(flow, browser, BANK, **bare("", request_uri=good.json()["request_uri"]))

    assert good.status_code == 201
    assert [a.json()["error"] for a in (bad, late, other, nested)] == ["invalid_request_object"] * 4
    assert [a.status_code for a in (bad, late, other, nested)] == [400] * 4
    assert answer_of(answer)["state"] == "inner"


# --- by reference --------------------------------------------------------------------------------------------------


def fetching(flow: Flow) -> Flow:
    """The same server, allowed to call this machine."""
    object.__setattr__(flow.engine, "fetcher", Fetcher(LOOPBACK))
    return flow


def by_reference(url: str) -> ClientDraft:
    return replace(BANK, settings=ClientSettings(request_uris=(url, "https://web.example/request.jwt")))


@pytest.mark.spec("RFC 9101 §5.2")
async def test_an_object_is_fetched_from_where_the_client_registered_and_once(flow: Flow) -> None:
    fetching(flow)
    async with outside() as there:
        there.answers["/request"] = Answer(sign(KEY, claims(flow)).encode(), "application/oauth-authz-req+jwt")
        url = there.url("/request")
        await flow.client(by_reference(url), settings=replace(by_reference(url).settings))
        browser = flow.browser()

        page = await flow.authorize(browser, BANK, **bare("", request_uri=url))
        answer = await browser.sign_in(page)

    assert (await flow.exchange(answer_of(answer)["code"], BANK)).status_code == 200
    assert answer_of(answer)["state"] == "inner"
    assert len(there.asked) == 1
    assert there.asked[0].headers["accept"] == "application/oauth-authz-req+jwt, application/jwt"


@pytest.mark.spec("RFC 9101 §5.2.3")
@pytest.mark.parametrize("broken", ["status", "type", "empty", "unsigned", "redirect", "binary"])
async def test_what_cannot_be_fetched_is_told(flow: Flow, broken: str) -> None:
    fetching(flow)
    async with outside() as there:
        good = sign(KEY, claims(flow)).encode()
        there.answers["/request"] = {
            "status": Answer(good, "application/jwt", 404),
            "type": Answer(good, "text/html"),
            "empty": Answer(b"", "application/jwt"),
            "unsigned": Answer(unsigned(claims(flow)).encode(), "application/jwt"),
            "redirect": Answer(b"", "application/jwt", 302, {"location": "https://web.example/request.jwt"}),
            "binary": Answer(b"\xff\xfe", "application/jwt"),
        }[broken]
        url = there.url("/request")
        await flow.client(by_reference(url))

        told = answer_of(await flow.authorize(flow.browser(), BANK, request_uri=url))

    expected = "invalid_request_object" if broken in ("empty", "unsigned") else "invalid_request_uri"
    assert (told["error"], told["state"], told["iss"]) == (expected, "state-1", ISSUER)


@pytest.mark.spec("RFC 9101 §10.4.1")
@pytest.mark.parametrize(
    "uri",
    [
        "https://web.example/other.jwt",
        "https://web.example/request.jwt?x=1",
        "https://WEB.example/request.jwt",
        "http://127.0.0.1:9/request",
        "http://[::1]/request",
        "https://169.254.169.254/latest",
        "file:///etc/passwd",
    ],
)
async def test_nothing_else_is_ever_called(flow: Flow, uri: str) -> None:
    await flow.client(by_reference("https://web.example/request"))

    told = answer_of(await flow.authorize(flow.browser(), BANK, request_uri=uri))

    assert told["error"] == "invalid_request_uri"


async def test_an_address_inside_is_not_called_even_if_registered(flow: Flow) -> None:
    async with outside() as there:
        there.answers["/request"] = Answer(sign(KEY, claims(flow)).encode(), "application/jwt")
        await flow.client(by_reference(there.url("/request")))

        told = answer_of(await flow.authorize(flow.browser(), BANK, request_uri=there.url("/request")))

    assert told["error"] == "invalid_request_uri"
    assert not there.asked


async def test_consent_comes_back_to_a_signed_request(flow: Flow) -> None:
    await flow.client(WISH_LIST_BANK)
    browser = flow.browser()
    inside = request_claims(flow, "wish-list", WISH_LIST.redirect_uris[0])

    page = await browser.sign_in(await flow.authorize(browser, WISH_LIST_BANK, **bare(sign(KEY, inside))))
    flow.clock.pass_by(minutes=15)
    answer = await browser.press(page, "allow")

    assert is_consent(page)
    assert answer_of(answer)["state"] == "inner"
