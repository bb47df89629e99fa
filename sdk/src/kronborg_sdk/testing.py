"""A fake issuer for tests of services: real signatures, no network, no waiting.

issuer = FakeIssuer()
protect(app, issuer.verifier("https://shop.example/catalogue"))
headers = issuer.headers(audience="https://shop.example/catalogue", scopes=["catalogue:read"])
"""

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote_plus
from uuid import uuid4

import httpx
from joserfc import jws
from joserfc.jwk import ECKey

from kronborg_sdk.client import ClientCredentials
from kronborg_sdk.jwks import KeySource
from kronborg_sdk.verify import Verifier


class FakeIssuer:
    """Issues access tokens with its own ES256 key and serves metadata, JWKS and a token endpoint in memory.

    `fetches` counts the requests for the JWKS; while `down` is true every request fails to connect.
    """

    def __init__(self, issuer: str = "https://identity.example") -> None:
        self.issuer = issuer
        self.fetches = 0
        self.token_requests: list[dict[str, str]] = []
        self.down = False
        self.keys = [_new_key()]

    @property
    def jwks_uri(self) -> str:
        """Where `transport()` answers with the JWKS."""
        return f"{self.issuer}/oauth/jwks"

    @property
    def token_url(self) -> str:
        """Where `transport()` answers to client credentials."""
        return f"{self.issuer}/oauth/token"

    def token(
        self,
        *,
        audience: str | list[str],
        scopes: Iterable[str] = (),
        subject: str = "0192f3a0-0000-7000-8000-000000000001",
        client_id: str = "test-client",
        roles: Iterable[str] = (),
        lifetime: timedelta = timedelta(minutes=5),
        issued_at: datetime | None = None,
        claims: Mapping[str, object] | None = None,
        header: Mapping[str, object] | None = None,
    ) -> str:
        """A signed access token. `claims` and `header` overwrite; a value of None takes a member out."""
        now = issued_at if issued_at is not None else datetime.now(UTC)
        body: dict[str, object] = {
            "iss": self.issuer,
            "aud": audience,
            "sub": subject,
            "client_id": client_id,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "jti": str(uuid4()),
            "scope": " ".join(scopes),
        }
        roles = list(roles)
        if roles:
            body["roles"] = roles
        return self.sign({**body, **(claims or {})}, header)

    def machine_token(self, client_id: str, *, audience: str, scopes: Iterable[str] = ()) -> str:
        """A token of a client acting for itself."""
        return self.token(audience=audience, scopes=scopes, subject=client_id, client_id=client_id)

    def headers(self, *, audience: str, scopes: Iterable[str] = (), subject: str | None = None) -> dict[str, str]:
        """Request headers with a fresh token."""
        if subject is None:
            return {"Authorization": f"Bearer {self.token(audience=audience, scopes=scopes)}"}
        token = self.token(audience=audience, scopes=scopes, subject=subject)
        return {"Authorization": f"Bearer {token}"}

    def sign(self, claims: Mapping[str, object], header: Mapping[str, object] | None = None) -> str:
        """Sign any claims with the newest key."""
        key = self.keys[-1]
        head: dict[str, object] = {"typ": "at+jwt", "alg": "ES256", "kid": key.kid, **(header or {})}
        text = ".".join(_segment({k: v for k, v in part.items() if v is not None}) for part in (head, claims))
        model = jws.JWSRegistry.algorithms["ES256"]
        return f"{text}.{_base64url(model.sign(text.encode(), key))}"

    def rotate(self, *, keep_old: bool = True) -> None:
        """Begin to sign with a new key; without `keep_old` the JWKS forgets the others."""
        self.keys = [*(self.keys if keep_old else []), _new_key()]

    def jwks(self) -> dict[str, object]:
        """The public keys."""
        return {"keys": [{**key.as_dict(private=False), "alg": "ES256", "use": "sig"} for key in self.keys]}

    def transport(self) -> httpx.MockTransport:
        """The issuer as an httpx transport, for async and sync clients."""
        return httpx.MockTransport(self._handle)

    def key_source(self) -> KeySource:
        """A source of this issuer's keys."""
        return KeySource(self.issuer, http=httpx.AsyncClient(transport=self.transport()))

    def verifier(self, audience: str) -> Verifier:
        """A verifier that trusts this issuer."""
        return Verifier(self.issuer, audience, keys=self.key_source())

    def client_credentials(
        self, client_id: str, *, scope: str | None = None, resource: str | None = None
    ) -> ClientCredentials:
        """A token source that asks this issuer; any secret is good."""
        return ClientCredentials(
            self.token_url,
            client_id,
            "a secret",
            scope=scope,
            resource=resource,
            http=httpx.AsyncClient(transport=self.transport()),
            sync_http=httpx.Client(transport=self.transport()),
        )

    def _handle(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("the issuer is down", request=request)
        match request.method, request.url.path:
            case "GET", "/.well-known/openid-configuration":
                return httpx.Response(200, json={"issuer": self.issuer, "jwks_uri": self.jwks_uri})
            case "GET", "/oauth/jwks":
                self.fetches += 1
                return httpx.Response(200, json=self.jwks())
            case "POST", "/oauth/token":
                return self._give_token(request)
            case _:
                return httpx.Response(404)

    def _give_token(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        client_id, _, secret = (unquote_plus(part) for part in pair.partition(":"))
        self.token_requests.append({**form, "client_id": client_id, "client_secret": secret})
        if form.get("grant_type") != "client_credentials":
            return httpx.Response(400, json={"error": "unsupported_grant_type"})
        token = self.machine_token(
            client_id, audience=form.get("resource", self.issuer), scopes=form.get("scope", "").split()
        )
        return httpx.Response(200, json={"access_token": token, "token_type": "Bearer", "expires_in": 300})


def _new_key() -> ECKey:
    key = ECKey.generate_key("P-256")
    key.ensure_kid()
    return key


def _segment(value: Mapping[str, object]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
