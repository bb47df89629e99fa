"""What the composition root hands to every page and endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from starlette.requests import Request

from kronborg.core.crypto import Vault
from kronborg.core.db import Database

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parts:
    """Kept at `app.state.parts`. `issuer` has no trailing slash; `secure` is true when it is https."""

    database: Database
    vault: Vault
    issuer: str
    gateway_url: str = "http://localhost:8080"
    session_idle: timedelta = timedelta(hours=12)
    session_absolute: timedelta = timedelta(days=14)
    profile: str = "none"
    fleet_url: str = ""
    """Where gateways on other machines reach the control process; empty when nowhere."""
    shown_certificates: tuple[str, ...] = ()
    """The names of the certificates that listeners of the gateway show."""
    calls_from: tuple[str, ...] = ()
    never_from: tuple[str, ...] = ()
    """Where requests to any route of the gateway may come from, and may never; all from anywhere where empty."""
    has_acme: bool = False
    """Whether an ACME server makes certificates."""

    def __post_init__(self) -> None:
        self.database.vault = self.vault

    @property
    def secure(self) -> bool:
        """Whether cookies are `Secure` and carry the `__Host-` prefix."""
        return self.issuer.startswith("https://")


def parts_of(request: Request) -> Parts:
    """The parts of the app that serves this request."""
    return part_of(request, "parts", Parts)


def part_of(request: Request, name: str, kind: type[T]) -> T:
    """What the composition root put at `app.state.<name>` of the app that serves this request."""
    found = getattr(request.app.state, name, None)
    if not isinstance(found, kind):
        raise TypeError(f"app.state.{name} is not set by the composition root")
    return found
