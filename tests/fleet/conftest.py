"""The console and the admin API, as their own tests have them; and a door that gateways join at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from admin.conftest import admin
from console.conftest import console
from fleet.door_site import Site, door_site
from kronborg.core.crypto import Vault
from kronborg.core.db import Database

__all__ = ["admin", "console"]


@pytest.fixture
async def site(database: Database, vault: Vault, tmp_path: Path) -> AsyncIterator[Site]:
    async with door_site(database, vault, tmp_path) as made:
        yield made
