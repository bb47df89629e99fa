"""Refusals of the authorization endpoint, named as the specifications name them.

NoRedirect                      a page: there is no address that may be trusted with the answer
OAuthError (tokens.errors)      a redirect to the client, with `error`
├─ InvalidScope, InvalidTarget  tokens.errors
├─ MalformedRequest             RFC 6749 §4.1.2.1  invalid_request
├─ UnauthorizedClient           RFC 6749 §4.1.2.1
├─ UnsupportedResponseType      RFC 6749 §4.1.2.1
├─ AccessDenied                 RFC 6749 §4.1.2.1
├─ RequestNotSupported          OIDC Core §3.1.2.6
├─ RequestUriNotSupported       OIDC Core §3.1.2.6
├─ LoginRequired                OIDC Core §3.1.2.6
└─ ConsentRequired              OIDC Core §3.1.2.6
"""

from __future__ import annotations

from kronborg.core.errors import Refusal
from kronborg.tokens.errors import OAuthError


class NoRedirect(Refusal):
    """The client or its redirect URI is not to be trusted: the person reads a page (RFC 6749 §4.1.2.1)."""


class UnsupportedResponseType(OAuthError):
    """Anything but `code`: there is no implicit and no hybrid flow here (RFC 9700 §2.1.2)."""

    error = "unsupported_response_type"


class AccessDenied(OAuthError):
    """The person said no."""

    error = "access_denied"


class RequestNotSupported(OAuthError):
    """Request objects are not taken."""

    error = "request_not_supported"


class RequestUriNotSupported(OAuthError):
    """References to request objects are not followed."""

    error = "request_uri_not_supported"


class LoginRequired(OAuthError):
    """`prompt=none`, and the person would have to sign in."""

    error = "login_required"


class ConsentRequired(OAuthError):
    """`prompt=none`, and the person would have to consent."""

    error = "consent_required"
