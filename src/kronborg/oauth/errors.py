"""The refusals of the protocol endpoints, named as the specifications name them, and how they are answered.

OAuthError (tokens.errors)
├─ InvalidRequest         RFC 6749 §5.2
├─ InvalidClient          RFC 6749 §5.2; 401 with a challenge when it came by the Authorization header
├─ UnauthorizedClient     RFC 6749 §5.2
├─ UnsupportedGrantType   RFC 6749 §5.2
├─ InvalidDpopProof       RFC 9449 §5
└─ UseDpopNonce           RFC 9449 §8; carries the nonce to use
"""

from __future__ import annotations

from kronborg.tokens.errors import InvalidGrant, InvalidScope, InvalidTarget, OAuthError

__all__ = [
    "InvalidClient",
    "InvalidDpopProof",
    "InvalidGrant",
    "InvalidRequest",
    "InvalidScope",
    "InvalidTarget",
    "OAuthError",
    "UnauthorizedClient",
    "UnsupportedGrantType",
    "UseDpopNonce",
]


class InvalidRequest(OAuthError):
    """A parameter is missing, malformed or repeated, or more than one way of authentication was used."""

    error = "invalid_request"


class InvalidClient(OAuthError):
    """The client is unknown or disabled, or its authentication failed. One text for all of these."""

    error = "invalid_client"
    status = 401

    def __init__(self, detail: str = "client authentication failed", *, by_header: bool = False) -> None:
        super().__init__(detail)
        self.by_header = by_header


class UnauthorizedClient(OAuthError):
    """The client is known and may not use this grant."""

    error = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """The server has no such grant."""

    error = "unsupported_grant_type"


class InvalidDpopProof(OAuthError):
    """The DPoP proof is missing where it must be, malformed, for another request, too old, or was used before."""

    error = "invalid_dpop_proof"


class UseDpopNonce(OAuthError):
    """The DPoP proof must carry the nonce that comes with this answer."""

    error = "use_dpop_nonce"

    def __init__(self, nonce: str) -> None:
        super().__init__("the DPoP proof must carry the nonce of the DPoP-Nonce header")
        self.headers = ((b"dpop-nonce", nonce.encode()),)
