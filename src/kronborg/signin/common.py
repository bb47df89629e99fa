"""The passwords that are tried first: a list carried along, asked in a microsecond without a word of it in the clear.

    python -m kronborg.signin.common        makes the list anew

`common_passwords.bin` holds the first five bytes of the SHA-256 of each, sorted. They are those of eight and more
characters among the 30,000 most common of the frequency list in zxcvbn (MIT licence), which counts leaked passwords.
One other password in 90 million is taken for one of them.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from kronborg.accounts.model import folded

WIDTH = 5
SHORTEST = 8
FILE = Path(__file__).with_name("common_passwords.bin")


def is_common(password: str) -> bool:
    """Whether this is one of the most common passwords, in any case."""
    sought, kept = _digest(folded(password)), _kept()
    at = bisect_left(range(len(kept) // WIDTH), sought, key=lambda n: kept[n * WIDTH : (n + 1) * WIDTH])
    return kept[at * WIDTH : (at + 1) * WIDTH] == sought


def made_of(passwords: Iterable[str]) -> bytes:
    """The list of these passwords."""
    return b"".join(sorted({_digest(folded(one)) for one in passwords if len(one) >= SHORTEST}))


@cache
def _kept() -> bytes:
    return FILE.read_bytes()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:WIDTH]


if __name__ == "__main__":
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    FILE.write_bytes(made_of(FREQUENCY_LISTS["passwords"]))
