"""DPoP proofs as a client makes them, right ones and wrong ones."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from kronborg.core.base64url import b64
from kronborg.core.jose import unb64
from token_site import ISSUER

TOKEN = f"{ISSUER}/oauth/token"


class Unbounded(jws.JWSRegistry):
    """Signs whatever a test wants signed."""

    max_header_length = 1 << 16

    def check_header(self, header: Any) -> None:
        """Anything goes."""


def ec_key() -> ECKey:
    return ECKey.generate_key("P-256")


@dataclass
class Prover:
    """Holds one key."""

    key: ECKey | OKPKey | RSAKey = field(default_factory=ec_key)
    alg: str = "ES256"

    @property
    def jkt(self) -> str:
        return self.key.thumbprint()

    def proof(
        self,
        now: datetime,
        url: str = TOKEN,
        method: str = "POST",
        *,
        token: str | None = None,
        header: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A proof; what is given replaces or (None) removes a claim or a header."""
        usual: dict[str, Any] = {"jti": uuid.uuid4().hex, "htm": method, "htu": url, "iat": int(now.timestamp())}
        if token is not None:
            usual["ath"] = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        public = {name: value for name, value in self.key.as_dict(private=False).items() if name != "kid"}
        head = {"typ": "dpop+jwt", "alg": self.alg, "jwk": public, **(header or {})}
        said = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        kept = {name: value for name, value in head.items() if value is not None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # EdDSA is the older name of Ed25519
            return jwt.encode(kept, said, self.key, algorithms=[self.alg], registry=Unbounded(algorithms=[self.alg]))


def malformed(now: datetime) -> dict[str, str]:
    """What is no proof at all, or not signed by the key in it."""
    prover, other = Prover(), Prover()
    seconds = int(now.timestamp())
    private: dict[str, Any] = {"header": {"jwk": prover.key.as_dict(private=True)}}
    good = prover.proof(now)
    head, body, signature = good.split(".")
    return {
        "two in one header": f"{good}, {good}",
        "not a JWT": "a.b",
        "empty": "",
        "padding": f"{good}=",
        "oversized": prover.proof(now, more="x" * 5000),
        "another type": prover.proof(now, header={"typ": "JWT"}),
        "an access token's type": prover.proof(now, header={"typ": "at+jwt"}),
        "no type": prover.proof(now, header={"typ": None}),
        "no key": prover.proof(now, header={"jwk": None}),
        "a key that is text": f"{_encoded({**_decoded(head), 'jwk': 'x'})}.{body}.{signature}",
        "another key": prover.proof(now, header={"jwk": other.key.as_dict(private=False)}),
        "a private key": prover.proof(now, **private),
        "a symmetric key": _hmac(b"0" * 32, good, {"jwk": {"kty": "oct", "k": b64(b"0" * 32)}}),
        "the public key as a secret": _hmac(prover.key.as_pem(private=False), good, {}),
        "alg none": f"{_encoded({**_decoded(head), 'alg': 'none'})}.{body}.{signature}",
        "no signature": f"{head}.{body}.",
        "a foreign signature": ".".join([head, body, other.proof(now).split(".")[2]]),
        "crit": prover.proof(now, header={"crit": ["exp"], "exp": seconds + 60}),
        "unencoded": f"{_encoded({**_decoded(head), 'b64': False})}.{body}.{signature}",
        "a member twice": f"{b64(_twice(head))}.{body}.{signature}",
    }


def misplaced(now: datetime) -> dict[str, str]:
    """Proofs for another request, or for another moment."""
    prover, seconds = Prover(), int(now.timestamp())
    return {
        "no jti": prover.proof(now, jti=None),
        "a jti that is a number": prover.proof(now, jti=7),
        "a jti with a control character": prover.proof(now, jti="a\nb"),
        "a long jti": prover.proof(now, jti="j" * 300),
        "no method": prover.proof(now, htm=None),
        "another method": prover.proof(now, htm="GET"),
        "the method in small letters": prover.proof(now, htm="post"),
        "no URL": prover.proof(now, htu=None),
        "another URL": prover.proof(now, htu=f"{ISSUER}/oauth/userinfo"),
        "another host": prover.proof(now, htu=TOKEN.replace("localhost", "attacker.example")),
        "another port": prover.proof(now, htu=TOKEN.replace("8081", "8082")),
        "a user in the URL": prover.proof(now, htu=TOKEN.replace("//", "//a@")),
        "a URL that is a list": prover.proof(now, htu=[TOKEN]),
        "no moment": prover.proof(now, iat=None),
        "an old one": prover.proof(now, iat=seconds - 90),
        "one ahead": prover.proof(now, iat=seconds + 60),
        "a moment that is text": prover.proof(now, iat=str(seconds)),
        "a moment that is true": prover.proof(now, iat=True),
        "expired": prover.proof(now, exp=seconds - 60),
        "not yet": prover.proof(now, nbf=seconds + 60),
    }


def _decoded(part: str) -> dict[str, Any]:
    return dict(json.loads(unb64(part)))


def _encoded(header: dict[str, Any]) -> str:
    return b64(json.dumps(header).encode())


def _twice(head: str) -> bytes:
    return unb64(head).replace(b"{", b'{"typ":"dpop+jwt",', 1)


def _hmac(secret: bytes, good: str, header: dict[str, Any]) -> str:
    head, body, _ = good.split(".")
    signed = f"{_encoded({**_decoded(head), 'alg': 'HS256', **header})}.{body}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"
