"""Freezing a snapshot into bytes and thawing it: canonical JSON, so that equal snapshots are equal bytes."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from datetime import timedelta

import orjson
from pydantic import TypeAdapter

from kronborg.core.json import JsonValue
from kronborg.gateway.model import Route, Service, Snapshot

_snapshots = TypeAdapter(Snapshot)
_services = TypeAdapter(Service)
_routes = TypeAdapter(Route)


def _plain(value: object) -> JsonValue:
    """A timedelta as seconds; everything else a snapshot holds is JSON already."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(type(value).__name__)


def freeze(snapshot: Snapshot) -> bytes:
    """Canonical JSON of a snapshot, without its version: services and routes sorted by name, keys sorted."""
    ordered = replace(
        snapshot,
        services=tuple(sorted(snapshot.services, key=lambda service: service.name)),
        routes=tuple(sorted(snapshot.routes, key=lambda route: route.name)),
        audiences=tuple(sorted(snapshot.audiences, key=lambda audience: audience.uri)),
        version=0,
    )
    return encode(ordered)


def thaw(content: bytes, *, version: int) -> Snapshot:
    """The snapshot that `freeze` made `content` of."""
    return replace(_snapshots.validate_json(content), version=version)


def digest(content: bytes) -> str:
    """SHA-256 of frozen content, in hex."""
    return hashlib.sha256(content).hexdigest()


def encode(value: Service | Route | Snapshot) -> bytes:
    """Canonical JSON of one object."""
    return orjson.dumps(asdict(value), default=_plain, option=orjson.OPT_SORT_KEYS)


def decode_service(content: str) -> Service:
    """The service that `encode` made `content` of."""
    return _services.validate_json(content)


def decode_route(content: str) -> Route:
    """The route that `encode` made `content` of."""
    return _routes.validate_json(content)
