"""What everything about people works with besides `core.parts.Parts`: the installation's settings, and its letters."""

from __future__ import annotations

from dataclasses import dataclass, field

from kronborg.accounts.settings import PeopleSettings
from kronborg.core.brand import Brand
from kronborg.core.crypto import Vault
from kronborg.core.letters import Letters


@dataclass(frozen=True, slots=True)
class People:
    """Kept at `app.state.people` and in the engine; made once per process by the composition root."""

    letters: Letters
    settings: PeopleSettings = field(default_factory=PeopleSettings)

    @classmethod
    def make(
        cls, vault: Vault, issuer: str, settings: PeopleSettings | None = None, brand: Brand | None = None
    ) -> People:
        """The people of one installation."""
        return cls(Letters(vault, issuer, brand), settings or PeopleSettings())
