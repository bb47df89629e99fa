"""The whole translation: a snapshot, the issuer's keys and a proxy in, the bytes of Envoy's files out."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from kronborg.gateway.envoy import bootstrap
from kronborg.gateway.envoy.answers import answers
from kronborg.gateway.envoy.clusters import clusters
from kronborg.gateway.envoy.listener import by_rds, inline, listener
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import compact, discovery, pretty
from kronborg.gateway.envoy.routes import route_table
from kronborg.gateway.model import Snapshot

_LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"


@dataclass(frozen=True, slots=True)
class Files:
    """What Envoy reads. `trial` is everything in one file, to be validated before the others are written."""

    bootstrap: bytes
    cds: bytes
    rds: bytes
    lds: bytes
    trial: bytes


def translate(snapshot: Snapshot, keys: str, proxy: Proxy) -> Files:
    """Pure: equal input, equal bytes. `keys` is the issuer's public JWKS as JSON text."""
    limits = replace(snapshot.limits, legacy_headers=snapshot.limits.legacy_headers or proxy.legacy_limit_headers)
    snapshot = replace(snapshot, limits=limits)
    with _without_collecting():
        return _files(snapshot, keys, proxy)


def _files(snapshot: Snapshot, keys: str, proxy: Proxy) -> Files:
    services = clusters(snapshot, proxy)
    routes = route_table(snapshot)
    inside = answers(snapshot)
    served = listener(snapshot, keys, proxy, by_rds(proxy))
    tried = listener(snapshot, keys, proxy, inline({k: v for k, v in routes.items() if k != "@type"}))
    return Files(
        bootstrap=pretty(bootstrap.bootstrap(snapshot.limits, proxy)),
        cds=discovery(services),
        rds=discovery([routes]),
        lds=discovery([{"@type": _LISTENER, **each} for each in (served, *inside)]),
        trial=compact(bootstrap.trial(snapshot.limits, proxy, [tried, *inside], services)),
    )


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Ten thousand routes are a million small values, none of them garbage: looking for some takes half of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
