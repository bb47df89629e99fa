"""TLS to a service: whom the gateway believes there, and what it shows of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kronborg.gateway.edge_model import EDGE


@dataclass(frozen=True, slots=True)
class ServiceTls:
    """How the gateway speaks TLS to a service."""

    __pydantic_config__ = EDGE

    ca: str | None = None
    """The authorities that vouch for it (PEM, the text itself), in place of those of the system."""
    client_certificate: str | None = None
    """The name of the certificate that the gateway shows it."""
    sni: str | None = None
    """The name that the gateway asks for; the host of its URL when absent."""
    verify_names: tuple[str, ...] = ()
    """Names of which its certificate must have one; `sni`, or else the host of its URL, when absent."""
    minimum: Literal["1.2", "1.3"] = "1.2"
    """The oldest version of TLS."""
