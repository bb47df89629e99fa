"""What plans are made against and applied to."""

from __future__ import annotations

from dataclasses import dataclass

from kronborg.clients.settings import Profile
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.signin.passwords import Passwords


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation, as the composition root opened it. URLs without a trailing slash."""

    database: Database
    vault: Vault
    passwords: Passwords
    issuer: str
    gateway_url: str
    profile: Profile = "none"
    listeners: tuple[str, ...] | None = None
    """The names of the listeners that the gateway of this machine is told of; None where nobody knows them."""

    def __post_init__(self) -> None:
        self.database.vault = self.vault
