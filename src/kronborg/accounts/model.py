"""The nouns of accounts, and the rules for the names people give themselves."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from kronborg.core.errors import Problem
from kronborg.core.json import JsonObject

MAX_USERNAME = 64
MAX_EMAIL = 254
MAX_NAME = 100
MAX_ROLES = 50
_USERNAME = re.compile(rf"[^\W_][\w.+-]{{0,{MAX_USERNAME - 1}}}")
_EMAIL = re.compile(r"[^\s@\"(),:;<>\[\\\]]{1,64}@[^\s@.\"(),:;<>\[\\\]]+(\.[^\s@.\"(),:;<>\[\\\]]+)+")
_ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")
# Characters that reorder what follows them (Unicode Bidi controls): they make one name look like another.
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class User:
    """A person. `roles` are those given directly (`store.roles_of` adds those of groups); `groups` are names."""

    id: str
    username: str
    email: str | None
    name: str
    disabled: bool
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    email_verified_at: datetime | None = None
    """When this very address was proved to be theirs; an address that changes is unproved again."""
    locale: str = ""
    """The language they chose (BCP 47); empty for that of the browser."""
    attributes: JsonObject = field(default_factory=dict)
    """What else is known, by names of the installation's schema."""
    kind: Literal["person", "service"] = "person"
    managed_by: str = ""
    """Who keeps this account up to date: empty for Kronborg itself, else `ldap:corp`, `scim:hr`, `provider:okta`."""

    @property
    def email_verified(self) -> bool:
        """Whether the address was proved to be theirs."""
        return self.email is not None and self.email_verified_at is not None


@dataclass(frozen=True, slots=True)
class Group:
    """A set of people who share roles."""

    id: str
    name: str
    roles: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


def clean(text: str) -> str:
    """Text as it is kept: trimmed and in Unicode normal form C."""
    return unicodedata.normalize("NFC", text.strip())


def folded(text: str) -> str:
    """The form in which names are compared: two spellings that differ in case or composition are one name."""
    return unicodedata.normalize("NFC", clean(text).casefold())


def name_problems(*, username: str | None = None, email: str | None = None, name: str | None = None) -> list[Problem]:
    """What is wrong with the given (already cleaned) names; parts that are None are not looked at."""
    problems = []
    if username is not None and not _USERNAME.fullmatch(username):
        mend = (
            f"use 1 to {MAX_USERNAME} letters, digits, dots, dashes, plus signs or underscores, a letter or digit first"
        )
        problems.append(Problem("username", "this is not a possible username", mend))
    if email is not None and (len(email) > MAX_EMAIL or not _EMAIL.fullmatch(email) or not printable(email)):
        problems.append(Problem("email", "this is not an e-mail address", "write it like name@example.com"))
    if name is not None and (len(name) > MAX_NAME or not printable(name)):
        problems.append(Problem("name", "this name cannot be shown", f"use at most {MAX_NAME} printable characters"))
    return problems


def role_problems(roles: tuple[str, ...]) -> list[Problem]:
    """What is wrong with a list of roles."""
    if len(roles) > MAX_ROLES or not all(_ROLE.fullmatch(role) for role in roles):
        mend = f"at most {MAX_ROLES} roles of up to 64 letters, digits and . _ : / -"
        return [Problem("roles", "a role is not well-formed, or there are too many", mend)]
    return []


def printable(text: str) -> bool:
    """Whether a text has neither control characters nor characters that reorder it."""
    return not any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") or c in _REORDERING for c in text)
