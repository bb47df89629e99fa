"""A folder to run commands in."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.shell import Shell


@pytest.fixture
def shell(tmp_path: Path, sqlite_template: Path) -> Shell:
    """A folder with a data folder that holds a migrated, empty store."""
    data = tmp_path / ".kronborg"
    data.mkdir(mode=0o700)
    (data / "kronborg.db").write_bytes(sqlite_template.read_bytes())
    return Shell(tmp_path)
