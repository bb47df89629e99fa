"""Opaque credentials: 256 bits as text, random all or all but 32, with a prefix that names the kind and a checksum.

`kro_at_<43 characters base64url><6 characters base62>`. A secret scanner recognises the prefix, and a mistyped or
truncated credential is refused by its checksum without asking the database. The checksum is no protection: CRC-32.
"""

from __future__ import annotations

import base64
import os
import re
from binascii import crc32
from typing import Final, Literal

from kronborg.core.base64url import b64
from kronborg.core.ids import random_token

Kind = Literal[
    "kro_at_",
    "kro_rt_",
    "kro_ac_",
    "kro_cs_",
    "kro_dc_",
    "kro_rq_",
    "kro_ia_",
    "kro_ra_",
    "kro_gi_",
    "kro_key_",
    "kro_pat_",
]
ACCESS: Final = "kro_at_"
REFRESH: Final = "kro_rt_"
CODE: Final = "kro_ac_"
SECRET: Final = "kro_cs_"  # noqa: S105  # a prefix, not a secret
DEVICE: Final = "kro_dc_"
BACKCHANNEL: Final = "kro_rq_"
INITIAL: Final = "kro_ia_"
REGISTRATION: Final = "kro_ra_"
API_KEY: Final = "kro_key_"
PERSONAL: Final = "kro_pat_"
INVITATION: Final = "kro_gi_"

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY = re.compile(r"[A-Za-z0-9_-]{43}[A-Za-z0-9]{6}", re.ASCII)
_BODY_LENGTH = 43 + 6
LENGTH = 7 + _BODY_LENGTH
"""Of the kinds with two letters."""


def mint(kind: Kind) -> str:
    """A new random credential of this kind."""
    return assemble(kind, random_token(32))


def mint_at(kind: Kind, minute: int) -> str:
    """A new credential of this kind: the minute since the epoch, and 224 random bits."""
    body = minute.to_bytes(4, "big") + os.urandom(28)
    return assemble(kind, b64(body))


def minute_of(text: str) -> bytes:
    """The four bytes that `mint_at` began a well-formed credential with."""
    return base64.urlsafe_b64decode(text[7:15])[:4]


def assemble(kind: Kind, body: str) -> str:
    """The credential of this kind around `body`: 32 bytes of secret as 43 characters base64url."""
    text = kind + body
    return text + _checksum(text)


def well_formed(text: str, kind: Kind) -> bool:
    """Whether `text` could be a credential of this kind: prefix, length, alphabet and checksum."""
    return (
        len(text) == len(kind) + _BODY_LENGTH
        and text.startswith(kind)
        and _BODY.fullmatch(text, len(kind)) is not None
        and _checksum(text[:-6]) == text[-6:]
    )


def _checksum(text: str) -> str:
    value = crc32(text.encode())
    digits = []
    for _ in range(6):
        value, digit = divmod(value, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
