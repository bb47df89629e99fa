"""How a service is reached and what happens when it fails: replicas, checks, retries, breaker, fallback, leases.

Values inside a `Service`, and what a file writes too: the docstrings of their fields are the manual.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from kronborg.core.durations import Span
from kronborg.gateway.edge_model import EDGE

IDEMPOTENT = ("DELETE", "GET", "HEAD", "OPTIONS", "PUT")
"""What may be sent twice (RFC 9110 section 9.2.2)."""

IDEMPOTENCY_KEY = "x-idempotency-key"
"""With this header the service itself takes care that a request sent twice is done once."""

REGISTER = "services:register"
"""The scope of the admin API with which a service registers its endpoints, and nothing else."""

CheckKind = Literal["http", "grpc", "tcp"]


@dataclass(frozen=True, slots=True)
class Replica:
    """One endpoint of a service, with its share of the calls."""

    __pydantic_config__ = EDGE

    url: str
    """Its address: scheme, host and port, without a path."""
    weight: int = 1
    """Its share of the calls, next to the weights of the others."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The gateway asks each replica whether it is well; who is not gets no calls."""

    __pydantic_config__ = EDGE

    kind: CheckKind = "http"
    """`http` asks for `path`, `grpc` speaks the gRPC health protocol, `tcp` only connects."""
    path: str = "/healthz"
    """What `http` asks for."""
    statuses: tuple[int, ...] = (200,)
    """The statuses that say it is well."""
    grpc_service: str = ""
    """The name that `grpc` asks for; the server as a whole when empty."""
    every: Span = timedelta(seconds=5)
    """Time between two checks."""
    timeout: Span = timedelta(seconds=1)
    """How long an answer may take."""
    healthy_after: int = 1
    """Good answers in a row until calls go there again."""
    unhealthy_after: int = 2
    """Bad answers in a row until none do."""


@dataclass(frozen=True, slots=True)
class Ejection:
    """A replica that fails calls in a row is left out for a while."""

    __pydantic_config__ = EDGE

    failures: int = 5
    """Calls in a row that ended in 5xx, a reset, no connection or a timeout."""
    out_for: Span = timedelta(seconds=10)
    """How long it is left out the first time; each further time longer."""
    longest: Span = timedelta(minutes=1)
    """How long at most."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may be under way to a service at once; what is above is answered with 503."""

    __pydantic_config__ = EDGE

    connections: int = 1024
    """Connections."""
    pending: int = 1024
    """Requests that wait for a connection."""
    requests: int = 4096
    """Requests that wait for an answer."""
    retries: int = 16
    """Retries, where no budget is told."""


@dataclass(frozen=True, slots=True)
class Retries:
    """A failed request is sent again, to another replica where there is one.

    Only GET, HEAD, OPTIONS, PUT and DELETE are; a POST or PATCH only when it certainly never reached the service, or
    when the route says `retry_keyed` and the request carries X-Idempotency-Key.
    """

    __pydantic_config__ = EDGE

    attempts: int = 1
    """Further attempts after the first."""
    per_try: Span | None = None
    """How long one attempt may take, a POST's only one too. When absent, as long as the route allows: with a fallback
    each attempt, without one all of them together."""
    budget: int = 20
    """Retries under way, at most this percentage of the requests under way (three are always allowed)."""
    first_wait: Span = timedelta(milliseconds=25)
    """About how long to wait before the first retry; each further wait is longer."""
    longest_wait: Span = timedelta(milliseconds=250)
    """How long to wait at most."""
    statuses: tuple[int, ...] = (502, 503, 504)
    """Answers that count as failed."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """Stops calling a service that fails or is slow, and tries it again after a while with a few calls."""

    __pydantic_config__ = EDGE

    error_rate: int = 50
    """Opens when this percentage of the calls in the window failed: 5xx, reset, no connection, timeout."""
    slow_after: Span | None = None
    """A call that takes longer is slow; without it only errors count."""
    slow_rate: int = 50
    """Opens when this percentage of the calls in the window was slow."""
    window: Span = timedelta(seconds=10)
    """How far back calls count."""
    minimum_calls: int = 20
    """Fewer calls in the window say nothing."""
    open_for: Span = timedelta(seconds=15)
    """How long it stays open before it tries."""
    probes: int = 5
    """How many calls it tries with; it closes when their rates are below the thresholds."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """Who answers in place of a service: another service, or always the same words."""

    __pydantic_config__ = EDGE

    service: str | None = None
    """Another service, in place of a status and a body."""
    status: int | None = None
    """The status of the words that stand for an answer."""
    content_type: str = "application/json"
    """What kind of words they are."""
    body: str = ""
    """The words, at most 8 KiB."""


@dataclass(frozen=True, slots=True)
class Registration:
    """Replicas announce themselves, each for the time of a lease that it renews."""

    __pydantic_config__ = EDGE

    clients: tuple[str, ...]
    """The clients whose tokens, with the scope services:register, may announce one."""
    networks: tuple[str, ...]
    """The networks (192.0.2.0/24) that the addresses must be in. Loopback, link-local and other addresses of special
    use only when a network within them is named."""
    lease: Span = timedelta(seconds=30)
    """How long an announcement holds."""
    most: int = 100
    """How many may be announced at once."""
