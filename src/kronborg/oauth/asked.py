"""Since when a request waits for its user: the proof that `prompt=login` and `max_age` were answered, not skipped.

When the user has to be asked again, the address to come back to carries a mark: the moment of asking and a MAC over
it and the request. A sign-in after that moment answers the request; without the mark, or with an old one, it is
asked anew. Nothing is stored, and whoever takes `prompt=login` out of the address has another request.
"""

from __future__ import annotations

import base64
import hmac
import re
from datetime import datetime, timedelta
from urllib.parse import quote

from kronborg.core.crypto import Vault
from kronborg.core.db import from_micros, to_micros
from kronborg.oauth.authorize_request import MARK, AuthorizeRequest

LIFETIME = timedelta(hours=1)
"""An answer counts for this long after the question; then the question is put again."""

_MARK = re.compile(r"(?P<micros>[0-9]{1,16})\.(?P<mac>[A-Za-z0-9_-]{43})")


def asked_query(vault: Vault, request: AuthorizeRequest, *, now: datetime) -> str:
    """The request as a query string that remembers that its user is asked at `now`."""
    query = request.query()
    micros = to_micros(now)
    return f"{query}&{MARK}={quote(f'{micros}.{_mac(vault, query, micros)}')}"


def asked_at(vault: Vault, request: AuthorizeRequest, *, now: datetime) -> datetime | None:
    """When the user was asked; None if not at all, too long ago, or if the mark is not ours."""
    found = _MARK.fullmatch(request.mark or "")
    if found is None:
        return None
    micros = int(found["micros"])
    if not hmac.compare_digest(found["mac"], _mac(vault, request.query(), micros)):
        return None
    asked = from_micros(micros)
    return asked if timedelta() <= now - asked <= LIFETIME else None


def _mac(vault: Vault, query: str, micros: int) -> str:
    digest = vault.digest(f"{micros}\n{query}", context="authorize-asked")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
