"""User codes (RFC 8628 §6.1): eight letters that a person reads on one screen and types on another. Pure."""

from __future__ import annotations

import re
import secrets

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no words come out, and nothing that is read as something else. 20^8 is 34.5 bits: with a bounded
number of tries in ten minutes nobody guesses one (§5.1)."""
LENGTH = 8

_TYPED = re.compile(rf"[{ALPHABET}]{{{LENGTH}}}", re.ASCII)
_BETWEEN = re.compile(r"[\s\-_.·‐-―]+")


def new_user_code() -> str:
    """A new code, as it is kept: eight letters."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def shown(code: str) -> str:
    """The code as people see it: `WDJB-MJHT`."""
    return f"{code[:4]}-{code[4:]}"


def typed(text: str) -> str | None:
    """The code that somebody typed, whatever the case and whatever stands between; None when it can be none.

    RFC 8628 §6.1: the server should ignore what is not in its alphabet; letters outside it are typing mistakes, though,
    and dropping them would make another code of the rest.
    """
    if len(text) > 64:
        return None
    plain = _BETWEEN.sub("", text).upper()
    return plain if _TYPED.fullmatch(plain) else None
