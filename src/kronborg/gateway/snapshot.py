"""Freezing a snapshot into bytes and thawing it: canonical JSON, so that equal snapshots are equal bytes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import orjson

from kronborg.core.json import JsonValue
from kronborg.core.values import thaw as thaw_value
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.model import Route, Service, Snapshot


class Unreadable(ValueError):
    """Stored content is not what `encode` writes."""


def freeze(snapshot: Snapshot) -> bytes:
    """Canonical JSON of a snapshot, without its version: services and routes sorted by name."""
    ordered = replace(
        snapshot,
        services=tuple(sorted(snapshot.services, key=lambda service: service.name)),
        routes=tuple(sorted(snapshot.routes, key=lambda route: route.name)),
        policies=tuple(sorted(snapshot.policies, key=lambda policy: policy.name)),
        audiences=tuple(sorted(snapshot.audiences, key=lambda audience: audience.uri)),
        version=0,
    )
    return encode(ordered)


def thaw(content: bytes, *, version: int) -> Snapshot:
    """The snapshot that `freeze` made `content` of. Raises `Unreadable`."""
    try:
        return replace(thaw_value(Snapshot, orjson.loads(content)), version=version)
    except (TypeError, AttributeError) as error:
        raise Unreadable("a snapshot is not as written") from error


def digest(content: bytes) -> str:
    """SHA-256 of frozen content, in hex."""
    return hashlib.sha256(content).hexdigest()


def encode(value: Service | Route | NamedPolicy | Snapshot) -> bytes:
    """Canonical JSON of one object."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS)


def decode_service(content: str) -> Service:
    """The service that `encode` made `content` of."""
    return thaw_value(Service, orjson.loads(content))


def decode_route(content: str) -> Route:
    """The route that `encode` made `content` of."""
    return thaw_value(Route, orjson.loads(content))


def decode_policy(content: str) -> NamedPolicy:
    """The shared policy that `encode` made `content` of."""
    return thaw_value(NamedPolicy, orjson.loads(content))


def _plain(value: object) -> JsonValue:
    """A timedelta as seconds; everything else a snapshot holds is JSON already."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(type(value).__name__)
