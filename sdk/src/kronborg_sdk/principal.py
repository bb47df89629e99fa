"""Who is calling: the facts of one verified access token."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as the issuer vouched for it.

    `subject` is the user, or the client itself for client credentials. `claims` holds every claim of the
    token, read-only; `roles` is empty for tokens without that claim.
    """

    subject: str
    client_id: str
    scopes: frozenset[str]
    roles: frozenset[str]
    audience: frozenset[str]
    issued_at: datetime
    expires_at: datetime
    token_id: str
    claims: Mapping[str, object] = field(repr=False, compare=False)

    @property
    def is_machine(self) -> bool:
        """True when a client acts for itself and no user stands behind the token (RFC 9068 §2.2)."""
        return self.subject == self.client_id

    def missing(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `scopes` that the token does not carry, in the given order."""
        return tuple(scope for scope in scopes if scope not in self.scopes)
