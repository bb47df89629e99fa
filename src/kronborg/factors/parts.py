"""What factors need besides `core.parts.Parts`: their settings, and the way texts leave."""

from __future__ import annotations

from dataclasses import dataclass, field

from kronborg.core.errors import NotFound
from kronborg.factors.model import FactorSettings, Kind
from kronborg.factors.texts import Sender


@dataclass(frozen=True, slots=True)
class FactorParts:
    """Kept at `app.state.factors`, made once by the composition root."""

    settings: FactorSettings = field(default_factory=FactorSettings)
    texts: Sender | None = None

    @property
    def offered(self) -> tuple[Kind, ...]:
        """The methods people can use here."""
        return self.settings.offered

    def check_offered(self, kind: str) -> None:
        """Raises `NotFound` for a method that is not offered here."""
        if kind not in self.offered:
            raise NotFound("this is not offered here")
