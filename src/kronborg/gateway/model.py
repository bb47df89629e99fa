"""The nouns of the gateway: services, routes, spike arrest, snapshots. Nothing of Envoy in them.

The values inside a route or a service are what a file writes too: the docstrings of their fields are the manual, and
`EDGE` is how the HTTP and config edges read them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from kronborg.core.durations import Octets, Span

EDGE = {"extra": "forbid", "strict": False, "hide_input_in_errors": True, "use_attribute_docstrings": True}
"""How the HTTP and config edges read the values of a route or a service: unknown names are errors."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What a route may allow. TRACE and CONNECT are never let through."""

HEALTH = "/healthz"
"""The gateway answers this itself; no route may claim it."""

WELL_KNOWN = "/.well-known/oauth-protected-resource"
"""Inserted between the host and the path of a protected resource (RFC 9728 section 3.1); the gateway answers there."""

PathKind = Literal["exact", "prefix"]
Per = Literal["client", "user", "address", "route"]

_RATE = re.compile(r"([1-9][0-9]{0,6})(ps|pm)")
_SHORTEST_FILL_MS = 50


@dataclass(frozen=True, slots=True)
class Path:
    """`exact` is one path; `prefix` is that path and everything below it, cut at a slash."""

    kind: PathKind
    value: str

    @property
    def stem(self) -> str:
        """The path itself; of a prefix without its last slash, so that of `/` nothing is left."""
        return self.value if self.kind == "exact" else self.value.rstrip("/")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls a second or a minute, written `5ps` or `12pm`."""

    count: int
    unit: Literal["ps", "pm"]

    @classmethod
    def parse(cls, text: str) -> Rate | None:
        """`5ps`, `12pm`; None when `text` is anything else."""
        found = _RATE.fullmatch(text)
        if found is None:
            return None
        return cls(count=int(found[1]), unit="ps" if found[2] == "ps" else "pm")

    @property
    def per_second(self) -> float:
        """Calls a second."""
        return self.count if self.unit == "ps" else self.count / 60

    @property
    def spacing(self) -> timedelta:
        """The smoothed distance between two calls: 5ps is one per 200 ms, 12pm one per 5 s."""
        return timedelta(seconds=1 / self.per_second)

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"


@dataclass(frozen=True, slots=True)
class SpikeArrest:
    """A smoothed rate with room for `burst` calls at once, one limiter per client, user, address or route."""

    __pydantic_config__ = EDGE

    rate: str
    """Calls per second (`5ps`: one every 200 ms) or per minute (`12pm`)."""
    burst: int = 1
    """Calls that may come at once."""
    per: Per = "client"
    """What is counted on its own: each client (all people of a browser app share one), each user (the verified
    subject; a client where there is no person), each address, or the route as a whole."""


@dataclass(frozen=True, slots=True)
class Cors:
    """Which web pages may call a route."""

    __pydantic_config__ = EDGE

    origins: tuple[str, ...]
    """Their origins: scheme, host and port."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket that behaves as a `SpikeArrest`: whole milliseconds, never finer than 50 of them."""

    size: int
    fill: int
    every: timedelta


def bucket_of(arrest: SpikeArrest) -> Bucket:
    """The bucket for an arrest whose rate is known to parse.

    Up to 20 calls a second one token drips at the spacing; above, several drip together, because a bucket
    cannot be filled more often than every 50 ms. Fractions of a millisecond round against the caller.
    """
    rate = Rate.parse(arrest.rate)
    if rate is None:
        raise ValueError("the rate does not parse")
    fill = max(1, math.ceil(rate.per_second * _SHORTEST_FILL_MS / 1000))
    milliseconds = math.ceil(round(fill * 1000 / rate.per_second, 6))
    return Bucket(
        size=max(arrest.burst, fill),
        fill=fill,
        every=timedelta(milliseconds=max(milliseconds, _SHORTEST_FILL_MS)),
    )


@dataclass(frozen=True, slots=True)
class Service:
    """A microservice behind the gateway; what its fields mean is said in `ServiceSection`.

    `urls` are its replicas: scheme, host and port, no path.
    """

    name: str
    urls: tuple[str, ...]
    http2: bool = False
    connect_timeout: Span = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Route:
    """Who may send what where; what its fields mean is said in `RouteSection`.

    Either `public`, or `audience` names the API a token must be for; then every one of `scopes` and, if
    there are any, at least one of `roles` is required. `methods` empty means all of `METHODS`. `host` None
    means each name the gateway answers to. `cookies` lets the Cookie header through to the service.
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
    spike_arrest: SpikeArrest | None = None
    timeout: Span = timedelta(seconds=15)
    max_body: Octets = 1_048_576
    cookies: bool = False
    cors: Cors | None = None


@dataclass(frozen=True, slots=True)
class Audience:
    """An API that a route may ask a token for, the scopes it knows, and whether it takes reference tokens.

    `details_types` are the authorization details that it understands (RFC 9396). `readable`: the gateway can check its
    JWTs; it has no key to encrypted ones, and Envoy knows Ed25519 by its former name only, `EdDSA`. `bound`: its tokens
    are good only together with a key or certificate of the caller, which the gateway does not ask for.
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
    version: int = 0

    @property
    def wants_cookies(self) -> bool:
        """Whether any service is sent the Cookie header; where none is, it is taken away at the door."""
        return any(route.cookies for route in self.routes)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a proxy said to a version: `acked`, or `rejected` with the proxy's own reason."""

    proxy: str
    version: int
    status: Literal["acked", "rejected"]
    reason: str = ""
