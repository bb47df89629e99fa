"""Connecting to somebody's account: authorization code with PKCE for a confidential client (RFC 6749, RFC 7636).

The connection is a refresh token; with it a token is asked for each service by `resource` (RFC 8707). When the
person withdraws consent the refresh token dies, and `Disconnected` says so.
"""

import base64
import hashlib
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import compare_digest, token_urlsafe
from urllib.parse import quote_plus, urlencode

import httpx

from kronborg_shop.settings import Settings, audience_of

SCOPES = "openid profile catalogue:read cart:write"
SERVICES = ("catalogue", "cart")
USERINFO = "userinfo"  # the issuer's own API


class Disconnected(Exception):
    """The connection has ended: withdrawn, expired or never made."""


class ConnectFailed(Exception):
    """Connecting did not work; `reason` is fixed text for the person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unreachable(Exception):
    """The issuer or the gateway does not answer."""


@dataclass(frozen=True, slots=True)
class Pending:
    """What must still be known when the browser comes back."""

    state: str = field(default_factory=token_urlsafe)
    nonce: str = field(default_factory=token_urlsafe)
    verifier: str = field(default_factory=lambda: token_urlsafe(48))


@dataclass(slots=True)
class Connection:
    """An account that somebody connected, and the tokens it has given."""

    subject: str
    name: str
    refresh_token: str = field(repr=False)
    access: dict[str, tuple[str, float]] = field(default_factory=dict, repr=False)


class Connector:
    """The OAuth client of the wish list."""

    def __init__(self, settings: Settings, redirect_uri: str, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._redirect_uri = redirect_uri
        self._http = http

    def address(self, pending: Pending) -> str:
        """Where the browser goes to ask for consent."""
        digest = hashlib.sha256(pending.verifier.encode()).digest()
        parameters = [
            ("response_type", "code"),
            ("client_id", self._settings.client_id),
            ("redirect_uri", self._redirect_uri),
            ("scope", SCOPES),
            ("state", pending.state),
            ("nonce", pending.nonce),
            ("code_challenge", base64.urlsafe_b64encode(digest).rstrip(b"=").decode()),
            ("code_challenge_method", "S256"),
            *(("resource", audience_of(service)) for service in SERVICES),
        ]
        return f"{self._settings.issuer}/oauth/authorize?{urlencode(parameters)}"

    async def finish(self, pending: Pending | None, answer: dict[str, str]) -> Connection:
        """Use the answer the browser brought back. Raises `ConnectFailed`, `Unreachable`."""
        if pending is None or not compare_digest(answer.get("state", "").encode(), pending.state.encode()):
            raise ConnectFailed("This connection was not started here. Please start again.")
        # RFC 9207 §2.4: the issuer names itself in every answer.
        if answer.get("iss") != self._settings.issuer:
            raise ConnectFailed("The answer came from an unexpected issuer. Please start again.")
        if answer.get("error") == "access_denied":
            raise ConnectFailed("You said no, and that is fine. Nothing was shared.")
        if "error" in answer or "code" not in answer:
            raise ConnectFailed("Connecting did not work. Please start again.")
        tokens = await self._ask(
            {
                "grant_type": "authorization_code",
                "code": answer["code"],
                "redirect_uri": self._redirect_uri,
                "code_verifier": pending.verifier,
                "resource": audience_of("catalogue"),
            }
        )
        if tokens is None:
            raise ConnectFailed("Connecting did not work. Please start again.")
        claims = self._read_id_token(tokens.get("id_token"), pending.nonce)
        connection = Connection(
            subject=str(claims["sub"]), name="you", refresh_token=str(tokens.get("refresh_token", ""))
        )
        _keep(connection, "catalogue", tokens)
        with suppress(Disconnected, Unreachable):
            await self.confirm(connection)
        return connection

    async def confirm(self, connection: Connection) -> None:
        """Ask the issuer who this is (OIDC Core 5.3), which also tells whether the connection still stands.

        Tokens for a service may be good a little longer than the consent behind them; the issuer knows at once.
        Raises `Disconnected`, `Unreachable`.
        """
        answer = await self._request(connection, "GET", f"{self._settings.issuer}/oauth/userinfo", USERINFO)
        if answer.status_code != 200:
            raise Unreachable
        claims = answer.json()
        # OIDC Core 5.3.2: claims about somebody else must not be used.
        if claims.get("sub") != connection.subject:
            raise Disconnected
        connection.name = str(claims.get("name") or claims.get("preferred_username") or "you")[:80]

    async def call(
        self, connection: Connection, method: str, path: str, body: dict[str, object] | None = None
    ) -> httpx.Response:
        """Call a service through the gateway on the person's behalf. Raises `Disconnected`, `Unreachable`."""
        return await self._request(connection, method, self._settings.gateway_url + path, path.split("/")[1], body)

    async def _request(
        self,
        connection: Connection,
        method: str,
        url: str,
        service: str,
        body: dict[str, object] | None = None,
    ) -> httpx.Response:
        """One call with a token for `service`; a refused token is replaced once."""
        for _ in range(2):
            token = await self._token(connection, service)
            try:
                answer = await self._http.request(method, url, json=body, headers={"Authorization": f"Bearer {token}"})
            except httpx.HTTPError:
                raise Unreachable from None
            if answer.status_code != 401:
                return answer
            connection.access.pop(service, None)
        raise Disconnected

    async def disconnect(self, connection: Connection) -> None:
        """Give the tokens back (RFC 7009); best effort, because the connection is forgotten anyway."""
        form = {"token": connection.refresh_token, "token_type_hint": "refresh_token"}
        try:
            await self._http.post(f"{self._settings.issuer}/oauth/revoke", data=form, headers=self._basic())
        except httpx.HTTPError:
            return

    def _resource(self, service: str) -> str:
        return f"{self._settings.issuer}/oauth/userinfo" if service == USERINFO else audience_of(service)

    async def _token(self, connection: Connection, service: str) -> str:
        token, until = connection.access.get(service, ("", 0.0))
        if time.monotonic() < until:
            return token
        if not connection.refresh_token:
            raise Disconnected
        tokens = await self._ask(
            {
                "grant_type": "refresh_token",
                "refresh_token": connection.refresh_token,
                "resource": self._resource(service),
            }
        )
        if tokens is None:
            raise Disconnected
        connection.refresh_token = str(tokens.get("refresh_token", connection.refresh_token))
        return _keep(connection, service, tokens)

    async def _ask(self, form: dict[str, str]) -> dict[str, object] | None:
        """The token endpoint's answer; None when it says no."""
        try:
            answer = await self._http.post(f"{self._settings.issuer}/oauth/token", data=form, headers=self._basic())
            body = answer.json()
        except (httpx.HTTPError, ValueError):
            raise Unreachable from None
        if answer.status_code >= 500 or answer.status_code == 429:
            raise Unreachable
        return body if answer.status_code == 200 and isinstance(body, dict) else None

    def _basic(self) -> dict[str, str]:
        # RFC 6749 §2.3.1: form-encode first.
        pair = f"{quote_plus(self._settings.client_id)}:{quote_plus(self._settings.client_secret())}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    def _read_id_token(self, token: object, nonce: str) -> dict[str, object]:
        """The claims, which came from the token endpoint itself (OIDC Core 3.1.3.7, point 6)."""
        try:
            segment = str(token).split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
        except (IndexError, ValueError):
            raise ConnectFailed("The answer could not be read. Please start again.") from None
        audience = claims.get("aud")
        is_good = (
            claims.get("iss") == self._settings.issuer
            and audience in (self._settings.client_id, [self._settings.client_id])
            and claims.get("nonce") == nonce
            and isinstance(claims.get("sub"), str)
            and isinstance(claims.get("exp"), int)
            and claims["exp"] > time.time() - 30
        )
        if not is_good:
            raise ConnectFailed("The answer was not meant for this connection. Please start again.")
        return dict(claims)


def _keep(connection: Connection, service: str, tokens: dict[str, object]) -> str:
    lifetime = tokens.get("expires_in")
    seconds = float(lifetime) if isinstance(lifetime, int | float) else 60.0
    token = str(tokens.get("access_token", ""))
    connection.access[service] = (token, time.monotonic() + max(seconds - 20, seconds / 2))
    return token
