"""What the pages of this slice show: consent, apps with access, sign-out by an app, errors of an authorization.

Plain values, filled by the handlers that own the decisions; the templates are in `templates/oauth/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kronborg.sessions.model import AccountPage, Visit


@dataclass(frozen=True, slots=True)
class ScopeGroup:
    """The scopes of one API, each as a sentence that finishes "this app will be able to ..."."""

    api_name: str
    descriptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownDetail:
    """One of the authorization details (RFC 9396): its type, what it allows, and its other members as lines."""

    type: str
    actions: tuple[str, ...]
    locations: tuple[str, ...]
    members: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ConsentPage:
    """What `oauth/consent.html` asks.

    The form posts `csrf`, every pair of `hidden`, and `decision` (`allow` or `deny`) to `action`. `homepage_host` is
    where the answer goes. `switch_url` signs in as somebody else: `sign_in_url` with `Ticket(again=True)`. `links` are
    what the client says about itself: a word, and an address of its own.
    """

    action: str
    hidden: tuple[tuple[str, str], ...]
    client_name: str
    homepage_host: str
    verified: bool
    person: Visit
    switch_url: str
    groups: tuple[ScopeGroup, ...]
    details: tuple[ShownDetail, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    sent_to: str = ""
    """Where the answer goes, when that is another host than the one that runs the app."""
    local: bool = False
    """The answer goes to a program on the person's computer, and any could be listening there."""


@dataclass(frozen=True, slots=True)
class FormPostPage:
    """What `oauth/form_post.html` sends on to a client: every pair of `fields`, by itself or by a button."""

    action: str
    fields: tuple[tuple[str, str], ...]
    client_name: str


@dataclass(frozen=True, slots=True)
class ShownApp:
    """One app with access. Withdrawing posts `csrf` and `client_id` to `/account/apps`."""

    client_id: str
    name: str
    homepage_host: str
    verified: bool
    groups: tuple[ScopeGroup, ...]
    since: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class AppsPage(AccountPage):
    """What `oauth/apps.html` shows; `section` is `apps`, `done` a sentence after something was withdrawn."""

    apps: tuple[ShownApp, ...]
    done: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class AppSignOutPage:
    """What `oauth/sign_out.html` asks before an app signs somebody out (OpenID Connect RP-Initiated Logout §2).

    The form posts `csrf`, every pair of `hidden`, and `decision` (`sign_out` or `stay`) to `action`.
    """

    action: str
    hidden: tuple[tuple[str, str], ...]
    client_name: str | None
    person: Visit


@dataclass(frozen=True, slots=True)
class OAuthErrorPage:
    """What `oauth/error.html` tells when an app's request cannot even be answered by a redirect.

    `error` is the code of the specification, `detail` and `mend` are sentences of ours that echo no input.
    """

    error: str
    detail: str
    mend: str
    client_name: str | None = None
