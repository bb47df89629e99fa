"""DPoP proofs as a client makes them, right ones and wrong ones."""

from __future__ import annotations

import base64
import hashlib
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

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
