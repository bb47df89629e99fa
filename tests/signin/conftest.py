"""The pages of people on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from letter_box import Mailbox
from people_site import PeopleSite, people_site


@pytest.fixture
async def site(database: Database, vault: Vault) -> AsyncIterator[PeopleSite]:
    async with people_site(database, vault) as opened:
        yield opened


@pytest.fixture
def mailbox(site: PeopleSite, tmp_path: Path) -> Mailbox:
    return Mailbox(site.parts.database, site.parts.vault, site.app.state.people, tmp_path / "mail")
