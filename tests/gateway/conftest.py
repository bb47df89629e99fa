"""One live gateway per test worker; each test brings it to its own routes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.live import Live, running


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(tmp_path_factory.mktemp("gateway")) as live:
        yield live


@pytest.fixture(scope="session")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Another, with two workers."""
    with running(tmp_path_factory.mktemp("gateway"), workers=2) as live:
        yield live
