"""The nouns of what a request may hold: its size, its JSON, what a service's OpenAPI document says, and bots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kronborg.core.durations import Octets
from kronborg.gateway.edge_model import EDGE

Mode = Literal["off", "report", "enforce"]
"""`report` lets everything pass and only says what would be refused."""

LARGEST_CHECKED = 1_048_576
"""Bytes of a body that is looked into; beyond, a route cannot ask for it."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bounds on the head of a request; what is absent is bounded by the gateway alone."""

    __pydantic_config__ = EDGE

    target: Octets | None = None
    """The longest path with its query; 414 beyond."""
    parameters: int | None = None
    """The most query parameters; 414 beyond."""
    headers: int | None = None
    """The most header lines; 431 beyond."""
    header_bytes: Octets | None = None
    """All names and values of headers together; 431 beyond."""


@dataclass(frozen=True, slots=True)
class JsonBounds:
    """Bounds on JSON bodies, counted on the raw bytes before anything is built of them. Repeated names are refused."""

    __pydantic_config__ = EDGE

    depth: int = 32
    """How deep arrays and objects may stand inside each other."""
    members: int = 1_000
    """The most members of one object."""
    items: int = 10_000
    """The most items of one array."""
    string: Octets = 65_536
    """The longest text, in bytes."""
    keys: int = 256
    """The longest name of a member, in characters."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is looked at inside of requests. It costs a question to the control process, and holds bodies back."""

    __pydantic_config__ = EDGE

    validate: Mode = "off"
    """Whether requests must be as the OpenAPI document of the service says."""
    json: JsonBounds = field(default_factory=JsonBounds)
    """Bounds on JSON bodies; they hold however `validate` stands."""
    types: tuple[str, ...] = ("application/json",)
    """Media types of bodies that may come, where no document says: `application/json` stands for each `+json` too, and
    XML passes where it is named."""


@dataclass(frozen=True, slots=True)
class BotRule:
    """A rule of your own against bots: all that it names must fit."""

    __pydantic_config__ = EDGE

    id: str
    """Its name: a-z, 0-9 and -."""
    path: str | None = None
    """A regular expression (RE2) that the whole path fits, without the query."""
    agent: str | None = None
    """A regular expression (RE2) that the whole User-Agent fits."""
    header: str | None = None
    """The name of a header that is there."""


@dataclass(frozen=True, slots=True)
class Bots:
    """What is done about scanners and odd clients."""

    __pydantic_config__ = EDGE

    mode: Mode = "enforce"
    """`report` counts what would be refused and lets it pass."""
    skip: tuple[str, ...] = ()
    """Rules that are not asked, by their ids."""
    rules: tuple[BotRule, ...] = ()
    """Rules of your own beside the known ones."""
