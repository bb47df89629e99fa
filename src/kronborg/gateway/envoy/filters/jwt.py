"""Verification of access tokens (RFC 9068) inside Envoy: signature, issuer, expiry; claims become headers.

A request needs a token unless its route says otherwise, and a protected route names the audience the token
must be for. The type and the scopes are checked per route by the `access` filter. Verified tokens are cached;
their expiry and audience are checked again on each hit. Each claim that becomes a header costs about as much
as the signature's cache, so there are only those that something reads.
"""

from __future__ import annotations

from collections.abc import Sequence

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.access_model import TokenIssuer
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Route, Snapshot
from kronborg.gateway.revocation_model import CANARY

NAME = "jwt"
CLIENT = "x-kronborg-client"
SCOPE = "x-kronborg-scope"
SUBJECT = "x-kronborg-subject"
TOKEN = "x-kronborg-token"  # noqa: S105
SESSION = "x-kronborg-session"
GRANT = "x-kronborg-grant"
ISSUER = "x-kronborg-issuer"
"""Written from verified claims only; whatever came in under these names was stripped before. The last one is there only
on tokens of another issuer."""

PAYLOAD = "payload"
METADATA = "envoy.filters.http.jwt_authn"
_TYPE = "envoy.extensions.filters.http.jwt_authn.v3."
# The last three are for the access records: what a token, a session or a grant touched.
_CLAIMS = (
    *((CLIENT, "client_id"), (SCOPE, "scope"), (SUBJECT, "sub")),
    *((TOKEN, "jti"), (SESSION, "sid"), (GRANT, "gid")),
)
_PLAIN = "token"
_WITH_ROLES = "token_with_roles"
_ROLES_MARK = " roles"
_SKEW_SECONDS = 5
_OTHER = "issuer:"
_NOBODY = "urn:kronborg:nobody"


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
                **{_OTHER + one.name: _foreign(snapshot, one) for one in snapshot.issuers if one.jwks},
            },
            rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": _PLAIN}}],
            requirement_map=_requirements(snapshot),
            strip_failure_response=True,
        ),
    }


def route_config(route: Route, snapshot: Snapshot) -> JsonObject:
    """The requirement of a protected route: its audience, and the payload when roles or claims are asked for."""
    return typed(_TYPE + "PerRouteConfig", requirement_name=_requirement(route, snapshot))


def issuers_of(route: Route, snapshot: Snapshot) -> tuple[TokenIssuer, ...]:
    """The other issuers whose tokens a route takes, those without any key left out."""
    return tuple(one for one in snapshot.issuers if one.name in route.issuers and one.jwks)


def reads_payload(route: Route) -> bool:
    """Whether something on this route asks for claims that no header carries."""
    inside = any(rule.roles or rule.claims for rule in route.rules)
    limited = any(one is not None and one.per == "claim" for one in (route.spike_arrest, route.rate_limit))
    return bool(route.roles) or inside or limited or route.policy is not None


def shown_claims(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """By issuer, the claims that become headers."""
    own = {snapshot.issuer: tuple(claim for _, claim in _CLAIMS)}
    return own | {one.issuer: tuple(claim for _, claim in _names(one)) for one in snapshot.issuers}


def _requirement(route: Route, snapshot: Snapshot) -> str:
    name = (route.audience or "") + (_ROLES_MARK if reads_payload(route) else "")
    others = " ".join(sorted(one.name for one in issuers_of(route, snapshot)))
    return f"{name} {_OTHER}{others}" if others else name


def _requirements(snapshot: Snapshot) -> JsonObject:
    """One requirement for each API, so that the listener changes with the APIs and not with the routes.

    Only where a route takes the tokens of others too, there is one for each such choice.
    """
    requirements: dict[str, JsonValue] = {}
    for audience in sorted({CANARY, *(audience.uri for audience in snapshot.audiences)}):
        for name, provider in ((audience, _PLAIN), (audience + _ROLES_MARK, _WITH_ROLES)):
            requirements[name] = _for(provider, (audience,))
    for route in snapshot.routes:
        others = issuers_of(route, snapshot)
        if route.audience is not None and others:
            own = _for(_WITH_ROLES if reads_payload(route) else _PLAIN, (route.audience,))
            theirs = [
                _for(_OTHER + one.name, [each.audience for each in one.audiences if each.api == route.audience])
                for one in others
            ]
            requirements[_requirement(route, snapshot)] = {"requires_any": {"requirements": [own, *theirs]}}
    return requirements


def _for(provider: str, audiences: Sequence[str]) -> JsonObject:
    # Without any audience Envoy would take tokens for anybody.
    named = list(audiences) or [_NOBODY]
    return {"provider_and_audiences": {"provider_name": provider, "audiences": named}}


def _provider(snapshot: Snapshot, keys: str) -> dict[str, JsonValue]:
    return {
        "issuer": snapshot.issuer,
        "local_jwks": {"inline_string": keys},
        "forward": True,
        # Named, because by default Envoy also takes ?access_token= (RFC 6750 section 2.3 discourages it).
        # RFC 9110 section 11.1: the scheme is case-insensitive; these spellings are in use.
        "from_headers": [
            {"name": "authorization", "value_prefix": "Bearer "},
            {"name": "authorization", "value_prefix": "bearer "},
            # RFC 9449 section 7.1
            {"name": "authorization", "value_prefix": "DPoP "},
            {"name": "authorization", "value_prefix": "dpop "},
        ],
        "require_expiration": True,
        "clock_skew_seconds": _SKEW_SECONDS,
        "jwt_cache_config": {"jwt_cache_size": snapshot.limits.cached_tokens},
        "claim_to_headers": [{"header_name": header, "claim_name": claim} for header, claim in _CLAIMS],
    }


def _foreign(snapshot: Snapshot, issuer: TokenIssuer) -> dict[str, JsonValue]:
    """Another issuer: its own keys and no others, and a header that says whose token it was."""
    return {
        **_provider(snapshot, issuer.jwks),
        "issuer": issuer.issuer,
        "payload_in_metadata": PAYLOAD,
        "claim_to_headers": [{"header_name": header, "claim_name": claim} for header, claim in _names(issuer)],
    }


def _names(issuer: TokenIssuer) -> tuple[tuple[str, str], ...]:
    return (
        *((CLIENT, issuer.client_claim), (SUBJECT, issuer.subject_claim), (SCOPE, issuer.scope_claim)),
        *((TOKEN, "jti"), (ISSUER, "iss")),
    )
