"""The nouns of the audit log: its chain, its checkpoints, what a verification found, and webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import orjson

from kronborg.core.json import JsonObject

ZERO = "0" * 64
"""What the first link of a chain is made on."""


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How the log is kept. A checkpoint is signed after so many events or so long, whichever comes first."""

    checkpoint_events: int = 1000
    checkpoint_every: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Sealed:
    """An event at its place `n` of the chain. `detail` is the text as stored; `at` is in microseconds since 1970."""

    n: int
    link: str
    seq: int
    id: str
    name: str
    actor: str
    subject: str
    at: int
    detail: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain and its beginning: events up to place `floor` were archived and deleted."""

    n: int
    link: str
    floor: int
    floor_link: str
    verified: int
    verified_at: datetime | None
    finding: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement: the link at place `n` was this. `previous` is the digest of the checkpoint before it."""

    k: int
    n: int
    link: str
    previous: str
    at: int
    kid: str
    signature: str


@dataclass(frozen=True, slots=True)
class AuditKey:
    """A key that signs checkpoints. `public` is 32 raw bytes in base64url (the `x` of its JWK)."""

    id: str
    public: str
    sealed: str
    created_at: datetime
    retired_at: datetime | None


What = Literal["altered", "removed", "inserted", "moved", "rewritten", "cut", "checkpoint", "key"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing wrong with a chain: what, at which place, which event (by `seq` and id), and a sentence."""

    what: What
    n: int
    seq: int
    event_id: str
    told: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification came to: places `first` to `last` hold, unless there is a finding."""

    first: int
    last: int
    link: str
    events: int
    checkpoints: int
    finding: Finding | None


@dataclass(frozen=True, slots=True)
class Search:
    """Which events are wanted. `name` is a prefix; the rest is exact; `after` and `before` are moments."""

    name: str = ""
    actor: str = ""
    subject: str = ""
    request_id: str = ""
    after: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret of a webhook, sealed. After `expires_at` it signs no more."""

    id: str
    sealed: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class WebhookDraft:
    """A webhook as somebody wishes it: `events` are names or prefixes with a star (`user.*`, `*`)."""

    name: str
    url: str
    events: tuple[str, ...] = ("*",)
    checkpoints: bool = False
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Webhook:
    """Somewhere events are sent. `failing_since`: no delivery has succeeded since then."""

    id: str
    name: str
    url: str
    events: tuple[str, ...]
    checkpoints: bool
    disabled: bool
    disabled_why: str
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime
    secrets: tuple[Secret, ...] = ()


DeliveryState = Literal["pending", "delivered", "failed"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one webhook. `message_id` is the same at each attempt; `status` 0 when nothing answered."""

    id: str
    webhook_id: str
    message_id: str
    seq: int
    n: int
    name: str
    body: str
    state: DeliveryState
    attempts: int
    status: int
    result: str
    latency_ms: int
    created_at: datetime
    next_at: datetime
    settled_at: datetime | None


def event_json(event: Sealed, detail: JsonObject) -> JsonObject:
    """What the chain covers of an event; written canonically, its SHA-256 with the link before it is its link."""
    return {
        "actor": event.actor,
        "at": event.at,
        "detail": detail,
        "id": event.id,
        "n": event.n,
        "name": event.name,
        "request_id": event.request_id,
        "seq": event.seq,
        "subject": event.subject,
    }


def detail_of(text: str) -> JsonObject:
    """The detail of an event; a text that was spoilt is no object and makes another link."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"spoilt": text}
    return value if isinstance(value, dict) else {"spoilt": text}
