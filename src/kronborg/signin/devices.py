"""Known devices: a signed cookie that says which accounts have signed in with this browser, and nothing else.

It opens nothing by itself; it only gives a browser its own allowance of wrong passwords (see `throttle`).
"""

from __future__ import annotations

import hmac
import re

from kronborg.core.base64url import b64
from kronborg.core.crypto import Vault
from kronborg.core.ids import random_token

MAX_ACCOUNTS = 4
_SEPARATOR = "~"
_ENTRY = re.compile(r"[A-Za-z0-9-]{1,64}\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}")


def known_device(vault: Vault, cookie: str | None, user_id: str) -> str | None:
    """The device's id for this user, if the cookie proves that the user has signed in with it."""
    for entry in (cookie or "").split(_SEPARATOR)[:MAX_ACCOUNTS]:
        owner, _, rest = entry.partition(".")
        device, _, mac = rest.partition(".")
        if owner == user_id and hmac.compare_digest(mac.encode(), _mac(vault, owner, device).encode()):
            return device
    return None


def remember_device(vault: Vault, cookie: str | None, user_id: str) -> str:
    """The cookie after `user_id` has signed in: its entry first, then up to three others."""
    device = known_device(vault, cookie, user_id) or random_token(16)
    entries = [entry for entry in (cookie or "").split(_SEPARATOR) if _ENTRY.fullmatch(entry)]
    others = [entry for entry in entries if not entry.startswith(f"{user_id}.")]
    return _SEPARATOR.join((f"{user_id}.{device}.{_mac(vault, user_id, device)}", *others[: MAX_ACCOUNTS - 1]))


def _mac(vault: Vault, user_id: str, device: str) -> str:
    digest = vault.digest(f"{user_id}\n{device}", context="signin.device")
    return b64(digest)
