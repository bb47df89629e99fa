"""The nouns of teams. An app is an OAuth client that belongs to one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

Role = Literal["owner", "developer", "billing", "viewer"]
"""`owner`: everything, members too. `developer`: apps, credentials, subscriptions. `billing`: plans and invoices.
`viewer`: sees apps and usage, no credentials and no money."""

ROLES: tuple[Role, ...] = get_args(Role)
MOST_TEAMS = 10
"""Teams that one person may own."""
MOST_MEMBERS = 200
MOST_APPS = 50
"""Apps of one team."""


@dataclass(frozen=True, slots=True)
class Customer:
    """Whom an invoice is made out to. Texts are bounded and hold no control characters."""

    name: str = ""
    address: tuple[str, ...] = ()
    """Up to five lines."""
    country: str = ""
    """Two letters of ISO 3166."""
    tax_id: str = ""
    email: str = ""
    """Where invoices are sent; empty means to the owners."""


@dataclass(frozen=True, slots=True)
class Team:
    """Developers who work together. `webhook` notices go by the installation's own webhooks; letters to its members."""

    id: str
    name: str
    created_at: datetime
    updated_at: datetime
    customer: Customer = field(default_factory=Customer)
    suspended: bool = False
    """Its apps are refused at the gateway, and nobody subscribes for it."""


@dataclass(frozen=True, slots=True)
class Member:
    """A person of a team."""

    team_id: str
    user_id: str
    role: Role
    since: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """An address that was asked to join; its letter holds the secret, of which only the digest is kept."""

    id: str
    team_id: str
    email: str
    role: Role
    invited_by: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class App:
    """A client that belongs to a team."""

    client_id: str
    team_id: str
    created_at: datetime
    created_by: str
