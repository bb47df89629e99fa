"""The nouns of this slice. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kronborg.core.json import JsonObject

WaitingKind = Literal["device", "ciba"]
WaitingState = Literal["pending", "allowed", "denied", "used"]
Delivery = Literal["poll", "ping", "push"]
SubjectKind = Literal["username", "email", "id", "client"]


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


@dataclass(frozen=True, slots=True)
class Particulars:
    """What only some waiting requests have; none of it is looked for in the database.

    `user_agent` and `address` are those of the device that asked. `message` and `acr_values` are those of CIBA §7.1.
    `sealed_id` and `sealed_token` are the `auth_req_id` and the client's notification token in the vault, for clients
    that are told (`ping`, `push`).
    """

    user_agent: str = ""
    address: str = ""
    message: str | None = None
    acr_values: tuple[str, ...] = ()
    delivery: Delivery = "poll"
    sealed_id: str | None = None
    sealed_token: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for its person on another device (RFC 8628, CIBA); the client asks now and then.

    `digest` is that of the credential the client asks with. `user_id` is who has to answer (CIBA), or who did
    (RFC 8628). `user_code` is the digest of what that person types. `address` is where the device, or the client,
    called from: one value for a whole household (`network_of`). `pause` counts seconds between two questions.
    """

    digest: bytes
    kind: WaitingKind
    client_id: str
    user_id: str | None
    user_code: bytes | None
    address: str
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    state: WaitingState
    pause: int
    created_at: datetime
    expires_at: datetime
    grant_id: str | None
    particulars: Particulars

    @property
    def reference(self) -> str:
        """What names it on pages and in events: no secret, and of no use at the token endpoint."""
        return self.digest.hex()[:32]


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer whose assertions clients may bring for a token (RFC 7523 §2.1), if they name it.

    Its keys are `jwks` or fetched from `jwks_uri`. `audience` is one more that its assertions may name, besides ours.
    `subject` says what its `sub` is here: a person's username, e-mail address or id, or the client itself.
    """

    name: str
    issuer: str
    jwks: JsonObject | None
    jwks_uri: str | None
    audience: str | None
    subject: SubjectKind
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class TrustedIssuerDraft:
    """A trusted issuer as somebody wishes it to be; `issuers.save_issuer` checks it."""

    name: str
    issuer: str
    jwks: JsonObject | None = None
    jwks_uri: str | None = None
    audience: str | None = None
    subject: str = "username"
