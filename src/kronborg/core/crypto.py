"""Secrets at rest: envelope encryption under one master key, and keyed digests of machine-made secrets.

The master key is 256 random bits. It comes from the environment or from a file that is made, readable by
its owner only, at the first start. Each sealed value has a data key of its own (AES-256-GCM, NIST SP 800-38D),
wrapped by a key derived from the master key; both layers are bound to a `context`, so that a sealed value
cannot be moved to another row or purpose.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kronborg.core.token_address import TokenAddress

KEY_BYTES = 32
_NONCE = 12
_PREFIX = "k1."


class KeyProblem(Exception):
    """The master key is missing, malformed, too open, or not the one that sealed this value."""


class Vault:
    """Seals, opens and digests under one master key. Safe to share between tasks.

    `held` says where a PKCS#11 token is that keeps the signing keys in place of the vault (`core/hardware.py`).
    """

    def __init__(self, master_key: bytes, *, held: TokenAddress | None = None) -> None:
        if len(master_key) != KEY_BYTES:
            raise KeyProblem("the master key must be 32 bytes, base64url-encoded")
        self.held = held
        self._master = master_key
        self._wrap = AESGCM(self.derive("seal"))
        self._digest_keys: dict[str, bytes] = {}

    @classmethod
    def load(cls, path: Path, value: str | None = None, *, held: TokenAddress | None = None) -> Vault:
        """The vault of this installation: from `value` if given, else from the file at `path`, made if absent.

        Raises `KeyProblem` when the key is malformed or the file is readable by others.
        """
        if value:
            return cls(_decode(value), held=held)
        if not path.exists():
            _create(path)
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise KeyProblem(f"{path} can be read by others (mode {mode:04o}): run chmod 600 on it")
        return cls(_decode(path.read_text(encoding="ascii")), held=held)

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose (HKDF-SHA-256, RFC 5869)."""
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(self._master)

    def seal(self, plaintext: bytes, *, context: str) -> str:
        """Encrypt `plaintext`; only `open` with the same context gives it back."""
        data_key = AESGCM.generate_key(bit_length=256)
        bound = context.encode()
        wrap_nonce, nonce = os.urandom(_NONCE), os.urandom(_NONCE)
        wrapped = self._wrap.encrypt(wrap_nonce, data_key, bound)
        body = AESGCM(data_key).encrypt(nonce, plaintext, bound)
        return _PREFIX + base64.urlsafe_b64encode(wrap_nonce + wrapped + nonce + body).decode()

    def open(self, sealed: str, *, context: str) -> bytes:
        """Decrypt what `seal` made. Raises `KeyProblem` for another key, another context, or altered bytes."""
        bound = context.encode()
        try:
            raw = base64.urlsafe_b64decode(sealed.removeprefix(_PREFIX))
            split = _NONCE + KEY_BYTES + 16
            data_key = self._wrap.decrypt(raw[:_NONCE], raw[_NONCE:split], bound)
            return AESGCM(data_key).decrypt(raw[split : split + _NONCE], raw[split + _NONCE :], bound)
        except (InvalidTag, ValueError, binascii.Error) as error:
            raise KeyProblem("a sealed secret cannot be opened: is this the master key it was sealed with?") from error

    def digest(self, secret: str, *, context: str) -> bytes:
        """Keyed HMAC-SHA-256 of a secret that a machine made (never of a password: those need Argon2id)."""
        key = self._digest_keys.get(context)
        if key is None:
            key = self._digest_keys[context] = self.derive(f"digest:{context}")
        return hmac.digest(key, secret.encode(), hashlib.sha256)


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text.strip() + "=" * (-len(text.strip()) % 4))
    except (ValueError, binascii.Error) as error:
        raise KeyProblem("the master key must be 32 bytes, base64url-encoded") from error


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return  # another process made it meanwhile
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode() + "\n")
        file.flush()
        os.fsync(file.fileno())
