"""Access tokens as their API wishes for them: algorithm, claims, encryption, binding."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, RSAKey

from kronborg.clients.model import ApiDraft, Scope
from kronborg.clients.register import save_api
from kronborg.clients.settings import ApiSettings, SigningAlgorithm
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.core.jose import parse, public_key, verify
from kronborg.tokens.exchange import exchange
from kronborg.tokens.model import KEY_AGE, KEY_RETIREMENT
from kronborg.tokens.signing import wanted_lines
from token_site import USERINFO, Site, claims_of, token_site

pytestmark = pytest.mark.anyio

PAYROLL = "https://shop.example/payroll"


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        yield opened


async def payroll(site: Site, settings: ApiSettings, token_format: str = "jwt") -> None:
    """An API with these settings, its resource server, and two clients that may call it."""
    draft = ApiDraft(PAYROLL, "Payroll", (Scope("payroll:read", "Read"),), token_format, settings=settings)
    async with site.engine.database.write() as session:
        await save_api(session, draft, actor="test", now=site.clock.now)
    await site.client("payroll-api", grants=(), scopes=(), audiences=(PAYROLL,))
    await site.client("batch", scopes=("payroll:read",))
    await site.web_client(scopes=("openid", "payroll:read"))


async def token_of_person(site: Site) -> str:
    person = await site.person(roles=("clerk",))
    answer = await site.tokens(person, scopes=("openid", "payroll:read"), audiences=(PAYROLL, USERINFO))
    return str(answer["access_token"])


async def token_of_client(site: Site) -> str:
    answer = await site.token("batch", grant_type="client_credentials", scope="payroll:read")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def published(site: Site) -> list[dict[str, Any]]:
    return list((await site.http.get("/oauth/jwks")).json()["keys"])


@pytest.mark.spec("RFC 9068 §2.1")
@pytest.mark.spec("RFC 9864 §2.2")
@pytest.mark.parametrize("algorithm", ["ES256", "Ed25519", "EdDSA", "PS256", "RS256"])
async def test_an_api_chooses_how_its_tokens_are_signed(site: Site, algorithm: SigningAlgorithm) -> None:
    await payroll(site, ApiSettings(signing_alg=algorithm))

    token = await token_of_client(site)

    header = parse(token).header
    assert (header["alg"], header["typ"]) == (algorithm, "at+jwt")
    [key] = [key for key in await published(site) if key["kid"] == header["kid"]]
    verify(parse(token), [public_key(key)], types=("at+jwt",))
    assert (await site.introspect(token, "payroll-api"))["active"] is True


async def test_a_line_of_keys_is_made_only_when_somebody_asks_for_it_and_ends_when_nobody_does(site: Site) -> None:
    before = {key["kty"] for key in await published(site)}
    await payroll(site, ApiSettings(signing_alg="Ed25519"))
    token = await token_of_client(site)
    during = [key["kty"] for key in await published(site)]
    await payroll_without_algorithm(site)

    ring = site.engine.keys
    await ring.rotate(now=site.clock.now + KEY_AGE, wanted=await wanted_lines(site.engine, now=site.clock.now))
    site.clock.pass_by(days=KEY_AGE.days)
    after = [key["kty"] for key in await published(site)]
    await ring.rotate(now=site.clock.now + KEY_RETIREMENT, wanted=await wanted_lines(site.engine, now=site.clock.now))
    site.clock.pass_by(days=KEY_RETIREMENT.days)

    assert before == {"EC"}
    assert during.count("OKP") == 2  # one that signs, and the next one
    # What it signed stays verifiable for as long as it lives.
    assert after.count("OKP") == 1
    assert parse(token).header["kid"] not in [key["kid"] for key in await published(site)]


async def payroll_without_algorithm(site: Site) -> None:
    async with site.engine.database.write() as session:
        draft = ApiDraft(PAYROLL, "Payroll", (Scope("payroll:read", "Read"),))
        await save_api(session, draft, actor="test", now=site.clock.now)
    site.clock.pass_by(seconds=1)


@pytest.mark.parametrize("token_format", ["jwt", "reference"])
async def test_claims_are_mapped_from_what_is_known_and_left_out_where_nothing_is(
    site: Site, token_format: str
) -> None:
    mapping = {
        "https://shop.example/user": "username",
        "email": "email",
        "groups": "groups",
        "app": "client_name",
        "methods": "amr",
        "tenant": "static:elsinore",
    }
    await payroll(site, ApiSettings(claims=mapping), token_format)

    of_person, of_client = await token_of_person(site), await token_of_client(site)

    told = await site.introspect(of_person, "payroll-api")
    assert told["https://shop.example/user"] == "hamlet"
    assert (told["app"], told["methods"], told["tenant"]) == ("web", ["pwd"], "elsinore")
    assert "email" not in told
    assert "groups" not in told
    told = await site.introspect(of_client, "payroll-api")
    assert (told["app"], told["tenant"]) == ("batch", "elsinore")
    assert "methods" not in told
    if token_format == "jwt":
        assert claims_of(of_person)["https://shop.example/user"] == "hamlet"
    else:
        inside = await exchange(site.engine, of_person, now=site.clock.now)
        assert inside is not None
        assert claims_of(inside.token)["tenant"] == "elsinore"


@pytest.mark.parametrize(
    ("claims", "where"),
    [
        ({"sub": "username"}, "settings.claims.sub"),
        ({"scope": "static:admin"}, "settings.claims.scope"),
        ({"cnf": "static:x"}, "settings.claims.cnf"),
        ({"x": "password"}, "settings.claims.x"),
        ({"x": "static:"}, "settings.claims.x"),
        ({"x": "static:a\nb"}, "settings.claims.x"),
        ({"a b": "name"}, "settings.claims.a b"),
        ({f"c{n}": "name" for n in range(21)}, "settings.claims"),
    ],
)
async def test_a_mapping_may_not_say_what_only_the_server_says(site: Site, claims: dict[str, str], where: str) -> None:
    with pytest.raises(Invalid) as refused:
        await payroll(site, ApiSettings(claims=claims))

    assert [problem.where for problem in refused.value.problems] == [where]


@pytest.mark.spec("RFC 9068 §5")
@pytest.mark.spec("RFC 7519 §5.2")
@pytest.mark.parametrize("kind", ["EC", "RSA"])
async def test_an_api_may_have_its_tokens_encrypted_so_that_nobody_else_reads_them(site: Site, kind: str) -> None:
    key = ECKey.generate_key("P-256", {"use": "enc"}) if kind == "EC" else RSAKey.generate_key(2048, {"use": "enc"})
    await payroll(site, ApiSettings(encryption_jwks={"keys": [key.as_dict(private=False)]}))

    token = await token_of_person(site)

    assert token.count(".") == 4
    opened = jwe.decrypt_compact(token, key, algorithms=["ECDH-ES", "RSA-OAEP-256", "A256GCM"])
    assert opened.headers()["cty"] == "JWT"
    inner = (opened.plaintext or b"").decode()
    assert claims_of(inner)["aud"] == PAYROLL
    # We have no key to it: nothing is known of the whole, everything of the token inside.
    assert await site.introspect(token, "payroll-api") == {"active": False}
    assert (await site.introspect(inner, "payroll-api"))["active"] is True
    revoked = await site.post("/oauth/revoke", token=token, client_id="web")
    assert revoked.status_code == 200


@pytest.mark.parametrize(
    ("settings", "token_format", "where"),
    [
        (ApiSettings(encryption_jwks={"keys": []}), "jwt", "settings.encryption_jwks"),
        (ApiSettings(encryption_enc="A256GCM"), "jwt", "settings.encryption_enc"),
        (ApiSettings(encryption_jwks={"keys": [{"kty": "oct", "k": "AAAA"}]}), "jwt", "settings.encryption_jwks"),
    ],
)
async def test_encryption_that_cannot_be_is_refused(
    site: Site, settings: ApiSettings, token_format: str, where: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await payroll(site, settings, token_format)

    assert [problem.where for problem in refused.value.problems] == [where]


async def test_a_private_key_is_never_registered(site: Site) -> None:
    key = ECKey.generate_key("P-256", {"use": "enc"})

    with pytest.raises(Invalid) as refused:
        await payroll(site, ApiSettings(encryption_jwks={"keys": [key.as_dict(private=True)]}))

    assert "private" in refused.value.problems[0].detail


@pytest.mark.spec("RFC 9700 §2.2.1")
async def test_an_api_may_take_bound_tokens_only(site: Site) -> None:
    await payroll(site, ApiSettings(require_sender_constraint=True))

    for_client = await site.token("batch", grant_type="client_credentials", scope="payroll:read")
    person = await site.person()
    code = await site.code(person, scopes=("openid", "payroll:read"), audiences=(PAYROLL, USERINFO))
    for_person = await site.redeem(code)

    for answer in (for_client, for_person):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert "DPoP" in answer.json()["error_description"]
    # A refusal costs nothing: the code was not spent.
    other = await site.redeem(code, resource=USERINFO)
    assert other.status_code == 200


async def test_a_rotated_rsa_key_overlaps_with_its_successor(site: Site) -> None:
    await payroll(site, ApiSettings(signing_alg="RS256"))
    old = await token_of_client(site)
    upcoming = {key["kid"] for key in await published(site) if key.get("alg") == "RS256"}

    site.clock.pass_by(days=KEY_AGE.days)
    await site.engine.keys.rotate(now=site.clock.now)
    new = await token_of_client(site)

    assert parse(new).header["kid"] in upcoming
    assert parse(new).header["kid"] != parse(old).header["kid"]
    assert parse(old).header["kid"] in {key["kid"] for key in await published(site)}


async def test_many_who_ask_for_the_first_rsa_key_at_once_get_the_same_one(site: Site) -> None:
    import anyio

    await payroll(site, ApiSettings(signing_alg="PS256"))
    tokens: list[str] = []

    async def ask() -> None:
        tokens.append(await token_of_client(site))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)

    assert len({str(parse(token).header["kid"]) for token in tokens}) == 1


async def test_a_next_key_that_was_published_only_now_does_not_sign_yet(site: Site) -> None:
    ring = site.engine.keys
    await ring.rotate(now=site.clock.now, force=True)
    site.clock.pass_by(days=KEY_AGE.days)
    stored = [key for key in await ring.stored() if key.state == "next" and key.line == "ES256"]
    await ring.revoke(stored[0].id, actor="test", now=site.clock.now)

    too_early = await ring.rotate(now=site.clock.now + timedelta(minutes=59))
    in_time = await ring.rotate(now=site.clock.now + timedelta(minutes=60))

    assert (too_early, in_time) == (False, True)
