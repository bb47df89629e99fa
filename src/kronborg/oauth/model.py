"""The nouns of this slice. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person allowed a client, remembered: one per person and client, widened by each yes.

    `since` is the first yes, `granted_at` the latest.
    """

    user_id: str
    client_id: str
    scopes: frozenset[str]
    audiences: frozenset[str]
    since: datetime
    granted_at: datetime

    def covers(self, scopes: tuple[str, ...], audiences: tuple[str, ...]) -> bool:
        """Whether all of this was allowed before."""
        return self.scopes.issuperset(scopes) and self.audiences.issuperset(audiences)
