"""Services and routes as files and the admin API write them, and the nouns of the gateway they stand for.

Each field but the way a path is spelled has the name and the type of the noun's field, so that a new one is written
here once with its meaning, and once in the noun.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from kronborg.core.json import JsonValue
from kronborg.core.quantities import Duration, Size, parse_duration
from kronborg.gateway.access_model import AccessRule, Addresses, Credential, StepUp
from kronborg.gateway.binding_model import Bound
from kronborg.gateway.content_model import Bots, Content, Sizes
from kronborg.gateway.declare.parts import Host, Method, Name, Section, Uri, Uris, Words, distinct
from kronborg.gateway.documents_model import Published
from kronborg.gateway.limits_model import Concurrency, SpikeArrest
from kronborg.gateway.model import Cors, Path, PathKind, Route, Service
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

_UNORDERED = ("methods", "scopes", "roles", "urls", "listeners")
_SPELLINGS: dict[PathKind, str] = {"exact": "path", "prefix": "prefix", "template": "template", "regex": "regex"}
"""The key of a file for each kind of path."""


class ServiceSection(Section):
    """A microservice behind the gateway."""

    url: Uri | None = None
    """Its address: scheme, host and port, without a path."""
    urls: Uris = ()
    """Several replicas, in place of `url`."""
    http2: bool = False
    """Speak HTTP/2 to it."""
    connect_timeout: Duration = parse_duration("1s")
    """How long to wait for a connection."""
    replicas: Annotated[tuple[Replica, ...], Field(max_length=100)] = ()
    """Several replicas with weights, in place of `url`."""
    registration: Registration | None = None
    """Replicas announce themselves, in place of `url`: who may, from where, and for how long at a time."""
    dns_refresh: Duration = parse_duration("5s")
    """How often host names are looked up again, whatever their time to live."""
    health_check: HealthCheck | None = None
    """The gateway asks each replica whether it is well."""
    ejection: Ejection | None = None
    """Replicas that fail calls are left out for a while; with a fallback they always are."""
    bounds: Bounds = Field(default_factory=Bounds)
    """What may be under way to it at once, from each gateway."""
    retries: Retries | None = None
    """Failed requests are sent again. When absent, only those that never reached it are, once."""
    breaker: Breaker | None = None
    """Stops calling it while it fails or is slow."""
    fallback: Fallback | None = None
    """Who answers in its place while its breaker is open, none of its replicas is well, or a request failed there."""
    openapi: Published | None = None
    """Where it tells its OpenAPI document, which routes may hold requests against."""
    tls: ServiceTls | None = None
    """Whom the gateway believes behind https, and the certificate that it shows; the system's authorities and none
    when absent."""

    probe: bool | None = None
    """Whether the worker asks it, past the gateway and without a token, if it answers; as `server.surface.probe` says
    when absent."""

    @model_validator(mode="after")
    def _some_url(self) -> ServiceSection:
        told = (self.url is not None, bool(self.urls), bool(self.replicas), self.registration is not None)
        if sum(told) != 1:
            raise PydanticCustomError("urls", "needs one of url, urls, replicas or registration")
        return self


class RouteSection(Section):
    """A way through the gateway. It names an audience or says `public: true`: nothing is open by omission."""

    service: Name | Literal[""] = ""
    """The service that answers; absent where `redirect` does."""
    host: Host | None = None
    """Only requests for this host name, `*.shop.example` for all names below it; any when absent. The most specific
    host decides alone."""
    path: Annotated[str, Field(max_length=512)] | None = None
    """This path and no other."""
    prefix: Annotated[str, Field(max_length=512)] | None = None
    """This path and all below it."""
    template: Annotated[str, Field(max_length=512)] | None = None
    """Paths of this shape: `/orders/{id}`, where a place is one segment, or `{rest=**}` for all segments to the end."""
    regex: Annotated[str, Field(max_length=256)] | None = None
    """Whole paths that this regular expression fits: literals, `[a-z]`, `[^/]`, `\\d`, groups, repetitions."""
    methods: Annotated[tuple[Method, ...], Field(max_length=7)] = ()
    """The methods let through; all when absent."""
    public: bool = False
    """Let everyone through, without a token."""
    audience: Uri | None = None
    """The API whose tokens may pass: its short name, or its audience URI."""
    scopes: Words = ()
    """Scopes of that API that the token must have, all of them."""
    roles: Words = ()
    """Roles of which the person must have at least one."""
    rules: Annotated[tuple[AccessRule, ...], Field(max_length=20)] = ()
    """What requests by some methods must have besides: reading may need less than writing."""
    step_up: StepUp | None = None
    """How the person must have signed in; a token that does not say so is answered with a challenge."""
    policy: Annotated[str, Field(min_length=1, max_length=8192)] | None = None
    """A Cedar policy that must permit the request, for what scopes and roles cannot say."""
    policies: Annotated[tuple[Name, ...], Field(max_length=10)] = ()
    """Shared policies by the names of `policies`. Together with `policy` they are one set: something must permit, and
    nothing may forbid."""
    credentials: Annotated[tuple[Credential, ...], Field(min_length=1, max_length=3)] = ("token",)
    """What a request may prove itself with: `token`, `api_key`, `personal_token`."""
    issuers: Annotated[tuple[Name, ...], Field(max_length=10)] = ()
    """Other issuers whose tokens may pass too, by the names of `token_issuers`."""
    addresses: Addresses | None = None
    """Where requests may come from."""
    bound: Bound = "as_issued"
    """Whether tokens that are bound to nothing pass (`as_issued`), or bound ones only (`required`). A bound token needs
    its key or certificate in either case."""
    when_stale: WhenStale | None = None
    """What happens to tokens without news of revocations: `pass` or `refuse`; as `server` says when absent."""
    spike_arrest: SpikeArrest | None = None
    """A smoothed rate limit."""
    rate_limit: SpikeArrest | None = None
    """A second one next to it, with a longer period or another identifier. It is asked last, so that what the first
    refuses costs nothing here."""
    quotas: Annotated[tuple[Quota, ...], Field(max_length=4)] = ()
    """How many calls in a minute, hour, day, week or month."""
    concurrency: Concurrency | None = None
    """How many calls may be under way at once. Not enforced by this version, so it cannot be published."""
    timeout: Duration = parse_duration("15s")
    """How long the service may take."""
    max_body: Size = 1 << 20
    """The largest request body."""
    cookies: bool = False
    """Pass cookies on to the service; they are stripped otherwise."""
    cors: Cors | None = None
    """Which web pages may call it."""
    headers: Annotated[tuple[Condition, ...], Field(max_length=10)] = ()
    """Conditions on headers, all of them; of routes on one path, the one with more conditions comes first."""
    query: Annotated[tuple[Condition, ...], Field(max_length=10)] = ()
    """Conditions on query parameters, all of them."""
    rewrite: Rewrite | None = None
    """What the service sees in place of what was asked for."""
    redirect: Redirect | None = None
    """Send the caller elsewhere, in place of a service."""
    request_headers: HeaderEdits | None = None
    """Changes to the headers that the service sees."""
    response_headers: HeaderEdits | None = None
    """Changes to the headers that the caller sees."""
    compress: bool = False
    """Compress answers (gzip, Brotli). Not where an answer holds a secret next to something a stranger can choose."""
    websocket: bool = False
    """Let connections become WebSockets; what the route asks for is asked for at the handshake."""
    stream: bool = False
    """Answers go on without an end (Server-Sent Events): no `timeout`, only `idle`."""
    grpc: bool = False
    """The service speaks gRPC: bodies are not held back, callers' deadlines count up to `timeout`."""
    idle: Duration | None = None
    """How long a WebSocket or a stream may be silent; 5 minutes when absent."""
    split: Annotated[tuple[Share, ...], Field(max_length=10)] = ()
    """Other services that get a part of the requests."""
    canary: Annotated[tuple[Canary, ...], Field(max_length=10)] = ()
    """Headers or cookies that lead to another service, the first that fits."""
    mirror: Mirror | None = None
    """Another service that gets copies."""
    sticky: Sticky | None = None
    """Keep callers at one replica."""
    retry_keyed: bool = False
    """Also retry a POST or PATCH that carries X-Idempotency-Key: the service does it once, however often it comes."""
    sizes: Sizes | None = None
    """Bounds on the head of requests: the path with its query, parameters, headers."""
    content: Content | None = None
    """What is looked at inside of requests: JSON within bounds, and what the service's OpenAPI document says."""
    bots: Bots | None = None
    """Rules against scanners and odd clients, in place of those of the gateway."""
    listeners: Annotated[tuple[Name, ...], Field(min_length=1, max_length=10), AfterValidator(distinct)] = ("external",)
    """Where it is served: on all `external` listeners, on all `internal` ones, or on those of these names."""

    @model_validator(mode="after")
    def _one_path(self) -> RouteSection:
        if sum(getattr(self, key) is not None for key in _SPELLINGS.values()) != 1:
            raise PydanticCustomError("path", "needs one of path, prefix, template or regex")
        if (self.redirect is None) == (not self.service):
            raise PydanticCustomError("service", "needs either service or redirect")
        return self


def service_of(name: str, section: ServiceSection) -> Service:
    """The service that a section describes."""
    known = {one.name: getattr(section, one.name) for one in fields(Service) if one.name not in ("name", "urls")}
    return Service(name, section.urls or ((section.url,) if section.url else ()), **known)


def route_of(name: str, section: RouteSection, *, audience: str | None) -> Route:
    """The route that a section describes; `audience` is the URI of the API that it names."""
    kind, value = next(
        (kind, value) for kind, key in _SPELLINGS.items() if (value := getattr(section, key)) is not None
    )
    own = ("name", "path", "audience")
    known = {one.name: getattr(section, one.name) for one in fields(Route) if one.name not in own}
    return Route(name=name, path=Path(kind, value), audience=audience, **known)


def service_fields(service: Service) -> dict[str, JsonValue]:
    """A service in the vocabulary of a file, lists whose order means nothing sorted."""
    return _written(ServiceSection, service)


def route_fields(route: Route) -> dict[str, JsonValue]:
    """A route in the vocabulary of a file, lists whose order means nothing sorted."""
    return (
        dict.fromkeys(_SPELLINGS.values())
        | _written(RouteSection, route)
        | {_SPELLINGS[route.path.kind]: route.path.value}
    )


def _written(section: type[Section], noun: Service | Route) -> dict[str, JsonValue]:
    values = {one.name: getattr(noun, one.name) for one in fields(noun) if one.name not in ("name", "path")}
    made = section.model_construct(**values)
    dumped = cast("dict[str, JsonValue]", made.model_dump(mode="json", include=set(values)))
    for name in _UNORDERED:
        value = dumped.get(name)
        if isinstance(value, list):
            dumped[name] = sorted(value, key=str)
    return dumped
