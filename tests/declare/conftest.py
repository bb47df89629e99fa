"""An installation on both databases, and documents to apply to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.gateway.declare.installation import Installation
from kronborg.signin.model import PasswordSettings
from kronborg.signin.passwords import Passwords

CHEAP = PasswordSettings(passes=1, memory_kib=64, lanes=1)
"""Argon2 that costs next to nothing: what is tested here is not how long a guess takes."""

RICH = Path(__file__).with_name("rich.yaml")


@pytest.fixture
def installation(database: Database, vault: Vault) -> Installation:
    return Installation(database, vault, Passwords(CHEAP), "http://localhost:8081", "http://localhost:8080")
