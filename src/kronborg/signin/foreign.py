"""Hashes that other systems made of passwords: read from the spellings they use, bounded in cost, compared.

People who come with such a hash sign in once with it; then it is replaced by one of ours. Kept are four spellings:

    $argon2id$v=19$m=…,t=…,p=…$salt$digest          (and argon2i, argon2d: the PHC string)
    $2b$12$…                                        bcrypt; `$bcrypt-sha256-hex` in front: of the SHA-256 in hexadecimal
    $pbkdf2-sha256$iterations$salt$digest           (and -sha1, -sha512; salt and digest base64 without padding)
    $scrypt$ln=…,r=…,p=…$salt$digest

What would cost more than about a second to compare, or more than 128 MiB, is refused at the door and never compared:
whoever may import could otherwise make every sign-in a denial of service.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

MAX_ENCODED = 1000
MAX_MEMORY_KIB = 131_072
MAX_ARGON2_WORK = 1_048_576
"""KiB times passes."""
MAX_BCRYPT_COST = 13
MAX_ROUNDS = 2_500_000
"""Of PBKDF2, for all blocks of its output together."""
MAX_SCRYPT_WORK = 1 << 21
"""N times r times p."""
_DIGESTS = {"sha1": 20, "sha256": 32, "sha512": 64}
_HEX_FIRST = "$bcrypt-sha256-hex"
_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)\$(?:v=(?:16|19)\$)?m=(\d{1,9}),t=(\d{1,6}),p=(\d{1,3})\$[A-Za-z0-9+/]{8,}\$[A-Za-z0-9+/]{16,}"
)
_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_PBKDF2 = re.compile(r"\$pbkdf2-(sha1|sha256|sha512)\$(\d{1,9})\$([A-Za-z0-9+/]*)\$([A-Za-z0-9+/]{16,})")
_SCRYPT = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]*)\$([A-Za-z0-9+/]{16,})")


class NotTaken(ValueError):
    """A hash that is not taken; the text says why and echoes nothing."""


@dataclass(frozen=True, slots=True)
class _Costs:
    """What comparing costs, in the measures of the bounds above."""

    memory_kib: int = 0
    argon2: int = 0
    bcrypt: int = 0
    rounds: int = 0
    scrypt: int = 0

    def check(self) -> None:
        """Raise `NotTaken` beyond a bound."""
        if self.memory_kib > MAX_MEMORY_KIB:
            raise NotTaken(f"this hash takes more than {MAX_MEMORY_KIB // 1024} MiB to compare")
        if self.argon2 > MAX_ARGON2_WORK or self.bcrypt > MAX_BCRYPT_COST:
            raise NotTaken("this hash takes too long to compare")
        if self.rounds > MAX_ROUNDS or self.scrypt > MAX_SCRYPT_WORK:
            raise NotTaken("this hash takes too long to compare")


def read_hash(text: str) -> str:
    """The hash as we keep it, from any spelling we know. Raises `NotTaken`.

    Known are PHC strings, bcrypt, passlib's, Django's and Werkzeug's; for Keycloak's see `keycloak_hash`.
    """
    if len(text) > MAX_ENCODED:
        raise NotTaken("this hash is too long")
    kept = next((made for made in (reader(text) for reader in _READERS) if made is not None), None)
    if kept is None:
        raise NotTaken("this is no hash that is known: Argon2, bcrypt, PBKDF2 and scrypt are")
    _costs(kept).check()
    return kept


def keycloak_hash(credential: dict[str, object], secret: dict[str, object]) -> str:
    """The hash in `credentialData` and `secretData` of a Keycloak export, both parsed. Raises `NotTaken`."""
    name, rounds = credential.get("algorithm"), credential.get("hashIterations")
    value, salt = secret.get("value"), secret.get("salt")
    if not isinstance(name, str) or not isinstance(rounds, int) or not isinstance(value, str):
        raise NotTaken("this credential holds no hash that is known")
    salt = salt if isinstance(salt, str) else ""
    if name in ("pbkdf2", "pbkdf2-sha256", "pbkdf2-sha512"):
        digest = name.partition("-")[2] or "sha1"
        return read_hash(f"$pbkdf2-{digest}${rounds}${_bare(salt)}${_bare(value)}")
    more = credential.get("additionalParameters")
    if name == "argon2" and isinstance(more, dict):
        kind, version, memory, lanes = (_only(more, one) for one in ("type", "version", "memory", "parallelism"))
        phc = f"m={memory},t={rounds},p={lanes}${_bare(salt)}${_bare(value)}"
        return read_hash(f"$argon2{kind}$v={'16' if version == '1.0' else '19'}${phc}")
    raise NotTaken("this credential holds no hash that is known")


def is_foreign(encoded: str) -> bool:
    """Whether a kept hash is one of another system, by its kind."""
    return not encoded.startswith("$argon2id$")


def matches_foreign(encoded: str, password: str) -> bool:
    """Whether a password is the one of a kept hash. No when the hash is not well-formed or beyond its bounds."""
    try:
        _costs(encoded).check()
    except NotTaken:
        return False
    if encoded.startswith("$argon2"):
        return _argon2(encoded, password)
    if encoded.startswith(("$2", _HEX_FIRST)):
        return _bcrypt(encoded, password.encode())
    if found := _PBKDF2.fullmatch(encoded):
        name, rounds, salt, digest = found[1], int(found[2]), _raw(found[3]), _raw(found[4])
        made = hashlib.pbkdf2_hmac(name, password.encode(), salt, rounds, len(digest))
        return hmac.compare_digest(made, digest)
    found = _SCRYPT.fullmatch(encoded)
    if found is None:
        return False
    n, r, p = 1 << int(found[1]), int(found[2]), int(found[3])
    digest = _raw(found[5])
    # OpenSSL counts a little more than the table itself.
    room = 128 * r * (n + p + 2) + (1 << 20)
    made = hashlib.scrypt(password.encode(), salt=_raw(found[4]), n=n, r=r, p=p, maxmem=room, dklen=len(digest))
    return hmac.compare_digest(made, digest)


def _costs(kept: str) -> _Costs:
    """What a kept hash costs. Raises `NotTaken` when it is none."""
    if found := _ARGON2.fullmatch(kept):
        memory, passes, lanes = int(found[1]), int(found[2]), int(found[3])
        if min(memory, passes, lanes) < 1:
            raise NotTaken("this hash has parameters that do not exist")
        return _Costs(memory_kib=memory, argon2=memory * passes)
    if found := _BCRYPT.fullmatch(kept.removeprefix(_HEX_FIRST)):
        if int(found[1]) < 4:
            raise NotTaken("this hash has parameters that do not exist")
        return _Costs(bcrypt=int(found[1]))
    if found := _PBKDF2.fullmatch(kept):
        blocks = -(-len(_raw(found[4])) // _DIGESTS[found[1]])
        if int(found[2]) < 1:
            raise NotTaken("this hash has parameters that do not exist")
        return _Costs(rounds=int(found[2]) * blocks)
    if found := _SCRYPT.fullmatch(kept):
        n, r, p = 1 << int(found[1]), int(found[2]), int(found[3])
        if n < 2 or r < 1 or p < 1:
            raise NotTaken("this hash has parameters that do not exist")
        return _Costs(memory_kib=128 * n * r // 1024, scrypt=n * r * p)
    raise NotTaken("this hash is not well-formed")


def _argon2(encoded: str, password: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(encoded, password)
    except (VerificationError, InvalidHashError):
        return False


def _bcrypt(encoded: str, password: bytes) -> bool:
    import bcrypt

    if encoded.startswith(_HEX_FIRST):
        encoded, password = encoded.removeprefix(_HEX_FIRST), hashlib.sha256(password).hexdigest().encode()
    try:
        # Every implementation drops what is beyond 72 bytes; this one wants us to do so. `2y` is PHP's name of `2b`.
        return bcrypt.checkpw(password[:72], b"$2b$" + encoded[4:].encode())
    except ValueError:
        return False


def _from_phc(text: str) -> str | None:
    """PHC strings and bcrypt, also behind Django's name of the hasher; passlib's `$pbkdf2…` and `$scrypt`."""
    text = text.removeprefix("argon2$") if text.startswith("argon2$argon2") else text
    text = "$" + text if text.startswith("argon2") else text
    if text.startswith("bcrypt$$2"):
        text = text.removeprefix("bcrypt$")
    if text.startswith("bcrypt_sha256$$2"):
        text = _HEX_FIRST + text.removeprefix("bcrypt_sha256$")
    if text.startswith("$pbkdf2$"):
        text = "$pbkdf2-sha1$" + text.removeprefix("$pbkdf2$")
    if text.startswith(("$pbkdf2-", "$scrypt$")):
        return text.replace(".", "+")  # passlib writes base64 so
    return text if text.startswith(("$argon2", "$2", _HEX_FIRST)) else None


def _from_django(text: str) -> str | None:
    """`pbkdf2_sha256$iterations$salt$digest` and `scrypt$salt$N$r$p$digest`: the salt as it is, the digest base64."""
    parts = text.split("$")
    if len(parts) == 4 and parts[0] in ("pbkdf2_sha256", "pbkdf2_sha1", "pbkdf2_sha512"):
        return f"$pbkdf2-{parts[0][7:]}${parts[1]}${_written(parts[2].encode())}${_bare(parts[3])}"
    if len(parts) == 6 and parts[0] == "scrypt" and parts[2].isdecimal():
        return f"$scrypt$ln={_log2(parts[2])},r={parts[3]},p={parts[4]}${_written(parts[1].encode())}${_bare(parts[5])}"
    return None


def _from_werkzeug(text: str) -> str | None:
    """`pbkdf2:sha256:iterations$salt$hex` and `scrypt:N:r:p$salt$hex`: the salt as it is."""
    parts = text.split("$")
    if len(parts) != 3 or not re.fullmatch(r"(?:[0-9a-f]{2})+", parts[2]):
        return None
    method, salt, digest = parts[0].split(":"), _written(parts[1].encode()), _written(bytes.fromhex(parts[2]))
    if len(method) == 3 and method[0] == "pbkdf2":
        return f"$pbkdf2-{method[1]}${method[2]}${salt}${digest}"
    if len(method) == 4 and method[0] == "scrypt" and method[1].isdecimal():
        return f"$scrypt$ln={_log2(method[1])},r={method[2]},p={method[3]}${salt}${digest}"
    return None


_READERS: tuple[Callable[[str], str | None], ...] = (_from_phc, _from_django, _from_werkzeug)


def _log2(text: str) -> int:
    n = int(text[:12])
    if n < 2 or n & (n - 1):
        raise NotTaken("this hash has parameters that do not exist")
    return n.bit_length() - 1


def _only(parameters: dict[str, object], name: str) -> str:
    """Keycloak keeps each parameter as a list of one."""
    value = parameters.get(name)
    return str(value[0]) if isinstance(value, list) and len(value) == 1 else str(value)


def _bare(text: str) -> str:
    return text.rstrip("=")


def _written(raw: bytes) -> str:
    return base64.b64encode(raw).rstrip(b"=").decode()


def _raw(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise NotTaken("this hash is not well-formed") from None
