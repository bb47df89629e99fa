"""Verification of access tokens (RFC 9068) inside Envoy: signature, issuer, expiry; claims become headers.

A request needs a token unless its route says otherwise, and a protected route names the audience the token
must be for. The type and the scopes are checked per route by the `access` filter. Verified tokens are cached;
their expiry and audience are checked again on each hit. Each claim that becomes a header costs about as much
as the signature's cache, so there are only those that something reads.
"""

from __future__ import annotations

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Route, Snapshot

NAME = "jwt"
CLIENT = "x-kronborg-client"
SCOPE = "x-kronborg-scope"
SUBJECT = "x-kronborg-subject"
"""Written from verified claims only; whatever came in under these names was stripped before."""

PAYLOAD = "payload"
METADATA = "envoy.filters.http.jwt_authn"
_TYPE = "envoy.extensions.filters.http.jwt_authn.v3."
_CLAIMS = ((CLIENT, "client_id"), (SCOPE, "scope"), (SUBJECT, "sub"))
_PLAIN = "token"
_WITH_ROLES = "token_with_roles"
_ROLES_MARK = " roles"
_SKEW_SECONDS = 5


def listener_filter(snapshot: Snapshot, keys: str) -> JsonObject:
    """`keys` is the issuer's public JWKS as JSON text: verification never waits for another process."""
    plain = _provider(snapshot, keys)
    return {
        "name": NAME,
        "typed_config": typed(
            _TYPE + "JwtAuthentication",
            providers={
                _PLAIN: plain,
                # An array claim cannot become a header, so routes that ask for roles read the payload.
                _WITH_ROLES: {**plain, "payload_in_metadata": PAYLOAD},
            },
            rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": _PLAIN}}],
            requirement_map=_requirements(snapshot),
            strip_failure_response=True,
        ),
    }


def route_config(route: Route) -> JsonObject:
    """The requirement of a protected route: its audience, and the payload when roles are asked for."""
    audience = route.audience or ""
    return typed(_TYPE + "PerRouteConfig", requirement_name=audience + _ROLES_MARK if route.roles else audience)


def _requirements(snapshot: Snapshot) -> JsonObject:
    """One requirement for each API, so that the listener changes with the APIs and not with the routes."""
    requirements: dict[str, JsonValue] = {}
    for audience in sorted(audience.uri for audience in snapshot.audiences):
        for name, provider in ((audience, _PLAIN), (audience + _ROLES_MARK, _WITH_ROLES)):
            requirements[name] = {"provider_and_audiences": {"provider_name": provider, "audiences": [audience]}}
    return requirements


def _provider(snapshot: Snapshot, keys: str) -> dict[str, JsonValue]:
    return {
        "issuer": snapshot.issuer,
        "local_jwks": {"inline_string": keys},
        "forward": True,
        # Named, because by default Envoy also takes ?access_token= (RFC 6750 section 2.3 discourages it).
        # RFC 9110 section 11.1: the scheme is case-insensitive; these two spellings are in use.
        "from_headers": [
            {"name": "authorization", "value_prefix": "Bearer "},
            {"name": "authorization", "value_prefix": "bearer "},
        ],
        "require_expiration": True,
        "clock_skew_seconds": _SKEW_SECONDS,
        "jwt_cache_config": {"jwt_cache_size": snapshot.limits.cached_tokens},
        "claim_to_headers": [{"header_name": header, "claim_name": claim} for header, claim in _CLAIMS],
    }
