"""Where private keys are kept: sealed in the database, or in a PKCS#11 token. One seam for both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, cast

import anyio.to_thread

from kronborg.core.crypto import KeyProblem, Vault
from kronborg.core.hardware import Token
from kronborg.core.json import JsonObject
from kronborg.core.jws import Line, LocalSigner, PrivateKey, Signer, describe, export, generate, public_jwk, restore
from kronborg.core.log import get_logger
from kronborg.tokens.model import StoredKey

log = get_logger("kronborg.tokens")


HELD: Final = "pkcs11:"
"""What the stored text of a key in a PKCS#11 token begins with; its `CKA_ID` follows, in hexadecimal."""


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


class SealedKeys(KeyHolder):
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


@dataclass(frozen=True, slots=True)
class HeldSigner(Signer):
    """A private key in a PKCS#11 token."""

    token: Token
    key_id: bytes
    line: Line

    @property
    def slow(self) -> bool:
        """Always: a token is another machine."""
        return True

    def sign(self, message: bytes) -> bytes:
        """The signature."""
        return self.token.sign(self.key_id, self.line, message)


class HeldKeys(KeyHolder):
    """Keys that are made in a PKCS#11 token and never leave it."""

    def __init__(self, token: Token) -> None:
        self._token = token

    async def make(self, line: Line) -> MadeKey:
        """A new key, made by the token."""
        key_id, public = await anyio.to_thread.run_sync(self._token.make, line)
        jwk = describe(public, line)
        return MadeKey(jwk["kid"], cast("JsonObject", jwk), f"{HELD}{key_id.hex()}")

    async def open(self, stored: StoredKey) -> Signer:
        """The key, where it is. Raises `KeyProblem` when it cannot be reached there."""
        key_id = _id_of(stored.sealed)
        await anyio.to_thread.run_sync(self._token.check, key_id)
        return HeldSigner(self._token, key_id, stored.line)

    async def forget(self, sealed: str) -> None:
        """Destroyed: nothing of it is needed any more. A token that does not answer keeps what nobody asks for."""
        try:
            await anyio.to_thread.run_sync(partial(self._token.forget, _id_of(sealed)))
        except KeyProblem:
            log.warning("key_not_destroyed", sealed=sealed)


def _id_of(sealed: str) -> bytes:
    return bytes.fromhex(sealed.removeprefix(HELD))
