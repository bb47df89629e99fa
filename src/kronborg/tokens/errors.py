"""Refusals of this slice, named as OAuth names them.

OAuthError
├─ InvalidGrant    RFC 6749 §5.2
├─ InvalidScope    RFC 6749 §5.2
├─ InvalidTarget   RFC 8707 §2
├─ NoFittingKey    the client is to be sent something encrypted, and has no key for it
└─ Unbound         the API takes bound tokens only
"""

from __future__ import annotations

from typing import ClassVar

from kronborg.core.errors import Refusal


class OAuthError(Refusal):
    """An answer with an `error` code of OAuth; `detail` becomes `error_description`."""

    error: ClassVar[str] = "invalid_request"
    status: ClassVar[int] = 400
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Header fields that the answer needs besides."""


class InvalidGrant(OAuthError):
    """The code or refresh token is unknown, expired, used, revoked, or was given to another client."""

    error = "invalid_grant"


class InvalidScope(OAuthError):
    """The scope is unknown, malformed, or wider than what was granted."""

    error = "invalid_scope"


class InvalidTarget(OAuthError):
    """The resource is unknown, malformed, or not among those granted."""

    error = "invalid_target"


class NoFittingKey(OAuthError):
    """What the client publishes holds no key for the encryption that it registered."""


class Unbound(OAuthError):
    """The API takes tokens only that are bound to a key or a certificate, and the caller proved neither."""
