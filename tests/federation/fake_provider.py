"""An identity provider on a loopback port that answers as documented, or as an attacker would.

async with fake_provider() as fake:
    await site.provider(fake)                      registered here as `corp`
    back = fake.answer(location)                   what the browser is sent back with, for an authorization URL
    fake.claims["email"] = …                       what the ID token says
    fake.tamper = lambda claims, header: …         changes both just before signing
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from outside import Answer, Asked, Outside, outside

Claims = dict[str, Any]


def _nothing(_claims: Claims, _header: Claims) -> None:
    return None


@dataclass
class FakeProvider:
    """The provider. `codes` are those it gave out, with the authorization request of each."""

    there: Outside
    issuer: str
    client_id: str = "kronborg"
    secret: str = "the secret of kronborg at the provider"
    key: ECKey = field(
        default_factory=lambda: ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    )
    claims: Claims = field(default_factory=dict)
    userinfo: Claims = field(default_factory=lambda: {"sub": "subject-1"})
    emails: list[Claims] | None = None
    tamper: Callable[[Claims, Claims], None] = _nothing
    sign: Callable[[Claims, Claims], str] | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    redeemed: list[dict[str, str]] = field(default_factory=list)
    tells_issuer: bool = True
    with_id_token: bool = True
    metadata: Claims = field(default_factory=dict)

    def serve(self) -> None:
        """Let it answer."""
        self.there.answers["/.well-known/openid-configuration"] = lambda _: Answer(self._metadata())
        self.there.answers["/jwks"] = lambda _: Answer(json.dumps({"keys": [self.key.as_dict(private=False)]}).encode())
        self.there.answers["/token"] = self._token
        self.there.answers["/userinfo"] = lambda _: Answer(json.dumps(self.userinfo).encode())
        self.there.answers["/userinfo/emails"] = lambda _: Answer(json.dumps(self.emails).encode())

    def answer(self, location: str, *, issuer: str | None = None, **changes: str | None) -> str:
        """The path and query of the callback, for the authorization URL that a browser was sent to."""
        asked = dict(parse_qsl(urlsplit(location).query))
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        values: dict[str, str | None] = {"code": code, "state": asked["state"]}
        if self.tells_issuer:
            values["iss"] = issuer or self.issuer
        given = {name: value for name, value in {**values, **changes}.items() if value is not None}
        return f"{urlsplit(asked['redirect_uri']).path}?{urlencode(given)}"

    def id_token(self, asked: dict[str, str], access_token: str) -> str:
        now = int(time.time())
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        claims: Claims = {
            "iss": self.issuer,
            "aud": self.client_id,
            "sub": "subject-1",
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            **({"nonce": asked["nonce"]} if "nonce" in asked else {}),
            **self.claims,
        }
        return self.signed(claims)

    def signed(self, claims: Claims, *, typ: str = "JWT") -> str:
        header: Claims = {"alg": "ES256", "kid": self.key.kid, "typ": typ}
        self.tamper(claims, header)
        if self.sign is not None:
            return self.sign(claims, header)
        return jws.serialize_compact(header, json.dumps(claims), self.key, algorithms=["ES256"])

    def _metadata(self) -> bytes:
        base = self.there.url("")
        return json.dumps(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "userinfo_endpoint": f"{base}/userinfo",
                "jwks_uri": f"{base}/jwks",
                "end_session_endpoint": f"{base}/logout",
                "authorization_response_iss_parameter_supported": self.tells_issuer,
                **self.metadata,
            }
        ).encode()

    def _token(self, asked: Asked) -> Answer:
        form = dict(parse_qsl(asked.body.decode()))
        self.redeemed.append({**form, "authorization": asked.headers.get("authorization", "")})
        request = self.codes.pop(form.get("code", ""), None)
        if request is None or not self._is_proved(request, form) or form["redirect_uri"] != request["redirect_uri"]:
            return Answer(b'{"error": "invalid_grant"}', status=400)
        access_token = f"token-{form['code']}"
        told = {"access_token": access_token, "token_type": "Bearer"}
        if self.with_id_token:
            told["id_token"] = self.id_token(request, access_token)
        return Answer(json.dumps(told).encode())

    def _is_proved(self, request: dict[str, str], form: dict[str, str]) -> bool:
        if "code_challenge" not in request:
            return "code_verifier" not in form
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == request["code_challenge"]


def basic_of(header: str) -> tuple[str, str]:
    """What an Authorization header says (RFC 6749 §2.3.1)."""
    name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    return unquote_plus(name), unquote_plus(secret)


def unsigned(claims: Claims, header: Claims) -> str:
    """A JWT with `alg: none`."""
    parts = ({**header, "alg": "none"}, claims)
    return ".".join((*(_encoded(json.dumps(part).encode()) for part in parts), ""))


def signed_by_text(text: bytes) -> Callable[[Claims, Claims], str]:
    """Signed with HMAC under a text that others know too: the public key, the client secret."""

    def sign(claims: Claims, header: Claims) -> str:
        # By hand: the library refuses to do this.
        parts = [_encoded(json.dumps(part).encode()) for part in ({**header, "alg": "HS256"}, claims)]
        mac = hmac.digest(text, ".".join(parts).encode(), "sha256")
        return ".".join((*parts, _encoded(mac)))

    return sign


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_by_another(kid: str | None) -> Callable[[Claims, Claims], str]:
    """Signed by a key that the provider does not publish, under the name of one that it does."""
    key = RSAKey.generate_key(2048)

    def sign(claims: Claims, header: Claims) -> str:
        head = {**header, "alg": "RS256", **({"kid": kid} if kid else {})}
        return jws.serialize_compact(head, json.dumps(claims), key, algorithms=["RS256"])

    return sign


@asynccontextmanager
async def fake_provider() -> AsyncIterator[FakeProvider]:
    """A running one."""
    async with outside() as there:
        fake = FakeProvider(there, there.url(""))
        fake.serve()
        yield fake
