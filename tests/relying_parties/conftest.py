"""One running identity process for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from relying_parties.running import Identity, running_identity


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identity]:
    with running_identity(tmp_path_factory.mktemp("identity")) as running:
        yield running
