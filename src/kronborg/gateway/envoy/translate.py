"""The whole translation: a snapshot, the issuer's keys and a proxy in, the bytes of Envoy's files out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from kronborg.core.collecting import without_collecting
from kronborg.core.json import JsonObject
from kronborg.gateway.envoy import bootstrap, tls
from kronborg.gateway.envoy.answers import answers
from kronborg.gateway.envoy.clusters import clusters
from kronborg.gateway.envoy.listener import by_rds, inline, listener, redirecting
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import compact, discovery, pretty
from kronborg.gateway.envoy.routes import route_table
from kronborg.gateway.model import Snapshot
from kronborg.gateway.shared_policies import settled

_LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"


@dataclass(frozen=True, slots=True)
class Files:
    """What Envoy reads. `rds` are the routes of the listener `external`, empty where no listener is called so."""

    bootstrap: bytes
    cds: bytes
    rds: bytes
    lds: bytes
    show: Callable[[], bytes] = field(compare=False, repr=False)
    tables: tuple[tuple[str, bytes], ...] = ()
    """The routes of further listeners, by the names of their files without the ending."""

    certificates: tuple[str, ...] = ()
    """The names of the certificates that have to be there (`envoy/tls.py`)."""

    @property
    def trial(self) -> bytes:
        """Everything in one file, to be validated; written only when it is asked for."""
        return self.show()

    @property
    def by_kind(self) -> dict[str, bytes]:
        """The files that the proxy reads while it runs, by their names without the ending."""
        routes = {"rds": self.rds} if self.rds else {}
        return {"cds": self.cds, "lds": self.lds, **routes, **dict(self.tables)}


def translate(snapshot: Snapshot, keys: str, proxy: Proxy) -> Files:
    """Pure: equal input, equal bytes. `keys` is the issuer's public JWKS as JSON text."""
    limits = replace(snapshot.limits, legacy_headers=snapshot.limits.legacy_headers or proxy.legacy_limit_headers)
    snapshot = settled(replace(snapshot, limits=limits))
    with without_collecting():
        return _files(snapshot, keys, proxy)


def _files(snapshot: Snapshot, keys: str, proxy: Proxy) -> Files:
    services = clusters(snapshot, proxy)
    inside = answers(snapshot)
    served: list[JsonObject] = []
    tried: list[JsonObject] = []
    tables: dict[str, bytes] = {}
    for here in proxy.listening:
        if here.redirect is not None:
            served.append(redirecting(snapshot, proxy, here))
            tried.append(redirecting(snapshot, proxy, here, trial=True))
            continue
        routes = route_table(snapshot, here, challenges=proxy.challenges)
        tables[here.file] = discovery([routes])
        served.append(listener(snapshot, keys, proxy, here, by_rds(proxy, here)))
        shown = inline({k: v for k, v in routes.items() if k != "@type"})
        tried.append(listener(snapshot, keys, proxy, here, shown))
    rds = tables.pop("rds", b"")
    return Files(
        bootstrap=pretty(bootstrap.bootstrap(snapshot.limits, proxy)),
        cds=discovery(services),
        rds=rds,
        lds=discovery([{"@type": _LISTENER, **each} for each in (*served, *inside)]),
        show=lambda: compact(bootstrap.trial(snapshot.limits, proxy, [*tried, *inside], services)),
        tables=tuple(sorted(tables.items())),
        certificates=tls.needed(snapshot, proxy),
    )
