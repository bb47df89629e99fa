"""Refusals of the authorization endpoint, named as the specifications name them.

NoRedirect                         a page: there is no address that may be trusted with the answer
OAuthError (tokens.errors)         told to the client, with `error`
├─ InvalidScope, InvalidTarget     tokens.errors
├─ InvalidRequest                  RFC 6749 §4.1.2.1
├─ UnauthorizedClient              RFC 6749 §4.1.2.1
├─ UnsupportedResponseType         RFC 6749 §4.1.2.1
├─ AccessDenied                    RFC 6749 §4.1.2.1
├─ InvalidRequestObject            RFC 9101 §7
├─ InvalidRequestUri               RFC 9101 §7
├─ RequestNotSupported             RFC 9101 §7
├─ RequestUriNotSupported          RFC 9101 §7
├─ InvalidAuthorizationDetails     RFC 9396 §5
├─ UnmetAuthenticationRequirements OpenID Connect Core Error Code unmet_authentication_requirements §2
├─ LoginRequired                   OIDC Core §3.1.2.6
└─ ConsentRequired                 OIDC Core §3.1.2.6
"""

from __future__ import annotations

from kronborg.core.errors import Refusal
from kronborg.tokens.errors import OAuthError


class NoRedirect(Refusal):
    """The client or its redirect URI is not to be trusted: the person reads a page (RFC 6749 §4.1.2.1)."""

    def __init__(self, detail: str, *, error: str = "invalid_request") -> None:
        super().__init__(detail)
        self.error = error


class UnsupportedResponseType(OAuthError):
    """A response type that there is not."""

    error = "unsupported_response_type"


class AccessDenied(OAuthError):
    """The person said no."""

    error = "access_denied"


class InvalidRequestObject(OAuthError):
    """The request object is not signed by the client, not for us, or does not say what it must."""

    error = "invalid_request_object"


class InvalidRequestUri(OAuthError):
    """The reference leads to nothing, is spent, or came too late."""

    error = "invalid_request_uri"


class RequestNotSupported(OAuthError):
    """The client has no keys to sign a request object with."""

    error = "request_not_supported"


class RequestUriNotSupported(OAuthError):
    """The client registered no address for request objects."""

    error = "request_uri_not_supported"


class InvalidAuthorizationDetails(OAuthError):
    """The authorization details are malformed, of a type that is unknown, or more than was granted."""

    error = "invalid_authorization_details"


class UnmetAuthenticationRequirements(OAuthError):
    """The person cannot sign in as strongly as the client needs."""

    error = "unmet_authentication_requirements"


class LoginRequired(OAuthError):
    """`prompt=none`, and the person would have to sign in."""

    error = "login_required"


class ConsentRequired(OAuthError):
    """`prompt=none`, and the person would have to consent."""

    error = "consent_required"
