"""Recovery codes: ten, shown once, each good for one sign-in when everything else is lost.

A code is 49 random bits that a machine made, kept as a keyed digest; guesses are bounded where codes are typed.
"""

from __future__ import annotations

import secrets
from datetime import datetime

from kronborg.core.crypto import Vault
from kronborg.core.db import Session
from kronborg.core.events import record
from kronborg.factors.model import RECOVERY_CODES
from kronborg.factors.store import count_recovery_codes, replace_recovery_codes, use_recovery_code

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters and digits that are not taken for one another."""
LENGTH = 10


async def make_codes(session: Session, vault: Vault, user_id: str, *, actor: str, now: datetime) -> tuple[str, ...]:
    """New recovery codes in place of all older ones, to be shown once."""
    codes = tuple("".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(RECOVERY_CODES))
    await replace_recovery_codes(session, user_id, [_digest(vault, user_id, code) for code in codes], now=now)
    await record(session, "recovery.made", actor=actor, subject=user_id, now=now, detail={"count": len(codes)})
    return tuple(f"{code[:5]}-{code[5:]}" for code in codes)


async def use_code(session: Session, vault: Vault, user_id: str, code: str, *, now: datetime) -> bool:
    """Spend a recovery code; False for one that is wrong or used."""
    typed = "".join(c for c in code.lower() if c.isascii() and c.isalnum())
    if len(typed) != LENGTH:
        return False
    if not await use_recovery_code(session, user_id, _digest(vault, user_id, typed), now=now):
        return False
    left, _ = await count_recovery_codes(session, user_id)
    await record(session, "recovery.used", actor=user_id, subject=user_id, now=now, detail={"left": left})
    return True


def _digest(vault: Vault, user_id: str, code: str) -> bytes:
    return vault.digest(f"{user_id}\n{code}", context="factors.recovery")
