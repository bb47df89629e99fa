"""Where a gateway listens, told by `server.gateway.listeners`: addresses, TLS, and whom it asks for a certificate.

Where a request comes in never grants anything: a route that is served inside only still asks for its token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kronborg.core.durations import Span
from kronborg.gateway.edge_model import EDGE

Kind = Literal["external", "internal"]
KINDS: tuple[Kind, ...] = ("external", "internal")
ClientCertificates = Literal["none", "optional", "required"]
Minimum = Literal["1.2", "1.3"]

DEFAULT = "external"
"""The name of the one plain listener of a gateway that is told of none."""
ACME_PATH = "/.well-known/acme-challenge/"
"""Where an ACME server looks for its proof (RFC 8555 section 8.3)."""


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """TLS of a listener: 1.2 with forward secrecy and authenticated encryption, or 1.3; HTTP/2 and HTTP/1.1."""

    __pydantic_config__ = EDGE

    certificates: tuple[str, ...]
    """Certificates by their names. The one that is for the name a caller asks for is shown; for any other name the
    first."""
    minimum: Minimum = "1.2"
    """The oldest version of TLS."""
    hsts: Span | None = None
    """How long browsers shall come by HTTPS only (Strict-Transport-Security); not said when absent."""
    client_certificates: ClientCertificates = "none"
    """Whether callers are asked for a certificate of theirs: `none`, `optional` or `required`."""
    authorities: str | None = None
    """Those who vouch for callers (PEM), relative to this file. Without it, `optional` takes any certificate: it proves
    a key, which tokens may be bound to, and no name."""
    revoked: str | None = None
    """Revocation lists (PEM) of all those authorities, relative to this file."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One address of a gateway. `redirect` is the port of HTTPS to which everything is sent; then it does no more."""

    name: str = DEFAULT
    host: str = "127.0.0.1"
    port: int = 8080
    kind: Kind = "external"
    tls: ListenerTls | None = None
    redirect: int | None = None

    def serves(self, wanted: tuple[str, ...]) -> bool:
        """Whether a route that names these listeners, or kinds of them, is served here."""
        return self.kind in wanted or self.name in wanted

    @property
    def table(self) -> str:
        """The name of its routes."""
        return "routes" if self.name == DEFAULT else f"routes-{self.name}"

    @property
    def file(self) -> str:
        """The file with its routes, in the proxy's folder, without the ending."""
        return "rds" if self.name == DEFAULT else f"rds-{self.name}"


def may_meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two routes may be served on one listener. A name may be of either kind, as each gateway says itself."""
    if set(one) & set(other):
        return True
    return not (_kinds_only(one) and _kinds_only(other)) and (_names_kind(one) or _names_kind(other))


def _kinds_only(names: tuple[str, ...]) -> bool:
    return set(names) <= set(KINDS)


def _names_kind(names: tuple[str, ...]) -> bool:
    return bool(set(names) & set(KINDS))
