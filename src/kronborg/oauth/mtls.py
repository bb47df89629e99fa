"""Client certificates (RFC 8705): what binds a token to one, and how one proves a client."""

from __future__ import annotations

import hashlib

from kronborg.core.jose import b64


def thumbprint(certificate: bytes) -> str:
    """`x5t#S256` of a certificate in DER (RFC 8705 §3.1)."""
    return b64(hashlib.sha256(certificate).digest())
