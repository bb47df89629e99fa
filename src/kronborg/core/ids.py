"""Identifiers and machine-made secrets."""

from __future__ import annotations

import base64
import os
import secrets
import time
import uuid


def new_id() -> str:
    """A UUID version 7 (RFC 9562 §5.7) as text: unique, and sortable by the time it was made."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return str(uuid.UUID(int=value))


def random_token(size: int = 32) -> str:
    """`size` random bytes as unpadded base64url text (43 characters for 32 bytes)."""
    return base64.urlsafe_b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()
