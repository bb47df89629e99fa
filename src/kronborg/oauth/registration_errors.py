"""The refusals of dynamic registration (RFC 7591 §3.2.2, RFC 6750 §3.1).

OAuthError
├─ InvalidRedirectUri            RFC 7591 §3.2.2
├─ InvalidClientMetadata         RFC 7591 §3.2.2
├─ UnapprovedSoftwareStatement   RFC 7591 §3.2.2
└─ InvalidToken                  RFC 6750 §3.1; 401 with a challenge
"""

from __future__ import annotations

from kronborg.clients.registration_metadata import metadata_name
from kronborg.core.errors import Invalid
from kronborg.tokens.errors import OAuthError

MOST_TOLD = 5


class InvalidRedirectUri(OAuthError):
    """One of the redirect URIs may not be registered."""

    error = "invalid_redirect_uri"


class InvalidClientMetadata(OAuthError):
    """Some other member may not be registered so."""

    error = "invalid_client_metadata"


class UnapprovedSoftwareStatement(OAuthError):
    """The request brings a software statement."""

    error = "unapproved_software_statement"


class InvalidToken(OAuthError):
    """The initial or registration access token does not allow this."""

    error = "invalid_token"
    status = 401
    headers = ((b"www-authenticate", b'Bearer realm="kronborg", error="invalid_token"'),)


def refusal_of(invalid: Invalid) -> OAuthError:
    """What is wrong with metadata, by its names, as one sentence in the characters of RFC 6749 §5.2."""
    told = [f"{metadata_name(problem.where)}: {problem.detail}" for problem in invalid.problems[:MOST_TOLD]]
    text = "; ".join(told).replace('"', "'").replace("\\", "/")
    redirects = all(problem.where.startswith("redirect_uris") for problem in invalid.problems)
    return (InvalidRedirectUri if redirects else InvalidClientMetadata)(text.encode("ascii", "replace").decode())
