"""The nouns of API keys and personal access tokens: credentials that last, for programs that cannot ask for tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from kronborg.core import opaque
from kronborg.core.durations import Span
from kronborg.tokens.model import PERSONAL

EDGE = {"extra": "forbid", "strict": False, "hide_input_in_errors": True, "use_attribute_docstrings": True}
"""How the config edge reads these values: unknown names are errors."""

Kind = Literal["api_key", "personal_token"]
PREFIXES: dict[Kind, opaque.Kind] = {"api_key": opaque.API_KEY, "personal_token": opaque.PERSONAL}
MOST = 50
"""Keys of one client, or of one person, that are not revoked."""
SHOWN = 14
"""Characters of a key that are kept in the clear, to be recognised by: its prefix and a few more."""
PERSON = PERSONAL


@dataclass(frozen=True, slots=True)
class KeySettings:
    """What an installation allows."""

    __pydantic_config__ = EDGE

    longest: Span = timedelta(days=365)
    """How long the key of a client may last."""
    personal: bool = True
    """Whether people may make personal access tokens."""
    longest_personal: Span = timedelta(days=90)
    """How long one of those may last."""
    overlap: Span = timedelta(days=7)
    """How long the old key goes on working after it was rotated."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. Exactly one of `client_id` and `user_id` is whose it is.

    `audiences` are the APIs it is good for. `scopes` are what it may at most; what its owner may at the moment of use
    bounds them again. `addresses`, when there are any, are the only networks it may be used from.
    """

    id: str
    kind: Kind
    shown: str
    name: str
    client_id: str | None
    user_id: str | None
    audiences: tuple[str, ...]
    scopes: tuple[str, ...]
    addresses: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    rotated_at: datetime | None = None

    @property
    def owner(self) -> str:
        """The client or the person it belongs to."""
        return self.client_id or self.user_id or ""

    def stands(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and self.expires_at > now


@dataclass(frozen=True, slots=True)
class KeyDraft:
    """A key about to be made; `lifetime` None means the longest that is allowed."""

    name: str
    audiences: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    lifetime: timedelta | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key in the clear, for the one time it is shown."""

    key: ApiKey
    text: str


def kind_of(text: str) -> Kind | None:
    """The kind of key that a well-formed text is; None for anything else. The database is not asked."""
    for kind, prefix in PREFIXES.items():
        if text.startswith(prefix):
            return kind if opaque.well_formed(text, prefix) else None
    return None
