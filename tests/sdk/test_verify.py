"""Which tokens a service accepts, and every trick it refuses."""

import base64
import contextlib
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwk, jws

from kronborg_sdk import InvalidToken, KeySource, SdkError, Verifier
from kronborg_sdk.testing import FakeIssuer

pytestmark = pytest.mark.anyio
AUDIENCE = "https://shop.example/catalogue"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def resign(issuer: FakeIssuer, head: bytes, body: bytes) -> str:
    """Sign arbitrary bytes with the issuer's own key: only the parser can object."""
    text = f"{b64(head)}.{b64(body)}"
    model = jws.JWSRegistry.algorithms["ES256"]
    return f"{text}.{b64(model.sign(text.encode(), issuer.keys[-1]))}"


@pytest.mark.spec("RFC 9068 §4")
async def test_a_good_token_tells_who_calls(issuer: FakeIssuer, verifier: Verifier) -> None:
    token = issuer.token(audience=AUDIENCE, scopes=["catalogue:read", "x"], roles=["clerk"], subject="u1")

    caller = await verifier.verify(token)

    assert (caller.subject, caller.client_id, caller.is_machine) == ("u1", "test-client", False)
    assert caller.scopes == {"catalogue:read", "x"}
    assert caller.roles == {"clerk"}
    assert caller.audience == {AUDIENCE}
    assert caller.expires_at - caller.issued_at == timedelta(minutes=5)
    assert caller.claims["iss"] == issuer.issuer
    with pytest.raises(TypeError):
        caller.claims["sub"] = "mallory"  # type: ignore[index]


async def test_a_list_of_audiences_and_the_long_type_are_accepted(issuer: FakeIssuer, verifier: Verifier) -> None:
    token = issuer.token(audience=["https://other.example", AUDIENCE], header={"typ": "application/AT+JWT"})

    caller = await verifier.verify(token)

    assert AUDIENCE in caller.audience


HEADERS: dict[str, dict[str, object]] = {
    "alg none": {"alg": "none"},
    "alg None in capitals": {"alg": "NONE"},
    "alg is a number": {"alg": 1},
    "alg missing": {"alg": None},
    "alg of another key type": {"alg": "RS256"},
    "alg of the same type, another curve": {"alg": "ES384"},
    "alg HS256": {"alg": "HS256"},
    "typ of an ID token": {"typ": "JWT"},
    "typ missing": {"typ": None},
    "typ of a logout token": {"typ": "logout+jwt"},
    "typ with a suffix": {"typ": "at+jwt2"},
    "unknown kid": {"kid": "someone-elses"},
    "kid as a path": {"kid": "../../../../dev/null"},
    "kid as SQL": {"kid": "' UNION SELECT 'x"},
    "kid is a list": {"kid": ["a"]},
    "jku": {"jku": "https://evil.example/jwks"},
    "x5u": {"x5u": "https://evil.example/cert"},
    "jwk": {"jwk": {"kty": "oct", "k": "AAAA"}},
    "x5c": {"x5c": ["MIIB"]},
    "crit": {"crit": ["exp"], "exp": 1},
    "empty crit": {"crit": []},
    "b64": {"b64": False},
}


@pytest.mark.spec("RFC 8725 §3.1")
@pytest.mark.parametrize("name", HEADERS)
async def test_headers_that_try_something_are_refused(name: str, issuer: FakeIssuer, verifier: Verifier) -> None:
    token = issuer.token(audience=AUDIENCE, header=HEADERS[name])

    with pytest.raises(InvalidToken):
        await verifier.verify(token)


CLAIMS: dict[str, dict[str, object]] = {
    "another issuer": {"iss": "https://evil.example"},
    "issuer with a slash more": {"iss": "https://identity.example/"},
    "issuer in a list": {"iss": ["https://identity.example"]},
    "no issuer": {"iss": None},
    "another audience": {"aud": "https://shop.example/cart"},
    "audience as a prefix": {"aud": AUDIENCE + "/x"},
    "no audience": {"aud": None},
    "empty audience": {"aud": []},
    "audience of numbers": {"aud": [1]},
    "audience as an object": {"aud": {AUDIENCE: True}},
    "no subject": {"sub": None},
    "empty subject": {"sub": ""},
    "numeric subject": {"sub": 7},
    "no client": {"client_id": None},
    "client in a list": {"client_id": ["a"]},
    "no expiry": {"exp": None},
    "expiry as text": {"exp": "9999999999"},
    "expiry as true": {"exp": True},
    "expired": {"exp": 1},
    "expiry beyond all dates": {"exp": 10**300},
    "negative expiry": {"exp": -1},
    "no issue time": {"iat": None},
    "issued in the future": {"iat": 4_000_000_000},
    "not yet valid": {"nbf": 4_000_000_000},
    "nbf as text": {"nbf": "1"},
    "no id": {"jti": None},
    "numeric id": {"jti": 1},
    "scopes in a list": {"scope": ["catalogue:read"]},
    "role as text": {"roles": "admin"},
    "roles of numbers": {"roles": [1]},
}


@pytest.mark.spec("RFC 9068 §2.2")
@pytest.mark.parametrize("name", CLAIMS)
async def test_claims_that_do_not_fit_are_refused(name: str, issuer: FakeIssuer, verifier: Verifier) -> None:
    token = issuer.token(audience=AUDIENCE, claims=CLAIMS[name])

    with pytest.raises(InvalidToken):
        await verifier.verify(token)


def spellings(token: str) -> dict[str, str]:
    head, body, signature = token.split(".")
    last = signature[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = alphabet[alphabet.index(last) ^ 1]
    return {
        "padding": f"{head}.{body}.{signature}==",
        "padding inside": f"{head}=.{body}.{signature}",
        "line break": token + "\n",
        "leading blank": " " + token,
        "trailing bytes": f"{head}.{body}.{signature}AAAA",
        "a fourth segment": token + ".x",
        "a trailing dot": token + ".",
        "unused bits set": f"{head}.{body}.{signature[:-1]}{twin}",
        "plain alphabet": f"{head}.{body}.{signature[:-4]}+/+/",
        "no signature": f"{head}.{body}.",
        "no signature segment": f"{head}.{body}",
        "signature of nothing": f"{head}.{body}.AA",
        "zero signature": f"{head}.{body}.{'A' * 86}",
        "empty": "",
        "dots": "..",
        "not ASCII": token + "é",
        "surrogate": token + "\ud800",
        "NUL": token + "\x00",
        "oversized": f"{head}.{body}{'A' * 17000}.{signature}",
        "JSON serialization": json.dumps({"payload": body, "protected": head, "signature": signature}),
    }


@pytest.mark.spec("RFC 7515 §2")
@pytest.mark.parametrize("name", spellings("a.b.c"))
async def test_a_token_has_one_spelling(name: str, issuer: FakeIssuer, verifier: Verifier) -> None:
    token = issuer.token(audience=AUDIENCE)
    await verifier.verify(token)

    with pytest.raises(InvalidToken):
        await verifier.verify(spellings(token)[name])


@pytest.mark.spec("RFC 8725 §2.4")
@pytest.mark.parametrize("where", ["header", "claims", "nested"])
async def test_duplicate_members_are_refused(where: str, issuer: FakeIssuer, verifier: Verifier) -> None:
    head, body, _ = issuer.token(audience=AUDIENCE).split(".")
    header, claims = (base64.urlsafe_b64decode(part + "==") for part in (head, body))
    if where == "header":
        header = header[:-1] + b',"alg":"ES256"}'
    elif where == "claims":
        claims = claims[:-1] + b',"sub":"admin"}'
    else:
        claims = claims[:-1] + b',"x":{"a":1,"a":2}}'

    with pytest.raises(InvalidToken):
        await verifier.verify(resign(issuer, header, claims))


@pytest.mark.parametrize(
    "body", [b"[]", b"1", b"null", b"{}", b"", b"\xff", b'{"exp":NaN}', b"[" * 9000, b'{"exp":' + b"9" * 5000]
)
async def test_claims_that_are_no_object_are_refused(body: bytes, issuer: FakeIssuer, verifier: Verifier) -> None:
    head = json.dumps({"typ": "at+jwt", "alg": "ES256", "kid": issuer.keys[0].kid}).encode()

    with pytest.raises(InvalidToken):
        await verifier.verify(resign(issuer, head, body))


@pytest.mark.spec("RFC 8725 §2.1")
@pytest.mark.parametrize("encoding", ["pem", "der", "jwk"])
@pytest.mark.parametrize("kind", ["RSA", "EC"])
async def test_a_public_key_is_not_a_shared_secret(kind: str, encoding: str) -> None:
    key = jwk.RSAKey.generate_key(2048) if kind == "RSA" else jwk.ECKey.generate_key("P-256")
    public = {**key.as_dict(private=False), "kid": "k"}
    secret = {
        "pem": key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": key.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(public).encode(),
    }[encoding]
    # An oct key in the JWKS must not become a way in either.
    keys = {"keys": [public, {"kty": "oct", "kid": "o", "k": b64(secret)}]}
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=keys)))
    verifier = Verifier("https://identity.example", AUDIENCE, "https://identity.example/jwks", http)

    for key_id in ("k", "o", None):
        header = {"alg": "HS256", "kid": key_id}
        text = FakeIssuer().token(audience=AUDIENCE, header=header).rsplit(".", 1)[0]
        forged = f"{text}.{b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"
        with pytest.raises(InvalidToken):
            await verifier.verify(forged)


@pytest.mark.parametrize(
    ("algorithm", "named"),
    [
        ("ES256", None),
        ("Ed25519", None),
        ("EdDSA", "Ed25519"),
        ("Ed25519", "EdDSA"),
        ("RS256", None),
        ("PS256", None),
        ("RS256", "RS256"),
        ("PS256", "PS256"),
    ],
)
async def test_each_allowed_algorithm_verifies(algorithm: str, named: str | None) -> None:
    key: jwk.ECKey | jwk.OKPKey | jwk.RSAKey
    match algorithm[:2]:
        case "ES":
            key = jwk.ECKey.generate_key("P-256")
        case "Ed":
            key = jwk.OKPKey.generate_key("Ed25519")
        case _:
            key = jwk.RSAKey.generate_key(2048)
    public = {**key.as_dict(private=False), "kid": "k"} | ({"alg": named} if named else {})
    text = FakeIssuer().token(audience=AUDIENCE, header={"alg": algorithm, "kid": "k"}).rsplit(".", 1)[0]
    model = jws.JWSRegistry.algorithms["Ed25519" if algorithm == "EdDSA" else algorithm]
    token = f"{text}.{b64(model.sign(text.encode(), key))}"
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json={"keys": [public]})))
    verifier = Verifier("https://identity.example", AUDIENCE, "https://identity.example/jwks", http)

    caller = await verifier.verify(token)

    assert caller.client_id == "test-client"


@pytest.mark.parametrize("change", [{"alg": "PS256"}, {"use": "enc"}, {"key_ops": ["sign"]}, {"kid": 7}])
async def test_a_key_serves_only_what_it_is_published_for(change: dict[str, object]) -> None:
    key = jwk.RSAKey.generate_key(2048)
    other = jwk.ECKey.generate_key("P-256")
    keys = {
        "keys": [
            {**key.as_dict(private=False), "kid": "k", **change},
            {**other.as_dict(private=False), "kid": "other"},
        ]
    }
    text = FakeIssuer().token(audience=AUDIENCE, header={"alg": "RS256", "kid": "k"}).rsplit(".", 1)[0]
    token = f"{text}.{b64(jws.JWSRegistry.algorithms['RS256'].sign(text.encode(), key))}"
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=keys)))
    verifier = Verifier("https://identity.example", AUDIENCE, "https://identity.example/jwks", http)

    with pytest.raises(InvalidToken):
        await verifier.verify(token)


async def test_a_forged_signature_is_refused(verifier: Verifier) -> None:
    mallory = FakeIssuer()

    with pytest.raises(InvalidToken):
        await verifier.verify(mallory.token(audience=AUDIENCE))


async def test_a_remembered_token_still_expires(issuer: FakeIssuer) -> None:
    clock = [datetime(2026, 1, 1, tzinfo=UTC)]
    verifier = Verifier(issuer.issuer, AUDIENCE, keys=issuer.key_source(), now=lambda: clock[0])
    token = issuer.token(audience=AUDIENCE, issued_at=clock[0], lifetime=timedelta(minutes=5))
    await verifier.verify(token)

    clock[0] += timedelta(minutes=5, seconds=29)
    await verifier.verify(token)
    clock[0] += timedelta(seconds=2)

    with pytest.raises(InvalidToken, match="expired"):
        await verifier.verify(token)


async def test_a_remembered_token_goes_with_its_key(issuer: FakeIssuer, verifier: Verifier) -> None:
    token = issuer.token(audience=AUDIENCE)
    await verifier.verify(token)

    issuer.rotate(keep_old=False)
    await verifier.keys.refresh()

    with pytest.raises(InvalidToken):
        await verifier.verify(token)


async def test_the_memory_of_tokens_is_bounded(issuer: FakeIssuer) -> None:
    verifier = Verifier(issuer.issuer, AUDIENCE, keys=issuer.key_source(), cache_size=3)

    for _ in range(10):
        await verifier.verify(issuer.token(audience=AUDIENCE))

    assert len(verifier._cache) == 3


def test_plain_http_is_for_this_machine_only() -> None:
    KeySource("http://localhost:8081")
    KeySource("http://127.0.0.1:8081")
    KeySource("http://identity:8081", plain_http=True)

    for url in ("http://identity:8081", "http://127.0.0.1.evil.example", "ftp://localhost", "localhost"):
        with pytest.raises(ValueError, match="http"):
            KeySource(url)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ANY
@given(text=st.text() | st.from_regex(r"[A-Za-z0-9_\-=]{0,20}(\.[A-Za-z0-9_\-=]{0,20}){0,4}"))
async def test_malformed_text_only_ever_raises_the_sdks_errors(text: str, verifier: Verifier) -> None:
    with pytest.raises(SdkError):
        await verifier.verify(text)


CLAIM_NAMES = ("iss", "aud", "sub", "client_id", "iat", "exp", "nbf", "jti", "scope", "roles")


@ANY
@given(member=st.sampled_from(["typ", "alg", "kid", "crit", "x"]), claim=st.sampled_from(CLAIM_NAMES), value=JSON)
async def test_any_json_value_in_any_place_only_ever_raises_the_sdks_errors(
    member: str, claim: str, value: object, issuer: FakeIssuer, verifier: Verifier
) -> None:
    odd_header = issuer.token(audience=AUDIENCE, header={member: value})
    odd_claim = issuer.token(audience=AUDIENCE, claims={claim: value})

    for token in (odd_header, odd_claim):
        with contextlib.suppress(SdkError):
            await verifier.verify(token)
