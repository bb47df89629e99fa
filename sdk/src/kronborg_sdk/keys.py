"""Public keys as verifiers see them: which algorithms a key may be used with is decided by the key alone.

A token's `alg` only selects among those, so a public RSA key can never serve as an HMAC secret and `none` has
no key at all (RFC 8725 §3.1, §3.2).
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from kronborg_sdk.errors import InvalidToken

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
MAX_KEYS = 64

# joserfc's name of each algorithm we accept. RFC 9864 renamed EdDSA over Ed25519 to Ed25519; both are in use.
_IMPLEMENTATION = {
    "ES256": "ES256",
    "EdDSA": "Ed25519",
    "Ed25519": "Ed25519",
    "RS256": "RS256",
    "PS256": "PS256",
}


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """One public key and the only algorithms it may verify."""

    key_id: str | None
    algorithms: frozenset[str]
    fingerprint: str
    _key: ECKey | OKPKey | RSAKey

    def verify(self, algorithm: str, signing_input: bytes, signature: bytes) -> None:
        """Check a signature. Raises `InvalidToken` when it is wrong or not of this key's algorithms."""
        if algorithm not in self.algorithms:
            raise InvalidToken("the token's algorithm does not fit its key")
        model = JWSRegistry.algorithms[_IMPLEMENTATION[algorithm]]
        if not model.verify(signing_input, signature, self._key):
            raise InvalidToken("the token's signature is wrong")


class KeySet:
    """An immutable set of keys, as one JWKS document gave it."""

    def __init__(self, keys: tuple[VerifyKey, ...]) -> None:
        self._keys = keys
        self._by_id = {key.key_id: key for key in keys if key.key_id is not None}
        self.fingerprints = frozenset(key.fingerprint for key in keys)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, key_id: str | None, algorithm: str) -> VerifyKey | None:
        """The key a token names; without a name, the only key that fits the algorithm, if there is just one."""
        if key_id is not None:
            return self._by_id.get(key_id)
        fitting = [key for key in self._keys if algorithm in key.algorithms]
        return fitting[0] if len(fitting) == 1 else None


def read_key_set(document: Mapping[str, object]) -> KeySet:
    """Read a JWKS (RFC 7517 §5). Keys that cannot verify our signatures are left out, as the RFC asks.

    Raises `ValueError` when the document is not a JWKS or names one key twice.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise ValueError("not a JWKS")
    keys = tuple(key for entry in entries[:MAX_KEYS] for key in _usable(entry))
    names = [key.key_id for key in keys if key.key_id is not None]
    if len(names) != len(set(names)):
        raise ValueError("two keys of the JWKS have one kid")
    return KeySet(keys)


def _usable(entry: object) -> Iterator[VerifyKey]:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return
    operations = entry.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return
    key_id = entry.get("kid")
    if key_id is not None and not isinstance(key_id, str):
        return
    material = _material(entry)
    if material is None:
        return
    members, algorithms = material
    algorithms = _narrow(algorithms, entry.get("alg"))
    if not algorithms:
        return
    try:
        key = _import(members)
        fingerprint = key.thumbprint()
    except (JoseError, ValueError, TypeError, KeyError):
        return
    yield VerifyKey(key_id=key_id, algorithms=algorithms, fingerprint=f"{key_id}:{fingerprint}", _key=key)


def _material(entry: Mapping[str, object]) -> tuple[dict[str, str], frozenset[str]] | None:
    """The public members of a JWK (nothing else is ever imported) and what its type allows."""
    names: tuple[str, ...]
    match entry.get("kty"), entry.get("crv"):
        case "EC", "P-256":
            names, algorithms = ("kty", "crv", "x", "y"), {"ES256"}
        case "OKP", "Ed25519":
            names, algorithms = ("kty", "crv", "x"), {"EdDSA", "Ed25519"}
        case "RSA", _ if _rsa_bits_fit(entry.get("n")):
            names, algorithms = ("kty", "n", "e"), {"RS256", "PS256"}
        case _:
            return None
    members = {name: value for name in names if isinstance(value := entry.get(name), str)}
    return (members, frozenset(algorithms)) if len(members) == len(names) else None


def _narrow(algorithms: frozenset[str], named: object) -> frozenset[str]:
    if named is None:
        return algorithms
    if named in ("EdDSA", "Ed25519"):
        return algorithms & {"EdDSA", "Ed25519"}
    return algorithms & {named} if isinstance(named, str) else frozenset()


def _rsa_bits_fit(modulus: object) -> bool:
    if not isinstance(modulus, str):
        return False
    try:
        raw = base64.urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))
    except (binascii.Error, ValueError):
        return False
    return MIN_RSA_BITS <= int.from_bytes(raw).bit_length() <= MAX_RSA_BITS


def _import(members: dict[str, str]) -> ECKey | OKPKey | RSAKey:
    match members["kty"]:
        case "EC":
            return ECKey.import_key(members)  # type: ignore[arg-type]
        case "OKP":
            return OKPKey.import_key(members)  # type: ignore[arg-type]
        case _:
            return RSAKey.import_key(members)  # type: ignore[arg-type]
