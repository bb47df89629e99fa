"""The nouns of traffic: which requests a route takes, what it changes, and how it shares them out over services.

Each is a value inside a route; the docstrings of the fields are the manual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kronborg.core.durations import Span
from kronborg.gateway.edge_model import EDGE


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that a header or a query parameter must be. Without `exact`, `prefix` and `regex` it must be there.

    Callers choose what they send: a condition picks a route, it protects none.
    """

    __pydantic_config__ = EDGE

    name: str
    """The name of the header, in lower case, or of the query parameter."""
    present: bool | None = None
    """`true`: it is there, whatever it says; `false`: it is not there."""
    exact: str | None = None
    """The whole value. A header that comes several times fits when one of its values does."""
    prefix: str | None = None
    """How the value begins."""
    regex: str | None = None
    """A regular expression (RE2) for the whole value."""
    inverted: bool = False
    """The opposite. A header that is not there fits the opposite of every value."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What the service sees in place of what the caller asked for. The route is chosen before."""

    __pydantic_config__ = EDGE

    prefix: str | None = None
    """In place of the route's prefix: what comes after it stays."""
    path: str | None = None
    """The whole path. On a route with a template, `{name}` stands for what the template found there."""
    host: str | None = None
    """The host name that the service sees."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """An answer that sends the caller elsewhere, in place of a service. What is not named stays as it was asked for."""

    __pydantic_config__ = EDGE

    scheme: Literal["http", "https"] | None = None
    """`https` sends callers to the protected form of the same address."""
    host: str | None = None
    """Another host name."""
    port: int | None = None
    """Another port; without it a change of scheme or host drops the port."""
    prefix: str | None = None
    """In place of the route's prefix: what comes after it stays."""
    path: str | None = None
    """The whole path. On a route with a template, `{name}` stands for what the template found there."""
    code: int = 308
    """301, 302, 303, 307 or 308; the last two keep method and body."""
    query: bool = True
    """Whether the query goes along."""


@dataclass(frozen=True, slots=True)
class HeaderLine:
    """One header."""

    __pydantic_config__ = EDGE

    name: str
    """Its name."""
    value: str
    """Its value, sent as it stands."""


@dataclass(frozen=True, slots=True)
class HeaderEdits:
    """Changes to headers, in this order: remove, set, append."""

    __pydantic_config__ = EDGE

    set: tuple[HeaderLine, ...] = ()
    """In place of whatever was there under the same name."""
    append: tuple[HeaderLine, ...] = ()
    """Beside what is there."""
    remove: tuple[str, ...] = ()
    """Names that are taken away."""


@dataclass(frozen=True, slots=True)
class Share:
    """A service and its part of the requests."""

    __pydantic_config__ = EDGE

    service: str
    """The service."""
    percent: int
    """How many of a hundred requests; the route's `service` gets what is left."""


@dataclass(frozen=True, slots=True)
class Canary:
    """Requests with this header or cookie go to another service; what they need to pass is the same."""

    __pydantic_config__ = EDGE

    service: str
    """The service that they go to."""
    header: str | None = None
    """The name of the header."""
    cookie: str | None = None
    """The name of the cookie, in place of a header."""
    value: str | None = None
    """What it must say, exactly; anything when absent."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A copy of the requests for another service, whose answers nobody waits for."""

    __pydantic_config__ = EDGE

    service: str
    """The service that gets the copies."""
    percent: int = 100
    """Of how many of a hundred requests."""
    unsafe: bool = False
    """Copy what changes something too; otherwise only GET, HEAD and OPTIONS are copied, lest things happen twice."""
    credentials: bool = False
    """Give the copy the caller's token, proof and cookies; they are taken out otherwise."""


@dataclass(frozen=True, slots=True)
class Sticky:
    """Callers stay with one replica of the service for as long as it is there."""

    __pydantic_config__ = EDGE

    by: Literal["cookie", "header", "user", "address"] = "cookie"
    """What tells callers apart: a cookie that the gateway sets (`Secure`, `HttpOnly`, `SameSite=Lax`, no address in
    it; needs `cookies: true`), a header, the verified user, or the address."""
    name: str = "kronborg-replica"
    """The name of the cookie or the header."""
    ttl: Span | None = None
    """How long the cookie lives; as long as the browser runs when absent."""
