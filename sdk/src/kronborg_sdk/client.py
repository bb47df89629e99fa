"""Calling other services as yourself: an httpx authentication that gets and renews a client-credentials token."""

import asyncio
import base64
import json
import re
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import quote_plus

import httpx

from kronborg_sdk.errors import TokenRequestFailed
from kronborg_sdk.urls import require_safe

MAX_BODY = 64 * 1024
# Some servers leave expires_in out (RFC 6749 §5.1); then a token is kept this long.
_ASSUMED_LIFETIME = 60.0
_ERROR_CODE = re.compile(r"[a-z_]{1,64}")


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float
    expires_at: float


class ClientCredentials(httpx.Auth):
    """Adds `Authorization: Bearer …` to each request, for `httpx.AsyncClient` and `httpx.Client` alike.

    One token is shared by all requests until `early` before it expires; however many requests need a new one,
    one asks for it. While the token endpoint is away the old token is used for as long as it is valid. A 401 is
    answered once with a fresh token. Use one instance per audience (`resource`, RFC 8707), and only on clients that
    talk to that audience: every request they send carries the token.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str | Callable[[], str],
        *,
        scope: str | None = None,
        resource: str | None = None,
        early: timedelta = timedelta(seconds=30),
        timeout: timedelta = timedelta(seconds=10),
        http: httpx.AsyncClient | None = None,
        sync_http: httpx.Client | None = None,
        plain_http: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`client_secret` may be a function, asked before each token request, so that secrets can rotate."""
        self._token_url = require_safe(token_url, plain_http=plain_http)
        self._client_id = client_id
        self._client_secret = client_secret
        self._form = {"grant_type": "client_credentials"}
        if scope is not None:
            self._form["scope"] = scope
        if resource is not None:
            self._form["resource"] = resource
        self._early = early.total_seconds()
        self._timeout = timeout.total_seconds()
        self._http = http
        self._sync_http = sync_http
        self._monotonic = monotonic
        self._token: _Token | None = None
        self._async_lock = asyncio.Lock()
        self._thread_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"ClientCredentials(token_url={self._token_url!r}, client_id={self._client_id!r})"

    async def token(self, *, not_this: str | None = None) -> str:
        """The current access token; `not_this` is one that was refused. Raises `TokenRequestFailed`."""
        fresh = self._fresh(not_this)
        if fresh is not None:
            return fresh
        async with self._async_lock:
            fresh = self._fresh(not_this)  # somebody else may have asked while we waited
            if fresh is not None:
                return fresh
            try:
                self._token = self._read(await self._request())
            except httpx.HTTPError:
                return self._fallback(not_this)
            return self._token.value

    def token_sync(self, *, not_this: str | None = None) -> str:
        """As `token`, for synchronous code."""
        fresh = self._fresh(not_this)
        if fresh is not None:
            return fresh
        with self._thread_lock:
            fresh = self._fresh(not_this)
            if fresh is not None:
                return fresh
            try:
                self._token = self._read(self._request_sync())
            except httpx.HTTPError:
                return self._fallback(not_this)
            return self._token.value

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        token = await self.token()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401 and _is_replayable(request):
            request.headers["Authorization"] = f"Bearer {await self.token(not_this=token)}"
            yield request

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self.token_sync()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401 and _is_replayable(request):
            request.headers["Authorization"] = f"Bearer {self.token_sync(not_this=token)}"
            yield request

    def _fresh(self, not_this: str | None) -> str | None:
        token = self._token
        if token is None or token.value == not_this or self._monotonic() >= token.renew_at:
            return None
        return token.value

    def _fallback(self, not_this: str | None) -> str:
        token = self._token
        if token is not None and token.value != not_this and self._monotonic() < token.expires_at:
            return token.value
        raise TokenRequestFailed("the token endpoint cannot be reached") from None

    def _headers(self) -> dict[str, str]:
        secret = self._client_secret if isinstance(self._client_secret, str) else self._client_secret()
        # RFC 6749 §2.3.1: both are form-encoded first, then joined and base64-encoded.
        pair = f"{quote_plus(self._client_id)}:{quote_plus(secret)}".encode()
        return {
            "Authorization": "Basic " + base64.b64encode(pair).decode("ascii"),
            "Accept": "application/json",
        }

    async def _request(self) -> tuple[int, bytes]:
        if self._http is not None:
            return await self._post(self._http)
        async with httpx.AsyncClient() as http:
            return await self._post(http)

    async def _post(self, http: httpx.AsyncClient) -> tuple[int, bytes]:
        body = b""
        # Redirects are not followed: the secret is for the token endpoint only.
        async with http.stream(
            "POST",
            self._token_url,
            data=self._form,
            headers=self._headers(),
            timeout=self._timeout,
            follow_redirects=False,
            auth=None,
        ) as answer:
            async for chunk in answer.aiter_bytes():
                body = _grown(body, chunk)
        return answer.status_code, body

    def _request_sync(self) -> tuple[int, bytes]:
        if self._sync_http is not None:
            return self._post_sync(self._sync_http)
        with httpx.Client() as http:
            return self._post_sync(http)

    def _post_sync(self, http: httpx.Client) -> tuple[int, bytes]:
        body = b""
        with http.stream(
            "POST",
            self._token_url,
            data=self._form,
            headers=self._headers(),
            timeout=self._timeout,
            follow_redirects=False,
            auth=None,
        ) as answer:
            for chunk in answer.iter_bytes():
                body = _grown(body, chunk)
        return answer.status_code, body

    def _read(self, answer: tuple[int, bytes]) -> _Token:
        status, content = answer
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            raise TokenRequestFailed("the token endpoint's answer is not JSON") from None
        if not isinstance(body, dict):
            raise TokenRequestFailed("the token endpoint's answer is not a JSON object")
        if status != 200:
            error = body.get("error")
            known = isinstance(error, str) and _ERROR_CODE.fullmatch(error) is not None
            raise TokenRequestFailed("the token request was refused", error=str(error) if known else None)
        value, kind = body.get("access_token"), body.get("token_type")
        if not isinstance(value, str) or not isinstance(kind, str) or kind.lower() != "bearer":
            raise TokenRequestFailed("the token endpoint's answer holds no bearer token")
        lifetime = body.get("expires_in", _ASSUMED_LIFETIME)
        if isinstance(lifetime, bool) or not isinstance(lifetime, int | float):
            lifetime = _ASSUMED_LIFETIME
        now = self._monotonic()
        # A token that lives shorter than twice `early` is renewed at half its life.
        return _Token(value, now + max(lifetime - self._early, lifetime / 2), now + lifetime)


def _is_replayable(request: httpx.Request) -> bool:
    return isinstance(request.stream, httpx.ByteStream)


def _grown(body: bytes, chunk: bytes) -> bytes:
    if len(body) + len(chunk) > MAX_BODY:
        raise TokenRequestFailed("the token endpoint's answer is too large")
    return body + chunk
