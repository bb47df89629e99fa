"""Protected-resource metadata (RFC 9728): which document stands at which path, and which of them a route points to.

Pure, and written from the snapshot alone: a service behind the gateway needs to know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.model import WELL_KNOWN, Audience, Path, Route, Snapshot
from kronborg.gateway.validate import path_is_valid

_MOST_PLACES = 500
"""Of a virtual host; with more paths than that, further routes point to the first document of their API."""


@dataclass(frozen=True, slots=True)
class Described:
    """Of one virtual host: the documents by path, and by route the URL that its challenges name."""

    documents: Mapping[str, JsonObject]
    pointers: Mapping[str, str]


def describe(routes: Iterable[Route], snapshot: Snapshot) -> Described:
    """The documents for the APIs that `routes`, all of one virtual host, protect.

    An API whose audience is a URL served here has its document where RFC 9728 section 3.1 puts it. For any other, the
    path of the route stands for the API's own, so that whoever asks the gateway learns what to ask a token for.
    """
    # Below `*.shop.example` no document could say whose it is.
    named = (route for route in routes if route.audience is not None and not (route.host or "").startswith("*"))
    guarded = sorted(named, key=lambda route: route.name)
    audiences = {audience.uri: audience for audience in snapshot.audiences}
    owners: dict[str, str] = {}
    places: dict[str, str] = {}
    first: dict[str, str] = {}
    for route in guarded:
        own = _own_place(route, snapshot)
        if own is not None:
            owners[own.path] = route.audience or ""
            places[route.name] = f"{own.scheme}://{own.netloc}{own.path}"
    for route in sorted(guarded, key=lambda route: len(route.path.value)):
        known = places.get(first.get(route.audience or "", ""))
        if known is not None and len(owners) >= _MOST_PLACES:
            places.setdefault(route.name, known)
            continue
        first.setdefault(route.audience or "", route.name)
        # The path may speak for one API only; another one on the same path has its document below.
        for path in (WELL_KNOWN + route.path.stem, f"{WELL_KNOWN}{route.path.stem}/{route.name}"):
            if owners.setdefault(path, route.audience or "") == route.audience:
                places.setdefault(route.name, _base(route, snapshot) + path)
                break
    others = _others(guarded, snapshot)
    documents = {
        path: _document(audiences[uri], snapshot, others.get(uri, ()))
        for path, uri in sorted(owners.items())
        if uri in audiences
    }
    return Described(documents, places)


def _others(guarded: Iterable[Route], snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """By API, the other issuers whose tokens some route of it takes and whose names are addresses."""
    named: dict[str, set[str]] = {}
    for route in guarded:
        named.setdefault(route.audience or "", set()).update(route.issuers)
    return {
        uri: tuple(one.issuer for one in snapshot.issuers if one.name in names and one.issuer.startswith("https://"))
        for uri, names in named.items()
    }


def _document(audience: Audience, snapshot: Snapshot, others: tuple[str, ...]) -> JsonObject:
    """RFC 9728 section 2. `resource` is what a client sends as `resource` (RFC 8707) to get a token for this API."""
    members: dict[str, JsonValue] = {"resource": audience.uri, "authorization_servers": [snapshot.issuer, *others]}
    if audience.scopes:
        members["scopes_supported"] = sorted(audience.scopes)
    members["bearer_methods_supported"] = ["header"]
    if audience.name:
        members["resource_name"] = audience.name
    if audience.details_types:
        members["authorization_details_types_supported"] = sorted(audience.details_types)
    return members


def _own_place(route: Route, snapshot: Snapshot) -> SplitResult | None:
    """The URL of the document of an API whose audience is itself a URL of this virtual host; None otherwise."""
    parts = _split(route.audience or "")
    if parts is None:
        return None
    path = parts.path.rstrip("/") if parts.path == "/" else parts.path
    place = parts._replace(path=WELL_KNOWN + path)
    return place if _is_here(parts, route, snapshot) and path_is_valid(Path("exact", place.path)) else None


def _is_here(parts: SplitResult, route: Route, snapshot: Snapshot) -> bool:
    general = urlsplit(snapshot.url)
    if route.host is None or route.host == general.hostname:
        return (parts.scheme, parts.netloc) == (general.scheme, general.netloc)
    return parts.hostname == route.host


def _split(audience: str) -> SplitResult | None:
    """The parts of an http(s) URL without a query; None when it is something else."""
    try:
        parts = urlsplit(audience)
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.netloc and not parts.query else None


def _base(route: Route, snapshot: Snapshot) -> str:
    """Where clients reach this route: the gateway's URL, under the route's own host if it has one."""
    general = urlsplit(snapshot.url)
    if route.host is None:
        return f"{general.scheme}://{general.netloc}"
    host = f"[{route.host}]" if ":" in route.host else route.host
    port = "" if general.port is None else f":{general.port}"
    return f"{general.scheme}://{host}{port}"
