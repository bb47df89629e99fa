"""Identifiers and machine-made secrets."""

from __future__ import annotations

import itertools
import os
import secrets
import time

from kronborg.core.base64url import b64


def new_id() -> str:
    """A UUID version 7 (RFC 9562 §5.7) as text: unique, and sortable by the time it was made."""
    noise = os.urandom(10)
    # Version 7 in the high nibble of octet 6, variant 10 in the high bits of octet 8.
    high, low = (noise[0] & 0x0F) | 0x70, (noise[2] & 0x3F) | 0x80
    text = f"{time.time_ns() // 1_000_000:012x}{high:02x}{noise[1]:02x}{low:02x}{noise[3:].hex()}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def random_token(size: int = 32) -> str:
    """`size` random bytes as unpadded base64url text (43 characters for 32 bytes)."""
    return b64(secrets.token_bytes(size))


_process = secrets.token_hex(8)
_requests = itertools.count(secrets.randbits(24))


def next_request_id() -> str:
    """An id for a request: unique, cheap, and no secret. The process, then a number in the process."""
    return f"{_process}-{next(_requests):08x}"


def token_id() -> str:
    """128 random bits in hexadecimal, for the `jti` of a token (RFC 7519 §4.1.7)."""
    return os.urandom(16).hex()
