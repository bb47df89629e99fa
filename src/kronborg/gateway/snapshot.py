"""Freezing a snapshot into bytes and thawing it: canonical JSON, so that equal snapshots are equal bytes.

Written out by hand, because the control process stays small without a library for it; a test takes every
field there and back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import TypeVar

import orjson

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.model import Audience, Limits, Path, PathKind, Route, Service, Snapshot, SpikeArrest

# What snapshots of 0.1, which did not say it, were served under unless somebody chose otherwise.
_URL = "http://localhost:8080"
_Value = TypeVar("_Value", str, int, bool)


class Unreadable(ValueError):
    """Stored content is not what `encode` writes; the message names the member."""


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
    """The snapshot that `freeze` made `content` of. Raises `Unreadable`."""
    found = _object(orjson.loads(content))
    return Snapshot(
        issuer=_get(found, "issuer", str),
        services=tuple(_service(part) for part in _parts(found, "services")),
        routes=tuple(_route(part) for part in _parts(found, "routes")),
        audiences=tuple(_audience(part) for part in _parts(found, "audiences")),
        hosts=_texts(found, "hosts"),
        url=_get(found, "url", str) if "url" in found else _URL,
        limits=_limits(_object(found["limits"])),
        version=version,
    )


def digest(content: bytes) -> str:
    """SHA-256 of frozen content, in hex."""
    return hashlib.sha256(content).hexdigest()


def encode(value: Service | Route | Snapshot) -> bytes:
    """Canonical JSON of one object."""
    return orjson.dumps(asdict(value), default=_plain, option=orjson.OPT_SORT_KEYS)


def decode_service(content: str) -> Service:
    """The service that `encode` made `content` of. Raises `Unreadable`."""
    return _service(_object(orjson.loads(content)))


def decode_route(content: str) -> Route:
    """The route that `encode` made `content` of. Raises `Unreadable`."""
    return _route(_object(orjson.loads(content)))


def _plain(value: object) -> JsonValue:
    """A timedelta as seconds; everything else a snapshot holds is JSON already."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(type(value).__name__)


def _service(found: JsonObject) -> Service:
    return Service(
        name=_get(found, "name", str),
        urls=_texts(found, "urls"),
        http2=_get(found, "http2", bool),
        connect_timeout=_span(found, "connect_timeout"),
    )


def _route(found: JsonObject) -> Route:
    path = _object(found["path"])
    arrest = found["spike_arrest"]
    return Route(
        name=_get(found, "name", str),
        path=Path(_kind(path), _get(path, "value", str)),
        service=_get(found, "service", str),
        host=_maybe(found, "host"),
        methods=_texts(found, "methods"),
        public=_get(found, "public", bool),
        audience=_maybe(found, "audience"),
        scopes=_texts(found, "scopes"),
        roles=_texts(found, "roles"),
        spike_arrest=None if arrest is None else _arrest(_object(arrest)),
        timeout=_span(found, "timeout"),
        max_body=_get(found, "max_body", int),
        cookies=_get(found, "cookies", bool),
        cors_origins=_texts(found, "cors_origins"),
    )


def _audience(found: JsonObject) -> Audience:
    return Audience(
        uri=_get(found, "uri", str),
        scopes=_texts(found, "scopes"),
        reference=_get(found, "reference", bool),
        name=_get(found, "name", str) if "name" in found else "",
        details_types=_texts(found, "details_types") if "details_types" in found else (),
        readable=_get(found, "readable", bool) if "readable" in found else True,
        bound=_get(found, "bound", bool) if "bound" in found else False,
    )


def _arrest(found: JsonObject) -> SpikeArrest:
    rate, burst = _get(found, "rate", str), _get(found, "burst", int)
    match found["per"]:
        case "client" | "user" | "address" | "route" as per:
            return SpikeArrest(rate, burst, per)
        case _:
            raise Unreadable("per")


def _limits(found: JsonObject) -> Limits:
    return Limits(
        header_kilobytes=_get(found, "header_kilobytes", int),
        header_count=_get(found, "header_count", int),
        connections=_get(found, "connections", int),
        heap_megabytes=_get(found, "heap_megabytes", int),
        idle=_span(found, "idle"),
        request_time=_span(found, "request_time"),
        cached_tokens=_get(found, "cached_tokens", int),
        limiters=_get(found, "limiters", int),
    )


def _object(value: JsonValue) -> JsonObject:
    if not isinstance(value, Mapping):
        raise Unreadable("an object is missing")
    return value


def _parts(found: JsonObject, name: str) -> Sequence[JsonObject]:
    parts = found[name]
    if not isinstance(parts, list):
        raise Unreadable(name)
    return [_object(part) for part in parts]


def _get(found: JsonObject, name: str, kind: type[_Value]) -> _Value:
    value = found[name]
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        raise Unreadable(name)
    return value


def _maybe(found: JsonObject, name: str) -> str | None:
    return None if found[name] is None else _get(found, name, str)


def _texts(found: JsonObject, name: str) -> tuple[str, ...]:
    values = found[name]
    if not isinstance(values, list):
        raise Unreadable(name)
    return tuple(str(value) for value in values)


def _span(found: JsonObject, name: str) -> timedelta:
    value = found[name]
    if not isinstance(value, int | float):
        raise Unreadable(name)
    return timedelta(seconds=value)


def _kind(found: JsonObject) -> PathKind:
    match found["kind"]:
        case "exact" | "prefix" as kind:
            return kind
        case _:
            raise Unreadable("kind")
