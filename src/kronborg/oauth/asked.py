"""Since when a request waits for its user, and whether that user allowed exactly this: marks that prove it.

When the user has to be asked again (`prompt=login`, `max_age`), the address to come back to carries a mark: the moment
of asking and a MAC over it, the request, and the browser. A sign-in after that moment answers the request; without the
mark, or with an old one, it is asked anew. Nothing is stored, whoever takes `prompt=login` out of the address has
another request, and a mark is worth nothing in another browser.

A second mark, for the session of a person, says that they allowed what the request asks for in particular
(RFC 9396 §11.2): such a yes is for this request alone, and is not remembered for another.
"""

from __future__ import annotations

import hmac
import re
from datetime import datetime, timedelta
from urllib.parse import quote

from kronborg.core.base64url import b64
from kronborg.core.crypto import Vault
from kronborg.core.db import from_micros, to_micros
from kronborg.oauth.authorize_request import ALLOWED, MARK

LIFETIME = timedelta(hours=1)
"""An answer counts for this long after the question; then the question is put again."""

_MARK = re.compile(r"(?P<micros>[0-9]{1,16})\.(?P<mac>[A-Za-z0-9_-]{43})")
_ASKED = "authorize-asked"
_ALLOWED = "authorize-allowed"


def asked_query(vault: Vault, query: str, browser: str, *, now: datetime) -> str:
    """The request with a mark that its user is asked at `now`, in this browser."""
    return f"{query}&{MARK}={quote(_mark(vault, _ASKED, query, browser, now=now))}"


def asked_at(vault: Vault, query: str, mark: str | None, browser: str | None, *, now: datetime) -> datetime | None:
    """When the user was asked; None if not at all, too long ago, elsewhere, or if the mark is not ours."""
    return None if browser is None else _moment(vault, _ASKED, query, browser, mark, now=now)


def allowed_query(vault: Vault, query: str, session_id: str, *, now: datetime) -> str:
    """What to add to the request so that it says: allowed at `now`, in this session."""
    return f"{ALLOWED}={quote(_mark(vault, _ALLOWED, query, session_id, now=now))}"


def is_allowed(vault: Vault, query: str, mark: str | None, session_id: str, *, now: datetime) -> bool:
    """Whether exactly this request was allowed in this session, not long ago."""
    return _moment(vault, _ALLOWED, query, session_id, mark, now=now) is not None


def _mark(vault: Vault, context: str, query: str, bound_to: str, *, now: datetime) -> str:
    micros = to_micros(now)
    return f"{micros}.{_mac(vault, context, query, bound_to, micros)}"


def _moment(
    vault: Vault, context: str, query: str, bound_to: str, mark: str | None, *, now: datetime
) -> datetime | None:
    found = _MARK.fullmatch(mark or "")
    if found is None:
        return None
    micros = int(found["micros"])
    if not hmac.compare_digest(found["mac"], _mac(vault, context, query, bound_to, micros)):
        return None
    moment = from_micros(micros)
    return moment if timedelta() <= now - moment <= LIFETIME else None


def _mac(vault: Vault, context: str, query: str, bound_to: str, micros: int) -> str:
    digest = vault.digest(f"{micros}\n{bound_to}\n{query}", context=context)
    return b64(digest)
