"""One running demo for the whole folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.stack import Stack, running_demo


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of this folder on one worker: they share a demo, which is not cheap to start."""
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.xdist_group("e2e"))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_demo(tmp_path_factory.mktemp("demo")) as running:
        yield running
