"""How easy a password is to guess, by zxcvbn: what it is made of, not which kinds of characters it has.

zxcvbn takes 15 MB and milliseconds: it is loaded at its first use and runs in a thread, on a bounded text.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from kronborg.accounts.model import User
from kronborg.core.languages import N_

LONGEST = 72
"""Characters that are looked at: more only make it stronger."""

COMMON = N_("this is one of the passwords that are tried first")
EASY = N_("this password is too easy to guess")
_WARNINGS = {
    "This is a top-10 common password.": COMMON,
    "This is a top-100 common password.": COMMON,
    "This is a very common password.": COMMON,
    "This is similar to a commonly used password.": N_("this is much like a password that is tried first"),
    "A word by itself is easy to guess.": N_("a word by itself is easy to guess"),
    "Names and surnames by themselves are easy to guess.": N_("a name by itself is easy to guess"),
    "Common names and surnames are easy to guess.": N_("names are easy to guess"),
    "Straight rows of keys are easy to guess.": N_("keys in a row are easy to guess"),
    "Short keyboard patterns are easy to guess.": N_("patterns of keys are easy to guess"),
    'Repeats like "aaa" are easy to guess.': N_("the same again and again is easy to guess"),
    'Repeats like "abcabcabc" are only slightly harder to guess than "abc".': N_(
        "the same again and again is easy to guess"
    ),
    'Sequences like "abc" or "6543" are easy to guess.': N_("letters or digits in order are easy to guess"),
    "Recent years are easy to guess.": N_("years are easy to guess"),
    "Dates are often easy to guess.": N_("dates are easy to guess"),
}
MEND = N_("add a word or two that nobody would expect")
_own = threading.Lock()


@dataclass(frozen=True, slots=True)
class Strength:
    """`score` from 0 (tried first) to 4 (out of reach), and a sentence about what is weak, if it is."""

    score: int
    warning: str = ""


def about(user: User | None) -> tuple[str, ...]:
    """What a person's password should not be made of."""
    if user is None:
        return ()
    parts = (user.username, user.email or "", user.name, (user.email or "").partition("@")[0], *user.name.split())
    return tuple(dict.fromkeys(part for part in parts if part))[:20]


def strength_of(password: str, known: Sequence[str] = ()) -> Strength:
    """How easy it is to guess for somebody to whom these names and addresses are `known`. Blocks: for a thread."""
    from zxcvbn import zxcvbn

    if not password:
        return Strength(0, EASY)
    # What is known is kept in a table that the library shares between threads.
    with _own:
        found = zxcvbn(password[:LONGEST], user_inputs=[text[:LONGEST] for text in known if text])
    warning = _WARNINGS.get(str(found["feedback"]["warning"]), EASY)
    return Strength(int(found["score"]), warning if int(found["score"]) < 3 else "")
