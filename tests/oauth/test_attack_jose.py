"""Every trick with a JWT at every door that takes one: nothing is believed that its own signer did not sign as it is.

A row is a forgery, a column a door. What a door takes when it is genuine is tried too: no refusal is an accident.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey

from kronborg.clients.model import ClientDraft
from kronborg.core.base64url import b64
from kronborg.core.ids import token_id
from kronborg.core.jose import unb64
from kronborg.core.json import JsonObject
from oauth.flow import ISSUER, WEB, Flow
from oauth.signing import jwks_of, request_claims
from oauth.stateful import ACCESS_TOKEN, BROKER, EXCHANGE
from oauth.test_jwt_bearer import KEY as PARTNER_KEY
from oauth.test_jwt_bearer import bring, trust, vouch

pytestmark = [pytest.mark.anyio, pytest.mark.spec("RFC 8725 §3.1"), pytest.mark.spec("RFC 8725 §3.10")]

MINE = ECKey.generate_key("P-256", {"kid": "one"})
ATTACKER = ECKey.generate_key("P-256", {"kid": "attacker"})
BANK = ClientDraft(
    "bank",
    "Bank",
    auth_method="private_key_jwt",
    jwks=jwks_of(MINE),
    redirect_uris=("https://bank.example/callback",),
    grants=("authorization_code", "client_credentials"),
    scopes=("openid", "catalogue:read"),
)
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Signatures are checked before the database is asked."""
    (tmp_path / "kronborg.db").write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{tmp_path / 'kronborg.db'}"


def es256(key: ECKey, head: bytes, body: bytes) -> str:
    """A JWT of exactly these bytes."""
    message = f"{b64(head)}.{b64(body)}"
    private = key.private_key
    assert isinstance(private, EllipticCurvePrivateKey)
    r, s = decode_dss_signature(private.sign(message.encode(), ECDSA(SHA256())))
    return f"{message}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def hs256(secret: bytes, head: JsonObject, body: bytes) -> str:
    message = f"{b64(orjson.dumps({**head, 'alg': 'HS256'}))}.{b64(body)}"
    return f"{message}.{b64(hmac.digest(secret, message.encode(), hashlib.sha256))}"


@dataclass
class Genuine:
    """A token that its door takes. `key` is its signer's where the test holds it; `public` is what verifies it."""

    text: str
    public: ECKey
    key: ECKey | None = None

    @property
    def head(self) -> JsonObject:
        parsed: JsonObject = orjson.loads(unb64(self.text.split(".")[0]))
        return parsed

    @property
    def body(self) -> bytes:
        return unb64(self.text.split(".")[1])


Door = Callable[[Flow], Awaitable[tuple[Genuine, Callable[[str], Awaitable[bool]]]]]


async def our_key(flow: Flow, text: str) -> ECKey:
    kid = orjson.loads(unb64(text.split(".")[0]))["kid"]
    listed = (await flow.http.get("/oauth/jwks")).json()["keys"]
    return ECKey.import_key(next(key for key in listed if key["kid"] == kid))


async def introspection(flow: Flow) -> tuple[Genuine, Callable[[str], Awaitable[bool]]]:
    text = (await flow.tokens(flow.browser()))["access_token"]

    async def takes(token: str) -> bool:
        return bool((await flow.introspect(token)).get("active"))

    return Genuine(text, await our_key(flow, text)), takes


async def exchange(flow: Flow) -> tuple[Genuine, Callable[[str], Awaitable[bool]]]:
    await flow.client(BROKER)
    text = (await flow.tokens(flow.browser()))["access_token"]

    async def takes(token: str) -> bool:
        form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN}
        return (await flow.token(BROKER, **form)).status_code == 200

    return Genuine(text, await our_key(flow, text)), takes


async def sign_out(flow: Flow) -> tuple[Genuine, Callable[[str], Awaitable[bool]]]:
    browser = flow.browser()
    text = (await flow.tokens(browser))["id_token"]

    async def takes(token: str) -> bool:
        await browser.get(f"/oauth/logout?{urlencode({'id_token_hint': token, 'client_id': WEB.id})}")
        return (await browser.get("/account")).url.path == "/signin"

    return Genuine(text, await our_key(flow, text)), takes


async def client_assertion(flow: Flow) -> tuple[Genuine, Callable[[str], Awaitable[bool]]]:
    await flow.client(BANK)
    now = int(flow.clock.now.timestamp())
    claims = {"iss": "bank", "sub": "bank", "aud": ISSUER, "iat": now, "exp": now + 60, "jti": token_id()}
    head = {"alg": "ES256", "kid": "one", "typ": "client-authentication+jwt"}
    addresses: list[str] = []

    async def takes(token: str) -> bool:
        form = {"grant_type": "client_credentials", "scope": "catalogue:read"}
        proof = {"client_assertion": token, "client_assertion_type": ASSERTION_TYPE}
        # From another address each time: who fails too often has to wait, which would hide the answer.
        addresses.append(f"198.51.100.{len(addresses)}")
        http = flow.site.visitor(address=addresses[-1]).http
        answer = await http.post("/oauth/token", data={**form, **proof})
        assert answer.status_code in (200, 400, 401)
        return answer.status_code == 200

    return Genuine(es256(MINE, orjson.dumps(head), orjson.dumps(claims)), MINE, MINE), takes


async def request_object(flow: Flow) -> tuple[Genuine, Callable[[str], Awaitable[bool]]]:
    await flow.client(BANK)
    browser = flow.browser()
    claims = request_claims(flow, "bank", BANK.redirect_uris[0])
    head = {"alg": "ES256", "kid": "one", "typ": "oauth-authz-req+jwt"}

    async def takes(token: str) -> bool:
        page = await browser.get(f"/oauth/authorize?{urlencode({'client_id': 'bank', 'request': token})}")
        return page.status_code == 200 and page.url.path == "/signin"

    return Genuine(es256(MINE, orjson.dumps(head), orjson.dumps(claims)), MINE, MINE), takes


async def bearer_assertion(flow: Flow) -> tuple[Genuine, Callable[[str], Awaitable[bool]]]:
    await trust(flow)

    async def takes(token: str) -> bool:
        return (await bring(flow, token)).status_code == 200

    return Genuine(vouch(flow), PARTNER_KEY, PARTNER_KEY), takes


DOORS: tuple[Door, ...] = (introspection, exchange, sign_out, client_assertion, request_object, bearer_assertion)


def none_of(spelling: str) -> Callable[[Genuine], str]:
    return lambda one: f"{b64(orjson.dumps({**one.head, 'alg': spelling}))}.{b64(one.body)}."


def by_attacker(**header: object) -> Callable[[Genuine], str]:
    """Signed by somebody else, with a hint where their key is."""
    return lambda one: es256(ATTACKER, orjson.dumps({**one.head, **header}), one.body)


def resigned(**header: object) -> Callable[[Genuine], str | None]:
    """Signed by the right key, with a header that nobody may honour or ignore."""
    return lambda one: None if one.key is None else es256(one.key, orjson.dumps({**one.head, **header}), one.body)


def twice_in_header(one: Genuine) -> str | None:
    head = orjson.dumps(one.head)
    return None if one.key is None else es256(one.key, head[:-1] + b',"alg":"ES256"}', one.body)


def twice_in_claims(one: Genuine) -> str | None:
    return None if one.key is None else es256(one.key, orjson.dumps(one.head), one.body[:-1] + b',"iss":"x"}')


def deep(one: Genuine) -> str | None:
    nested = b'{"x":' * 3000 + b"1" + b"}" * 3000
    return None if one.key is None else es256(one.key, orjson.dumps(one.head), one.body[:-1] + b',"x":' + nested + b"}")


ATTACKER_JWK = ATTACKER.as_dict(private=False)
FORGERIES: dict[str, Callable[[Genuine], str | None]] = {
    "alg none": none_of("none"),
    "alg None": none_of("None"),
    "alg nOnE": none_of("nOnE"),
    "no alg": lambda one: es256(ATTACKER, orjson.dumps({"kid": one.head.get("kid", "one")}), one.body),
    "the public key as a secret, PEM": lambda one: hs256(one.public.as_pem(private=False), one.head, one.body),
    "the public key as a secret, JWK": lambda one: hs256(
        orjson.dumps(one.public.as_dict(private=False)), one.head, one.body
    ),
    "an empty secret": lambda one: hs256(b"", {**one.head, "kid": "../../../../dev/null"}, one.body),
    "a foreign signature": by_attacker(),
    "an unknown kid": by_attacker(kid="nobody"),
    "a kid that is a query": by_attacker(kid="' OR 1=1 --"),
    "a kid that is no text": by_attacker(kid=["one"]),
    "jwk": by_attacker(jwk=ATTACKER_JWK),
    "jwk without kid": by_attacker(kid=None, jwk=ATTACKER_JWK),
    "jku": by_attacker(jku="https://attacker.example/jwks"),
    "x5u": by_attacker(x5u="https://attacker.example/chain.pem"),
    "x5c": by_attacker(x5c=["MIIB"]),
    "crit": resigned(crit=["exp"], exp=1),
    "crit of nothing": resigned(crit=[]),
    "crit b64": resigned(crit=["b64"], b64=False),
    "b64": resigned(b64=False),
    "a member twice in the header": twice_in_header,
    "a claim twice": twice_in_claims,
    "nested deeply": deep,
    "another type": resigned(typ="secevent+jwt"),
    "no signature": lambda one: one.text.rpartition(".")[0] + ".",
    "a cut signature": lambda one: one.text[:-4],
    "padding": lambda one: f"{one.text}=",
    "a fourth part": lambda one: f"{one.text}.AA",
    "bytes after it": lambda one: f"{one.text}\n",
    "another alphabet": lambda one: one.text[:-1] + "+",
    "too long": lambda one: f"{one.text}{'A' * 40_000}",
    "another claim": lambda one: one.text.replace(b64(one.body), b64(one.body[:-1] + b',"admin":1}')),
}


@pytest.mark.spec("RFC 7515 §4.1.11")
@pytest.mark.spec("RFC 8725 §2.1")
@pytest.mark.spec("RFC 8725 §2.4")
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
async def test_no_forgery_opens_a_door_and_the_genuine_one_does(flow: Flow, door: Door) -> None:
    genuine, takes = await door(flow)
    forged = {name: text for name, forge in FORGERIES.items() if (text := forge(genuine)) is not None}

    taken = [name for name, text in forged.items() if await takes(text)]

    assert taken == []
    assert len(forged) >= len(FORGERIES) - 9
    assert await takes(genuine.text)
