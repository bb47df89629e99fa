"""One running identity process for the whole folder; each test registers clients of its own in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from relying_parties.running import Identity, running_identity


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identity]:
    with running_identity(tmp_path_factory.mktemp("identity")) as running:
        yield running
