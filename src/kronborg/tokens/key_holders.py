"""Where private keys are kept: sealed in the database, or in a PKCS#11 token. One seam for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import anyio.to_thread

from kronborg.core.crypto import Vault
from kronborg.core.json import JsonObject
from kronborg.core.jws import Line, LocalSigner, PrivateKey, Signer, export, generate, public_jwk, restore
from kronborg.tokens.model import StoredKey


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key: its public part, and what is stored so that its holder finds the private one again."""

    kid: str
    public_jwk: JsonObject
    sealed: str


class KeyHolder(Protocol):
    """Makes, opens and forgets private keys."""

    async def make(self, line: Line) -> MadeKey:
        """A new key."""
        ...

    async def open(self, stored: StoredKey) -> Signer:
        """A key of this holder, to sign with."""
        ...

    async def forget(self, sealed: str) -> None:
        """A key is not needed any more."""
        ...


class SealedKeys:
    """Keys in the database, sealed in the vault; opened into the memory of this process."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def make(self, line: Line) -> MadeKey:
        """A new key; RSA in a thread."""
        if line in ("PS256", "RS256"):
            return self.seal(await anyio.to_thread.run_sync(generate, line), line)
        return self.seal(generate(line), line)

    async def open(self, stored: StoredKey) -> Signer:
        """The key in the clear."""
        return LocalSigner(stored.line, self.private(stored))

    async def forget(self, sealed: str) -> None:
        """Nothing is kept outside of the row."""

    def seal(self, private: PrivateKey, line: Line, *, kid: str | None = None) -> MadeKey:
        """A key that exists already. `kid` is its thumbprint unless given."""
        jwk = public_jwk(private, line, kid=kid)
        sealed = self._vault.seal(export(private), context=f"tokens.key:{jwk['kid']}")
        return MadeKey(jwk["kid"], cast("JsonObject", jwk), sealed)

    def private(self, stored: StoredKey) -> PrivateKey:
        """The private key of a row."""
        return restore(self._vault.open(stored.sealed, context=f"tokens.key:{stored.id}"))
