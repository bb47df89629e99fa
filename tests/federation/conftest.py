"""A directory of this worker, empty before each test, and the pages of people beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from federation.slapd import GROUPS, PEOPLE, Slapd, running_slapd
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from people_site import PeopleSite, people_site


@pytest.fixture(scope="session")
def slapd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with running_slapd(tmp_path_factory.mktemp("slapd")) as slapd:
        yield slapd


@pytest.fixture
def slapd(slapd_server: Slapd) -> Slapd:
    """The directory, up and without people and groups."""
    if slapd_server.process is None:
        slapd_server.start()
    slapd_server.sweep(PEOPLE, GROUPS)
    return slapd_server


@pytest.fixture
async def site(database: Database, vault: Vault) -> AsyncIterator[PeopleSite]:
    async with people_site(database, vault) as opened:
        yield opened
