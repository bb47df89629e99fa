"""Parsing of JWS compact serialization, stricter than the libraries: one spelling per token, or none.

Two spellings of one token would defeat replay caches and revocation by digest, so base64url is accepted in
its canonical form only, and JSON objects must not name a member twice (RFC 8725 §2.4, RFC 7515 §4).
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import NoReturn

from kronborg_sdk.errors import InvalidToken

JsonObject = dict[str, object]

# Members by which a token would tell its verifier which key to trust (RFC 8725 §3.10).
KEY_BEARING_MEMBERS = ("jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256")


@dataclass(frozen=True, slots=True)
class Jws:
    """A token taken apart; nothing in it is trusted yet."""

    algorithm: str
    type: str
    key_id: str | None
    payload: bytes
    signing_input: bytes
    signature: bytes


def parse(token: str, *, max_bytes: int) -> Jws:
    """Take a compact JWS apart. Raises `InvalidToken` for anything but its one canonical spelling."""
    if len(token) > max_bytes:
        raise InvalidToken("the token is too large")
    if not token.isascii():
        raise InvalidToken("the token is not a JWT")
    segments = token.split(".")
    if len(segments) != 3 or not all(segments):
        raise InvalidToken("the token is not a signed JWT")
    head, payload, signature = segments
    header = decode_object(_decode(head))
    _check_header(header)
    algorithm, kind, key_id = header.get("alg"), header.get("typ"), header.get("kid")
    if not isinstance(algorithm, str) or not isinstance(kind, str):
        raise InvalidToken("the token's header lacks alg or typ")
    if key_id is not None and not isinstance(key_id, str):
        raise InvalidToken("the token's header is malformed")
    return Jws(
        algorithm=algorithm,
        type=kind,
        key_id=key_id,
        payload=_decode(payload),
        signing_input=f"{head}.{payload}".encode("ascii"),
        signature=_decode(signature),
    )


def decode_object(text: bytes) -> JsonObject:
    """Decode a JSON object that names each member once. Raises `InvalidToken`."""
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
    # ValueError covers bad UTF-8, bad JSON and integers of absurd length; RecursionError deep nesting.
    except (ValueError, RecursionError):
        raise InvalidToken("the token is not well-formed JSON") from None
    if not isinstance(value, dict):
        raise InvalidToken("the token is not a JSON object")
    return value


def _check_header(header: JsonObject) -> None:
    # RFC 7515 §4.1.11: an extension that is not understood must be refused, and we understand none.
    if "crit" in header or "b64" in header:
        raise InvalidToken("the token asks for an extension that is not supported")
    if any(member in header for member in KEY_BEARING_MEMBERS):
        raise InvalidToken("the token brings its own key")


def _decode(segment: str) -> bytes:
    raw = segment.encode("ascii")
    if len(raw) % 4 == 1 or b"=" in raw:
        raise InvalidToken("the token is not canonical base64url")
    try:
        decoded = base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise InvalidToken("the token is not canonical base64url") from None
    # Unused trailing bits, and the plain alphabet's + and /, decode but do not encode back to the same text.
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != raw:
        raise InvalidToken("the token is not canonical base64url")
    return decoded


def _unique_members(pairs: list[tuple[str, object]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")
