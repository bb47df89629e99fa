"""The file of blocked addresses beside a gateway's ledger: written when what the ledger says of them changes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kronborg.gateway.envoy.filters.blocked import content


def ensure(path: Path) -> None:
    """A file that blocks nobody where there is none."""
    if not path.exists():
        place(path, ())


def place(path: Path, networks: Sequence[str]) -> None:
    """These networks from now on; whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content(networks))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
