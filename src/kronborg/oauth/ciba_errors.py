"""What the backchannel authentication endpoint refuses (CIBA §13).

OAuthError (tokens.errors)
├─ UnknownUser             unknown_user_id
└─ InvalidBindingMessage   invalid_binding_message
"""

from __future__ import annotations

from kronborg.tokens.errors import OAuthError


class UnknownUser(OAuthError):
    """The hint names nobody who could be asked. One answer for unknown and disabled."""

    error = "unknown_user_id"

    def __init__(self) -> None:
        super().__init__("the hint names nobody who could be asked")


class InvalidBindingMessage(OAuthError):
    """The binding message cannot be shown as it is."""

    error = "invalid_binding_message"

    def __init__(self) -> None:
        super().__init__("binding_message must be 1 to 64 visible characters on one line")
