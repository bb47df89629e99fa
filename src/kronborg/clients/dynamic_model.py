"""The nouns of dynamic registration: initial access tokens, and what is known of a client that came by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kronborg.clients.admission import RegistrationPolicy

Origin = Literal["registration", "document"]


@dataclass(frozen=True, slots=True)
class DynamicClient:
    """How a client came, by which policy, and until when it stays if nobody uses it.

    `digest` is that of its registration access token (RFC 7592); `token_id` the initial access token that it came
    with. `checked_at` is when its document was last read; `used_at` when it last got or used a token.
    """

    client_id: str
    origin: Origin
    digest: bytes | None
    token_id: str | None
    policy: RegistrationPolicy
    checked_at: datetime
    used_at: datetime | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class InitialToken:
    """An initial access token (RFC 7591 §1.2): a policy, for so many registrations, until it expires."""

    id: str
    digest: bytes
    name: str
    policy: RegistrationPolicy
    created_at: datetime
    expires_at: datetime
    max_uses: int
    uses: int


@dataclass(frozen=True, slots=True)
class NewInitialToken:
    """An initial access token in the clear, for the one time it is shown."""

    token: InitialToken
    text: str


@dataclass(frozen=True, slots=True)
class Registered:
    """The answer to a registration: what was made, in the clear for the one time it is shown."""

    client_id: str
    registration_token: str
    secret: str | None
