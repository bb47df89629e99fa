"""What the pages of backchannel requests show (CIBA §7.2). Plain values; the templates are in `templates/oauth/`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kronborg.oauth.consent_page import ScopeGroup
from kronborg.sessions.model import AccountPage, Visit


@dataclass(frozen=True, slots=True)
class ShownRequest:
    """One request that waits; `href` leads to the page that answers it."""

    href: str
    client_name: str
    verified: bool
    message: str | None
    asked_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RequestsPage(AccountPage):
    """What `oauth/requests.html` shows; `section` is `requests`, `done` a sentence after an answer."""

    requests: tuple[ShownRequest, ...]
    done: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class RequestPage:
    """What `oauth/request.html` asks. The form posts `csrf` and `decision` (`allow` or `deny`) to `request.href`."""

    request: ShownRequest
    person: Visit
    groups: tuple[ScopeGroup, ...]
    now: datetime
