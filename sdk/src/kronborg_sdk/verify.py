"""Verification of JWT access tokens (RFC 9068), strictly: whatever is not clearly right is refused."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import httpx

from kronborg_sdk.compact import decode_object, parse
from kronborg_sdk.errors import InvalidToken
from kronborg_sdk.jwks import KeySource
from kronborg_sdk.principal import Principal

MAX_TOKEN_BYTES = 16 * 1024
# Beyond this a NumericDate is not a date that Python (or anybody) can hold.
_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Verifier:
    """Turns an access token into a `Principal`, or raises.

    `audience` is this service's own identifier: a token made for another service is refused. Verified tokens
    are remembered by their whole digest, at most `cache_size` of them, and only while the issuer's key
    set stays the same; times are checked again on every call.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        jwks_uri: str | None = None,
        http: httpx.AsyncClient | None = None,
        *,
        leeway: timedelta = timedelta(seconds=30),
        max_token_bytes: int = MAX_TOKEN_BYTES,
        cache_size: int = 4096,
        keys: KeySource | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """`keys` replaces the default `KeySource(issuer, jwks_uri, http=http)` to tune or share it."""
        if not issuer or not audience:
            raise ValueError("issuer and audience must not be empty")
        self.issuer = issuer
        self.audience = audience
        self.keys = keys if keys is not None else KeySource(issuer, jwks_uri, http=http)
        self._leeway = leeway
        self._max_token_bytes = max_token_bytes
        self._cache_size = cache_size
        self._cache: OrderedDict[bytes, Principal] = OrderedDict()
        self._cached_for: frozenset[str] = frozenset()
        self._now = now

    async def verify(self, token: str) -> Principal:
        """Verify one access token. Raises `InvalidToken`, or `KeysUnavailable` when it cannot be decided."""
        # Refuse oversized input before spending a hash on it.
        if len(token) > self._max_token_bytes:
            raise InvalidToken("the token is too large")
        await self.keys.ready()
        if self._cached_for != self.keys.fingerprints:
            # A key that left the JWKS takes every token it signed along.
            self._cache.clear()
            self._cached_for = self.keys.fingerprints
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        principal = self._cache.get(digest)
        if principal is None:
            principal = await self._verify(token)
            self._remember(digest, principal)
        else:
            self._cache.move_to_end(digest)
        self._check_times(principal)
        return principal

    async def _verify(self, token: str) -> Principal:
        jws = parse(token, max_bytes=self._max_token_bytes)
        # RFC 9068 §4: any other type of JWT of the same issuer is not an access token.
        if jws.type.lower() not in ("at+jwt", "application/at+jwt"):
            raise InvalidToken("the token is not an access token")
        key = await self.keys.find(jws.key_id, jws.algorithm)
        key.verify(jws.algorithm, jws.signing_input, jws.signature)
        claims = decode_object(jws.payload)
        if _text(claims, "iss") != self.issuer:
            raise InvalidToken("the token comes from another issuer")
        principal = read_principal(claims)
        if self.audience not in principal.audience:
            raise InvalidToken("the token is meant for another service")
        return principal

    def _check_times(self, principal: Principal) -> None:
        now = self._now()
        if principal.expires_at + self._leeway <= now:
            raise InvalidToken("the token has expired")
        if principal.issued_at - self._leeway > now:
            raise InvalidToken("the token was issued in the future")
        not_before = principal.claims.get("nbf")
        if not_before is not None and _moment(principal.claims, "nbf") - self._leeway > now:
            raise InvalidToken("the token is not valid yet")

    def _remember(self, digest: bytes, principal: Principal) -> None:
        # The keys may have changed while this token was being verified; then it is simply not kept.
        if self._cache_size <= 0 or self._cached_for != self.keys.fingerprints:
            return
        self._cache[digest] = principal
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)


def read_principal(claims: Mapping[str, object]) -> Principal:
    """Read the claims RFC 9068 §2.2 requires, each of its proper type. Raises `InvalidToken`."""
    if "nbf" in claims:
        _moment(claims, "nbf")
    return Principal(
        subject=_text(claims, "sub"),
        client_id=_text(claims, "client_id"),
        scopes=_scopes(claims.get("scope", "")),
        roles=_texts(claims.get("roles", [])),
        audience=_audience(claims.get("aud")),
        issued_at=_moment(claims, "iat"),
        expires_at=_moment(claims, "exp"),
        token_id=_text(claims, "jti"),
        claims=MappingProxyType(dict(claims)),
    )


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidToken("the token lacks a required claim")
    return value


def _moment(claims: Mapping[str, object], name: str) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidToken("the token lacks a required time")
    # This form also refuses infinities and integers too large for a float.
    if not 0 <= value < _LATEST:
        raise InvalidToken("a time in the token is out of range")
    return datetime.fromtimestamp(value, UTC)


def _audience(value: object) -> frozenset[str]:
    audience = frozenset([value]) if isinstance(value, str) else _texts(value)
    if not audience:
        raise InvalidToken("the token lacks an audience")
    return audience


def _scopes(value: object) -> frozenset[str]:
    if not isinstance(value, str):
        raise InvalidToken("a claim of the token has the wrong type")
    return frozenset(value.split(" ")) - {""}


def _texts(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidToken("a claim of the token has the wrong type")
    return frozenset(item for item in value if item)
