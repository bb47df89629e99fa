"""The nouns of the gateway: services, routes, spike arrest, snapshots. Nothing of Envoy in them.

The values inside a route or a service are what a file writes too: the docstrings of their fields are the manual, and
`EDGE` is how the HTTP and config edges read them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from kronborg.core.durations import Octets, Span
from kronborg.core.once import once
from kronborg.gateway.access_model import AccessRule, Addresses, Credential, NamedPolicy, StepUp, TokenIssuer
from kronborg.gateway.binding_model import Bound
from kronborg.gateway.content_model import Bots, Content, Sizes
from kronborg.gateway.documents_model import Published
from kronborg.gateway.edge_model import EDGE
from kronborg.gateway.limits_model import Concurrency, SpikeArrest
from kronborg.gateway.pattern_model import Pattern, read_regex, read_template
from kronborg.gateway.resilience_model import (
    Bounds,
    Breaker,
    Ejection,
    Fallback,
    HealthCheck,
    Registration,
    Replica,
    Retries,
)
from kronborg.gateway.revocation_model import WhenStale
from kronborg.gateway.service_tls_model import ServiceTls
from kronborg.gateway.traffic_model import Canary, Condition, HeaderEdits, Mirror, Redirect, Rewrite, Share, Sticky
from kronborg.limits.model import Quota

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What a route may allow. TRACE and CONNECT are never let through."""

HEALTH = "/healthz"
"""The gateway answers this itself; no route may claim it."""

WELL_KNOWN = "/.well-known/oauth-protected-resource"
"""Inserted between the host and the path of a protected resource (RFC 9728 section 3.1); the gateway answers there."""

PathKind = Literal["exact", "prefix", "template", "regex"]


@dataclass(frozen=True, slots=True)
class Path:
    """`exact` is one path; `prefix` is that path and everything below it, cut at a slash; a `template` has places for
    segments; a `regex` matches whole paths."""

    kind: PathKind
    value: str

    @property
    def pattern(self) -> Pattern | None:
        """How a template or a regular expression is read; None for other paths, and where it cannot be."""
        if self.kind == "template":
            return read_template(self.value)
        return read_regex(self.value) if self.kind == "regex" else None

    @property
    def literal(self) -> str:
        """How each path that fits begins."""
        if self.kind in ("exact", "prefix"):
            return self.stem
        return self.pattern.literal if self.pattern else "/"

    @property
    def letters(self) -> str:
        """All characters that the path names."""
        if self.kind in ("exact", "prefix"):
            return self.value
        return self.pattern.letters if self.pattern else ""

    @property
    def stem(self) -> str:
        """The path itself; of a prefix without its last slash, so that of `/` nothing is left; of a path with open
        places the whole segments before the first."""
        if self.kind in ("exact", "prefix"):
            return self.value if self.kind == "exact" else self.value.rstrip("/")
        return self.literal.rpartition("/")[0]

    @property
    def identity(self) -> str:
        """Equal for paths of one kind that fit the same requests, however they name their places."""
        if self.kind in ("exact", "prefix"):
            return self.stem
        return self.pattern.regex if self.pattern else self.value


@dataclass(frozen=True, slots=True)
class Cors:
    """Which web pages may call a route. The gateway answers their preflights itself."""

    __pydantic_config__ = EDGE

    origins: tuple[str, ...]
    """Their origins: scheme, host and port. `https://*.shop.example` stands for every name below it."""
    headers: tuple[str, ...] = ()
    """Request headers that they may send beside the usual ones."""
    exposed: tuple[str, ...] = ()
    """Response headers that they may read beside the usual ones."""
    credentials: bool = False
    """Whether they may send cookies."""
    max_age: Span = timedelta(minutes=10)
    """How long a browser may remember the answer to a preflight."""


@dataclass(frozen=True, slots=True)
class Service:
    """A microservice behind the gateway; what its fields mean is said in `ServiceSection`.

    Its replicas are `urls` (scheme, host and port, no path), or `replicas`, or come by `registration`.
    """

    name: str
    urls: tuple[str, ...]
    http2: bool = False
    connect_timeout: Span = timedelta(seconds=1)
    replicas: tuple[Replica, ...] = ()
    registration: Registration | None = None
    dns_refresh: Span = timedelta(seconds=5)
    health_check: HealthCheck | None = None
    ejection: Ejection | None = None
    bounds: Bounds = field(default_factory=Bounds)
    retries: Retries | None = None
    breaker: Breaker | None = None
    fallback: Fallback | None = None
    openapi: Published | None = None
    tls: ServiceTls | None = None
    probe: bool | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Who may send what where; what its fields mean is said in `RouteSection`.

    Either `public`, or `audience` names the API a token must be for; then every one of `scopes` and, if
    there are any, at least one of `roles` is required. `methods` empty means all of `METHODS`. `host` None
    means each name the gateway answers to. `cookies` lets the Cookie header through to the service. With `redirect`
    there is no service, and its name is empty.
    """

    name: str
    path: Path
    service: str
    host: str | None = None
    methods: tuple[str, ...] = ()
    public: bool = False
    audience: str | None = None
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    rules: tuple[AccessRule, ...] = ()
    step_up: StepUp | None = None
    policy: str | None = None
    policies: tuple[str, ...] = ()
    credentials: tuple[Credential, ...] = ("token",)
    issuers: tuple[str, ...] = ()
    addresses: Addresses | None = None
    bound: Bound = "as_issued"
    when_stale: WhenStale | None = None
    spike_arrest: SpikeArrest | None = None
    rate_limit: SpikeArrest | None = None
    quotas: tuple[Quota, ...] = ()
    concurrency: Concurrency | None = None
    timeout: Span = timedelta(seconds=15)
    max_body: Octets = 1_048_576
    cookies: bool = False
    cors: Cors | None = None
    headers: tuple[Condition, ...] = ()
    query: tuple[Condition, ...] = ()
    rewrite: Rewrite | None = None
    redirect: Redirect | None = None
    request_headers: HeaderEdits | None = None
    response_headers: HeaderEdits | None = None
    compress: bool = False
    websocket: bool = False
    stream: bool = False
    grpc: bool = False
    idle: Span | None = None
    split: tuple[Share, ...] = ()
    canary: tuple[Canary, ...] = ()
    mirror: Mirror | None = None
    sticky: Sticky | None = None
    retry_keyed: bool = False
    sizes: Sizes | None = None
    content: Content | None = None
    bots: Bots | None = None
    listeners: tuple[str, ...] = ("external",)

    @property
    def services(self) -> tuple[str, ...]:
        """All services that its requests go to; none where it redirects. Those that get copies only are left out."""
        own = (self.service,) if self.service else ()
        return (*own, *(one.service for one in self.split), *(one.service for one in self.canary))


@dataclass(frozen=True, slots=True)
class Audience:
    """An API that a route may ask a token for, the scopes it knows, and whether it takes reference tokens.

    `details_types` are the authorization details that it understands (RFC 9396). `readable`: the gateway can check its
    JWTs; it has no key to encrypted ones, and Envoy knows Ed25519 by its former name only, `EdDSA`. `bound`: its tokens
    are good only together with a key or certificate of the caller, which the gateway asks for.
    """

    uri: str
    scopes: tuple[str, ...] = ()
    reference: bool = False
    name: str = ""
    details_types: tuple[str, ...] = ()
    readable: bool = True
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What every request and the proxy as a whole are held to."""

    header_kilobytes: int = 32
    header_count: int = 64
    connections: int = 10_000
    heap_megabytes: int = 1024
    idle: timedelta = timedelta(seconds=60)
    request_time: timedelta = timedelta(seconds=30)
    cached_tokens: int = 4096
    limiters: int = 10_000
    legacy_headers: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything published at once, as one value. `hosts` are the names the gateway answers to; `url` is the one
    that clients are told, without a last slash."""

    issuer: str
    services: tuple[Service, ...] = ()
    routes: tuple[Route, ...] = ()
    audiences: tuple[Audience, ...] = ()
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1")
    url: str = "http://localhost:8080"
    limits: Limits = field(default_factory=Limits)
    issuers: tuple[TokenIssuer, ...] = ()
    addresses: Addresses | None = None
    trusted_proxies: tuple[str, ...] = ()
    certificate_header: str | None = None
    policies: tuple[NamedPolicy, ...] = ()
    bots: Bots | None = None
    version: int = 0

    @once
    def takes_keys(self) -> bool:
        """Whether some route takes API keys or personal access tokens."""
        return any(set(route.credentials) - {"token"} for route in self.routes)

    @once
    def has_addresses(self) -> bool:
        """Whether some request may be refused for where it comes from."""
        return self.addresses is not None or any(route.addresses is not None for route in self.routes)

    @once
    def wants_cookies(self) -> bool:
        """Whether any service is sent the Cookie header; where none is, it is taken away at the door."""
        return any(
            route.cookies
            or any(canary.cookie for canary in route.canary)
            or (route.sticky is not None and route.sticky.by == "cookie")
            for route in self.routes
        )

    @once
    def sticky(self) -> frozenset[str]:
        """The services whose replicas some route keeps its callers at."""
        return frozenset(name for route in self.routes if route.sticky is not None for name in route.services)

    @once
    def has_uploads(self) -> bool:
        """Whether some request may go on for as long as its route says, so that no timer of the listener fits all."""
        return any(route.grpc or route.websocket for route in self.routes)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a proxy said to a version: `acked`, or `rejected` with the proxy's own reason."""

    proxy: str
    version: int
    status: Literal["acked", "rejected"]
    reason: str = ""
