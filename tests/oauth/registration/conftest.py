"""The authorization server with registration open, and closed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kronborg.clients.admission import Admission, RegistrationPolicy
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from oauth.flow import Flow, open_flow


@pytest.fixture
async def flow(database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Flow]:
    """Anybody may register."""
    async with open_flow(database, vault, monkeypatch, admission=Admission(RegistrationPolicy())) as opened:
        yield opened


@pytest.fixture
async def closed(database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Flow]:
    """Only who has an initial access token may register."""
    async with open_flow(database, vault, monkeypatch) as opened:
        yield opened
