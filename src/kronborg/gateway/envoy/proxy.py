"""Where one Envoy listens, keeps its files and finds the exchange: a deployment's part of the translation."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kronborg.gateway.listener_model import Listener
from kronborg.gateway.revocation_model import DEFAULT_POLICY, RevocationPolicy
from kronborg.gateway.telemetry_model import MetricsSettings, TracingSettings

_LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class Proxy:
    """One Envoy. `folder` holds its files; the exchange is the control process's loopback endpoint.

    It listens on `host` and `port` unless `listeners` say where. `challenges`: ACME servers may ask here.
    """

    folder: Path
    name: str = "gateway-1"
    host: str = "127.0.0.1"
    port: int = 8080
    exchange_host: str = "127.0.0.1"
    exchange_port: int = 8082
    revocation: RevocationPolicy = DEFAULT_POLICY
    tracing: TracingSettings | None = None
    metrics: MetricsSettings | None = None
    legacy_limit_headers: bool = False
    listeners: tuple[Listener, ...] = ()
    challenges: bool = False

    @property
    def listening(self) -> tuple[Listener, ...]:
        """Every listener."""
        return self.listeners or (Listener(host=self.host, port=self.port),)

    @property
    def serving(self) -> tuple[Listener, ...]:
        """Those that have routes."""
        return tuple(one for one in self.listening if one.redirect is None)

    @property
    def bootstrap(self) -> Path:
        """The file Envoy is started with."""
        return self.folder / "bootstrap.json"

    @property
    def secret(self) -> Path:
        """The file (0600) with the secret that Envoy shows the exchange."""
        return self.folder / "exchange.secret"

    @property
    def ledger(self) -> Path:
        """What it is to refuse. In a folder of its own, for Envoy looks at what is renamed in the other."""
        return self.folder / "ledger" / "ledger.txt"

    @property
    def answers(self) -> Path:
        """Where answers about quotas lie until a worker of Envoy takes them up."""
        return self.folder / "quota"

    @property
    def blocked(self) -> Path:
        """Which addresses are blocked. In a folder of its own too."""
        return self.folder / "blocked" / "blocked.json"

    @property
    def admin(self) -> Path:
        """Envoy's admin socket (0600).

        A Unix socket's path is at most 107 bytes, so a deep data folder gets a socket in a private folder
        under the system's temporary one, named by the data folder's hash.
        """
        inside = self.folder / "admin.sock"
        if len(str(inside)) <= _LONGEST_SOCKET_PATH:
            return inside
        mark = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"kronborg-{mark}" / "admin.sock"
