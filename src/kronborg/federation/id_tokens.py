"""What a provider signs: ID tokens (OIDC Core §3.1.3.7) and logout tokens (OIDC Back-Channel Logout §2.6)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from kronborg.core.base64url import b64
from kronborg.core.fetch import Fetcher, Unreachable
from kronborg.core.jose import BadJwt, BadKey, Jwt, PublicKey, numeric_date, parse, public_key, verify
from kronborg.core.json import JsonObject
from kronborg.federation.model import ALGORITHMS, Attempt
from kronborg.federation.presets import Known
from kronborg.federation.upstream import Endpoints, UpstreamRefused

SKEW = timedelta(seconds=60)
OLDEST = timedelta(minutes=15)
"""An ID token comes straight from the token endpoint: one that was issued long ago is not ours."""
MAX_KEYS = 50
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_TENANT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def check_id_token(
    fetcher: Fetcher,
    known: Known,
    endpoints: Endpoints,
    attempt: Attempt,
    text: str,
    *,
    access_token: str,
    asked_at: datetime,
    now: datetime,
) -> JsonObject:
    """The claims of an ID token that was made for this very attempt. Raises `UpstreamRefused`."""
    try:
        jwt = await _signed(fetcher, known, endpoints, text, types=("jwt",), now=now)
        _check_common(jwt, known, endpoints, now=now)
        _check_times(jwt, now=now)
        # OIDC Core §3.1.3.7 item 11: the nonce that we sent.
        if attempt.nonce and not _same(jwt.claims.get("nonce"), attempt.nonce):
            raise BadJwt("another nonce")
        # OIDC Core §3.1.3.8: made together with this access token.
        if "at_hash" in jwt.claims and not _same(jwt.claims["at_hash"], _left_half(jwt, access_token)):
            raise BadJwt("made with another access token")
        if attempt.again:
            _check_anew(jwt, known, asked_at)
        _subject(jwt)
    except BadJwt as error:
        raise UpstreamRefused(f"the ID token is not believed: {error}") from error
    return jwt.claims


async def check_logout_token(
    fetcher: Fetcher, known: Known, endpoints: Endpoints, text: str, *, now: datetime
) -> JsonObject:
    """The claims of a logout token. Raises `UpstreamRefused`. The caller sees to it that its `jti` is used once."""
    try:
        jwt = await _signed(fetcher, known, endpoints, text, types=("logout+jwt", "jwt"), now=now)
        _check_common(jwt, known, endpoints, now=now)
        _check_times(jwt, now=now)
        events = jwt.claims.get("events")
        # OIDC Back-Channel Logout §2.6 items 5 to 7.
        if not isinstance(events, Mapping) or not isinstance(events.get(LOGOUT_EVENT), Mapping):
            raise BadJwt("no logout event")
        if "nonce" in jwt.claims:
            raise BadJwt("an ID token")
        if not any(_is_name(jwt.claims.get(name)) for name in ("sub", "sid")):
            raise BadJwt("neither sub nor sid")
        if not _is_name(jwt.claims.get("jti")):
            raise BadJwt("no jti")
    except BadJwt as error:
        raise UpstreamRefused(f"the logout token is not believed: {error}") from error
    return jwt.claims


async def _signed(
    fetcher: Fetcher, known: Known, endpoints: Endpoints, text: str, *, types: Sequence[str], now: datetime
) -> Jwt:
    """The JWT, signed by a key of the provider. Raises `BadJwt`."""
    jwt = parse(text)
    # OIDC Core §2: `typ` is not required of ID tokens.
    jwt = jwt if "typ" in jwt.header else Jwt({**jwt.header, "typ": "JWT"}, jwt.claims, jwt.compact)
    # RFC 8725 §3.1: asymmetric ones alone, and those that this provider may use; never what the token wishes.
    if jwt.header.get("alg") not in (known.settings.algorithms or ALGORITHMS):
        raise BadJwt("another algorithm")
    kid = jwt.header.get("kid")
    keys = await keys_at(fetcher, endpoints.jwks_uri, now=now)
    if isinstance(kid, str) and all(key.kid != kid for key in keys):
        keys = await keys_at(fetcher, endpoints.jwks_uri, now=now, renew=True)
    verify(jwt, keys, types=types)
    return jwt


async def keys_at(fetcher: Fetcher, uri: str, *, now: datetime, renew: bool = False) -> tuple[PublicKey, ...]:
    """The keys that a provider publishes and that we take. Raises `UpstreamRefused`."""
    accept = ("application/json", "application/jwk-set+json")
    try:
        found = await fetcher.document(uri, accept=accept, now=now, renew=renew)
    except Unreachable as refusal:
        raise UpstreamRefused(f"the keys could not be fetched: {refusal.reason}") from refusal
    members = found.get("keys")
    keys = []
    for member in members[:MAX_KEYS] if isinstance(members, Sequence) and not isinstance(members, str) else ():
        if isinstance(member, Mapping):
            try:
                keys.append(public_key(member))
            except BadKey:
                continue
    return tuple(keys)


def _check_common(jwt: Jwt, known: Known, endpoints: Endpoints, *, now: datetime) -> None:
    claims = jwt.claims
    if claims.get("iss") != _issuer(jwt, endpoints):
        raise BadJwt("another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, Sequence) and not isinstance(audience, str) else (audience,)
    # OIDC Core §3.1.3.7 items 3 to 5: for us, and if for others too, then on our behalf.
    if known.settings.client_id not in audiences:
        raise BadJwt("another audience")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != known.settings.client_id:
        raise BadJwt("made for another party")
    expires_at = numeric_date(claims.get("exp"))
    if expires_at is not None and expires_at + SKEW <= now:
        raise BadJwt("expired")


def _issuer(jwt: Jwt, endpoints: Endpoints) -> str:
    """The issuer it must have. Where metadata name any tenant, the token names one, and both say the same."""
    if "{tenantid}" not in endpoints.issuer:
        return endpoints.issuer
    tenant = jwt.claims.get("tid")
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        raise BadJwt("no tenant")
    return endpoints.issuer.replace("{tenantid}", tenant)


def _check_times(jwt: Jwt, *, now: datetime) -> None:
    issued_at, expires_at = numeric_date(jwt.claims.get("iat")), numeric_date(jwt.claims.get("exp"))
    if expires_at is None:
        raise BadJwt("no exp")
    if issued_at is None or not now - OLDEST <= issued_at <= now + SKEW:
        raise BadJwt("issued at another time")
    not_before = numeric_date(jwt.claims.get("nbf"))
    if "nbf" in jwt.claims and (not_before is None or not_before > now + SKEW):
        raise BadJwt("not valid yet")


def _check_anew(jwt: Jwt, known: Known, asked_at: datetime) -> None:
    """OIDC Core §3.1.2.1, `max_age`: when the person was asked there. Some providers of the presets do not say."""
    auth_time = numeric_date(jwt.claims.get("auth_time"))
    if auth_time is None and not known.provider.settings.preset:
        raise BadJwt("no auth_time")
    if auth_time is not None and auth_time < asked_at - SKEW:
        raise BadJwt("the person was not asked again")


def _subject(jwt: Jwt) -> str:
    subject = jwt.claims.get("sub")
    if not _is_name(subject) or not isinstance(subject, str):
        raise BadJwt("no sub")
    return subject


def _is_name(value: object) -> bool:
    """OIDC Core §2: `sub` has at most 255 characters; nothing else is longer."""
    return isinstance(value, str) and 0 < len(value) <= 255 and value.isprintable()


def _left_half(jwt: Jwt, access_token: str) -> str:
    # OIDC Core §3.1.3.6: the left half of the hash that the algorithm uses; Ed25519 uses SHA-512.
    hash_ = hashlib.sha512 if jwt.header.get("alg") in ("Ed25519", "EdDSA") else hashlib.sha256
    digest = hash_(access_token.encode()).digest()
    return b64(digest[: len(digest) // 2])


def _same(given: object, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), expected.encode())
