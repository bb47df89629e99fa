"""Base64url without padding (RFC 7515 §2): bytes as they stand in tokens, cookies and addresses."""

from __future__ import annotations

import base64


def b64(raw: bytes) -> str:
    """Unpadded base64url."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_b64(text: str) -> bytes:
    """The bytes again, however careless the text; raises `ValueError`. For tokens of others see `jose.unb64`."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
