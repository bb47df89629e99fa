"""What the attack surface is judged by, read once: clients, APIs, keys, certificates, gateways, the traffic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kronborg.api_keys.model import ApiKey
from kronborg.certificates.model import Certificate
from kronborg.clients.model import Api
from kronborg.fleet.show import Shown
from kronborg.gateway.model import Snapshot
from kronborg.gateway.watch_model import SurfaceSettings
from kronborg.traffic.surface_model import Listener


@dataclass(frozen=True, slots=True)
class ClientFact:
    """What counts of a client."""

    id: str
    grants: tuple[str, ...]
    scopes: tuple[str, ...]
    created_at: datetime
    refresh_seconds: int | None = None
    certificates: tuple[str, ...] = ()
    """Of its JWK Set: DER in base64 (RFC 7517 §4.7, `x5c`)."""


@dataclass(frozen=True, slots=True)
class SecretFact:
    """A client secret that has not expired."""

    client_id: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a service's OpenAPI document: its path template, whole paths that fit it, its method."""

    method: str
    path: str
    regex: str
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A path that callers reached a service at."""

    method: str
    path: str
    n: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the traffic tells. `since` is how far back its counts reach, None when there are none.

    `routes` are requests by route, `calls` which client was let through where, `seen` what services with a document
    were asked for and answered.
    """

    since: datetime | None = None
    routes: Mapping[str, int] = field(default_factory=dict)
    calls: frozenset[tuple[str, str]] = frozenset()
    seen: Mapping[str, tuple[Seen, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Probed:
    """What a service said to a request that came past the gateway, without a token."""

    service: str
    url: str
    method: str
    at: datetime
    outcome: str
    status: int


SETTLED = timedelta(minutes=1)
"""How long gateways may take to follow a version before one counts as behind."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. `routes_since` is when each route was last changed, by name."""

    snapshot: Snapshot
    settings: SurfaceSettings
    listeners: tuple[Listener, ...] = ()
    routes_since: Mapping[str, datetime] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence)
    documents: Mapping[str, tuple[Operation, ...]] = field(default_factory=dict)
    clients: tuple[ClientFact, ...] = ()
    secrets: tuple[SecretFact, ...] = ()
    apis: tuple[Api, ...] = ()
    keys: tuple[ApiKey, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    gateways: tuple[Shown, ...] = ()
    probes: tuple[Probed, ...] = ()
    published_at: datetime | None = None
