"""The pages of people on each database, with a clock to turn: codes belong to a moment."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from factors.world import World, world
from kronborg.core.crypto import Vault
from kronborg.core.db import Database


@pytest.fixture
async def here(database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with world(database, vault, monkeypatch) as opened:
        yield opened
