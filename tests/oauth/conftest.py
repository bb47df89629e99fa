"""The whole authorization server on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from oauth.flow import Flow, open_flow


@pytest.fixture
async def flow(database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Flow]:
    async with open_flow(database, vault, monkeypatch) as opened:
        yield opened
