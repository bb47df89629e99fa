"""SCIM clients on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from provisioning.scim_site import Scim, scim_site


@pytest.fixture
async def clients(database: Database, vault: Vault) -> AsyncIterator[tuple[Scim, Scim, Scim]]:
    async with scim_site(database, vault) as opened:
        yield opened


@pytest.fixture
def scim(clients: tuple[Scim, Scim, Scim]) -> Scim:
    return clients[0]
