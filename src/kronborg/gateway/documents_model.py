"""The nouns of OpenAPI documents: where one comes from, and what is known of the one that a service has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.core.durations import Span
from kronborg.gateway.edge_model import EDGE

LARGEST = 1_048_576
"""Bytes of a document."""


@dataclass(frozen=True, slots=True)
class Published:
    """Where the OpenAPI document of a service comes from: its URL, or a file beside kronborg.yaml."""

    __pydantic_config__ = EDGE

    url: str = ""
    """An absolute URL that answers with JSON or YAML; the control process fetches it, through the one way out."""
    every: Span = timedelta(hours=1)
    """How often it is asked for again. A document that cannot stand leaves the one before in force."""
    file: str | None = None
    """A file in place of `url`, relative to kronborg.yaml: plan shows that it differs, and apply takes it."""


@dataclass(frozen=True, slots=True)
class Text:
    """A document that may be kept: its canonical JSON and what is shown of it."""

    content: str
    digest: str
    title: str
    version: str
    operations: int


@dataclass(frozen=True, slots=True)
class Described:
    """What requests are held against: a document's canonical JSON, and the digest that it is known by."""

    digest: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ServiceDocument:
    """The document of a service: `digest` is the SHA-256 of its text, `source` a URL or empty when it was uploaded."""

    service: str
    digest: str
    title: str
    version: str
    operations: int
    octets: int
    source: str
    updated_at: datetime
    problem: str = ""
    """Why the last one fetched could not be taken."""
