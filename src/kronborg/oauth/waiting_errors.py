"""What a client is told that asks for a request which waits for its person.

OAuthError (tokens.errors)
├─ AuthorizationPending   RFC 8628 §3.5, CIBA §11
├─ SlowDown               RFC 8628 §3.5, CIBA §11
├─ Denied                 RFC 8628 §3.5, CIBA §11  access_denied
└─ ExpiredToken           RFC 8628 §3.5, CIBA §11
"""

from __future__ import annotations

from kronborg.tokens.errors import OAuthError


class AuthorizationPending(OAuthError):
    """The person has not answered yet: ask again after the pause."""

    error = "authorization_pending"

    def __init__(self) -> None:
        super().__init__("the person has not answered yet")


class SlowDown(OAuthError):
    """The person has not answered yet, and the client asks too often: the pause is five seconds longer from now on."""

    error = "slow_down"

    def __init__(self) -> None:
        super().__init__("the client asks too often: the pause is five seconds longer from now on")


class Denied(OAuthError):
    """The person said no."""

    error = "access_denied"

    def __init__(self) -> None:
        super().__init__("the person did not allow it")


class ExpiredToken(OAuthError):
    """Nobody answered in time: begin again."""

    error = "expired_token"

    def __init__(self) -> None:
        super().__init__("nobody answered in time: begin again")
