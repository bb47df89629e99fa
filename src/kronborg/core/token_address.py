"""Where a PKCS#11 token is that makes and keeps the signing keys. Pure values; `core/hardware.py` talks to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

HeldAlgorithm = Literal["ES256", "PS256", "RS256"]
"""What a token may sign; Ed25519 is too new for most of them."""
HELD_ALGORITHMS: tuple[HeldAlgorithm, ...] = get_args(HeldAlgorithm)


@dataclass(frozen=True, slots=True)
class HeldKeysSettings:
    """A token as it is configured: its PIN is named, never written down."""

    module: str
    token: str
    pin_env: str | None = None
    pin_file: str | None = None
    algorithms: tuple[HeldAlgorithm, ...] = HELD_ALGORITHMS


@dataclass(frozen=True, slots=True)
class TokenAddress:
    """The path of the PKCS#11 library, the label of the token, the user's PIN; what the token is to sign."""

    module: str
    token: str
    pin: str
    algorithms: tuple[HeldAlgorithm, ...] = HELD_ALGORITHMS

    def __repr__(self) -> str:
        """Without the PIN: it must not stand in any log."""
        return f"TokenAddress(module={self.module!r}, token={self.token!r}, algorithms={self.algorithms!r})"
