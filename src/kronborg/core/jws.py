"""Private keys that sign: making, importing and using them (RFC 7515, RFC 7518 §3, RFC 8037, RFC 9864).

Reading and checking tokens is `core/jose.py`. Writing is done with the primitives: a library's serialization checks
header and key again at every token, which costs half as much as an ES256 signature itself.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, Protocol, cast

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from kronborg.core.jose import BadKey
from kronborg.core.json import JsonObject

Line = Literal["ES256", "Ed25519", "PS256", "RS256", "ECDH-ES"]
"""What one line of keys is for: signing with that algorithm, or `ECDH-ES`, decrypting what is sent to us."""
SIGNING: Final[tuple[Line, ...]] = ("ES256", "Ed25519", "PS256", "RS256")
LINES: Final[tuple[Line, ...]] = (*SIGNING, "ECDH-ES")
DECRYPTING: Final[Line] = "ECDH-ES"
RSA_BITS = 2048
MAX_IMPORT = 16_384

PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey

_ES256 = ECDSA(SHA256())
_PSS = PSS(MGF1(SHA256()), 32)


class Signer(Protocol):
    """A private key, wherever it is. `slow` ones are called in a thread."""

    @property
    def slow(self) -> bool:
        """Whether a signature may take as long as a call to another machine."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The signature as JOSE writes it (RFC 7518 §3)."""
        ...


@dataclass(frozen=True, slots=True)
class LocalSigner(Signer):
    """A private key in the memory of this process."""

    line: Line
    private: PrivateKey

    @property
    def slow(self) -> bool:
        """Never: RSA takes less than a millisecond, and a thread would not run beside us for it."""
        return False

    def sign(self, message: bytes) -> bytes:
        """The signature."""
        if self.line == "ES256":
            return raw_ecdsa(cast("EllipticCurvePrivateKey", self.private).sign(message, _ES256))
        if self.line == "Ed25519":
            return cast("Ed25519PrivateKey", self.private).sign(message)
        padding = _PSS if self.line == "PS256" else PKCS1v15()
        return cast("RSAPrivateKey", self.private).sign(message, padding, SHA256())


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of one line. `kid` is its thumbprint (RFC 7638), unless it was imported with a name of its own."""

    kid: str
    line: Line
    signer: Signer

    def compact(self, claims: JsonObject, *, typ: str, alg: str | None = None) -> str:
        """A compact JWT of that type (RFC 7515 §3.1); `alg` is another name of the line's algorithm, `EdDSA`."""
        message = message_of(self, claims, typ=typ, alg=alg)
        return attach(message, self.signer.sign(message))


def message_of(key: SigningKey, claims: JsonObject, *, typ: str, alg: str | None = None) -> bytes:
    """What is signed: header and claims, encoded (RFC 7515 §5.1)."""
    encoded = base64.urlsafe_b64encode(orjson.dumps(claims)).rstrip(b"=")
    return _header(key.kid, typ, alg or key.line) + encoded


def attach(message: bytes, signature: bytes) -> str:
    """The whole JWT."""
    return (message + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def raw_ecdsa(signature: bytes) -> bytes:
    """RFC 7518 §3.4: r and s, one after the other, 32 bytes each.

    They come as DER (RFC 3279 §2.2.3): 30 len 02 len r 02 len s. For P-256 each length is one byte, and a number has
    33 bytes when its highest bit is set, or fewer than 32 when it is small.
    """
    middle = 4 + signature[3]
    return signature[4:middle][-32:].rjust(32, b"\0") + signature[middle + 2 :][-32:].rjust(32, b"\0")


def line_of(algorithm: str) -> Line:
    """The line that signs for an algorithm: `EdDSA` is the former name of `Ed25519` (RFC 9864 §4.1.2)."""
    if algorithm == "EdDSA":
        return "Ed25519"
    if algorithm not in SIGNING:
        raise ValueError("there is no line for this algorithm")
    return algorithm


def generate(line: Line) -> PrivateKey:
    """A new key; RSA takes a tenth of a second and more, so call it in a thread."""
    match line:
        case "ES256" | "ECDH-ES":
            return generate_private_key(SECP256R1())
        case "Ed25519":
            return Ed25519PrivateKey.generate()
        case "PS256" | "RS256":
            return generate_rsa(65537, RSA_BITS)


def export(private: PrivateKey) -> bytes:
    """PKCS #8, to be sealed."""
    return private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def restore(stored: bytes) -> PrivateKey:
    """What `export` wrote, or the JWK that earlier versions wrote."""
    key = _native(import_key(orjson.loads(stored))) if stored.startswith(b"{") else load_der_private_key(stored, None)
    if not isinstance(key, PrivateKey):
        raise TypeError("a stored key is of a kind that we do not use")
    return key


def public_jwk(private: PrivateKey, line: Line, *, kid: str | None = None) -> dict[str, str]:
    """What is published of a key. Its `kid` is its thumbprint unless given."""
    return describe(private.public_key(), line, kid=kid)


def describe(public: object, line: Line, *, kid: str | None = None) -> dict[str, str]:
    """The JWK of a public key of the library that `cryptography` is."""
    key: ECKey | OKPKey | RSAKey
    if line in ("ES256", "ECDH-ES"):
        key = ECKey.import_key(public)  # type: ignore[arg-type]  # the kinds of key that the line has
    elif line == "Ed25519":
        key = OKPKey.import_key(public)  # type: ignore[arg-type]
    else:
        key = RSAKey.import_key(public)  # type: ignore[arg-type]
    jwk = {name: str(value) for name, value in key.as_dict(private=False).items()}
    jwk["kid"] = kid or key.thumbprint()
    if line == DECRYPTING:
        return {**jwk, "use": "enc"}
    # Ed25519 signs under two names, and a key that names one of them would be refused for the other.
    return {**jwk, "use": "sig"} if line == "Ed25519" else {**jwk, "use": "sig", "alg": line}


def read_private(text: str, line: Line) -> tuple[PrivateKey, str | None]:
    """A private key that somebody brings, as PEM or as a JWK, and the `kid` of the JWK. Raises `BadKey`."""
    if len(text) > MAX_IMPORT:
        raise BadKey("the key is too long")
    kid: str | None = None
    try:
        if text.lstrip().startswith("{"):
            jwk = orjson.loads(text)
            kid = jwk.get("kid")
            if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= 200 or not kid.isprintable()):
                raise BadKey("kid must be text of at most 200 characters")
            key = _native_of(jwk)
        else:
            key = load_pem_private_key(text.encode(), None)
    except (JoseError, ValueError, TypeError, KeyError, UnsupportedAlgorithm) as error:
        if isinstance(error, BadKey):
            raise
        raise BadKey("not a private key as PEM without a passphrase, or as a JWK") from error
    _check_fit(key, line)
    return cast("PrivateKey", key), kid


def _check_fit(key: object, line: Line) -> None:
    match line:
        case "ES256" | "ECDH-ES":
            if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
                raise BadKey("the key of this algorithm is on the curve P-256")
        case "Ed25519":
            if not isinstance(key, Ed25519PrivateKey):
                raise BadKey("the key of this algorithm is an Ed25519 key")
        case "PS256" | "RS256":
            # RFC 7518 §3.3: a key of 2048 bits or more.
            if not isinstance(key, RSAPrivateKey) or not 2048 <= key.key_size <= 4096:
                raise BadKey("the key of this algorithm is an RSA key of 2048 to 4096 bits")


def _native_of(jwk: dict[str, str]) -> object:
    if jwk.get("kty") not in ("EC", "OKP", "RSA"):
        raise BadKey("kty is EC, OKP or RSA")
    # 2048 bits are 342 characters of base64url.
    if jwk["kty"] == "RSA" and len(jwk["n"]) < 342:
        raise BadKey("the key of this algorithm is an RSA key of 2048 to 4096 bits")
    return _native(import_key({name: value for name, value in jwk.items() if name not in ("use", "key_ops")}))


def _native(key: object) -> object:
    private = getattr(key, "private_key", None)
    if private is None:
        raise BadKey("the key has no private part")
    return private


@lru_cache(maxsize=256)
def _header(kid: str, typ: str, alg: str) -> bytes:
    header = orjson.dumps({"alg": alg, "typ": typ, "kid": kid})
    return base64.urlsafe_b64encode(header).rstrip(b"=") + b"."
