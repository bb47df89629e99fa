"""The question of the console what becomes of the accounts of a directory or provider that is deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from kronborg.accounts.parting import Parting
from kronborg.sessions.console_pages import Choice

PARTING = Choice(
    "accounts",
    "The accounts that came from it",
    (
        ("release", "Make them ordinary accounts"),
        ("disable", "Disable them"),
        ("keep", "Keep them locked, for one that is made again under this key"),
    ),
)


def parting_in(form: Mapping[str, str]) -> Parting:
    """What was chosen."""
    return cast("Parting", PARTING.made(form))
