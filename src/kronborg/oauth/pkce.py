"""Proof Key for Code Exchange (RFC 7636), S256 only."""

from __future__ import annotations

import hashlib
import hmac
import re

from kronborg.core.base64url import b64
from kronborg.oauth.errors import InvalidGrant, InvalidRequest

_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}", re.ASCII)
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def is_challenge(text: str) -> bool:
    """Whether this can be an S256 challenge: 32 bytes in base64url."""
    return _CHALLENGE.fullmatch(text) is not None


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 §4.2)."""
    return b64(hashlib.sha256(verifier.encode()).digest())


def check(verifier: str | None, challenge: str | None) -> None:
    """Raise unless verifier and challenge belong together; none of both belongs together too.

    Raises `InvalidRequest` for a malformed verifier, `InvalidGrant` for a wrong, missing or unasked one.
    """
    if challenge is None:
        # RFC 9700 §2.1.1, §4.8.2: a verifier without a challenge shows a downgraded or injected code.
        if verifier is not None:
            raise InvalidGrant("the code was issued without a code_challenge")
        return
    if verifier is None:
        raise InvalidGrant("code_verifier is missing")
    if not _VERIFIER.fullmatch(verifier):
        raise InvalidRequest("code_verifier must be 43 to 128 unreserved characters")
    if not hmac.compare_digest(challenge_of(verifier), challenge):
        raise InvalidGrant("code_verifier does not match")
