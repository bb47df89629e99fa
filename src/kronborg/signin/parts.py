"""What sign-in needs besides `core.parts.Parts`: its settings, and the pool that compares passwords."""

from __future__ import annotations

from dataclasses import dataclass

from kronborg.core.fetch import Fetcher
from kronborg.signin.model import SignInSettings
from kronborg.signin.passwords import Passwords


@dataclass(frozen=True, slots=True)
class SignInParts:
    """What sign-in needs besides `Parts`; kept at `app.state.signin`, made once by the composition root."""

    settings: SignInSettings
    passwords: Passwords

    @classmethod
    def make(cls, settings: SignInSettings | None = None, fetcher: Fetcher | None = None) -> SignInParts:
        """The parts for these settings (the defaults without); `fetcher` asks the service of leaked passwords."""
        settings = settings or SignInSettings()
        return cls(settings, Passwords(settings.passwords, fetcher))
