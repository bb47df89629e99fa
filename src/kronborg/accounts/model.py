"""The nouns of accounts, and the rules for the names people give themselves."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from kronborg.core.errors import Problem
from kronborg.core.json import JsonObject
from kronborg.core.languages import N_, Phrase

MAX_USERNAME = 64
MAX_EMAIL = 254
MAX_NAME = 100
MAX_ROLES = 50
MAX_DECLARED = 100
MAX_DOMAINS = 50
MAX_DEPTH = 10
"""So many groups at most stand one in another."""
_USERNAME = re.compile(rf"[^\W_][\w.+-]{{0,{MAX_USERNAME - 1}}}")
_EMAIL = re.compile(r"[^\s@\"(),:;<>\[\\\]]{1,64}@[^\s@.\"(),:;<>\[\\\]]+(\.[^\s@.\"(),:;<>\[\\\]]+)+")
_ROLE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}/)?[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_OWN_ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"({_LABEL}\.)+[a-z]([a-z0-9-]{{0,61}}[a-z0-9])")
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
    """A set of people who share roles. Who is in a group is in all that it stands in, and has their roles too.

    `effective_roles` are its own and theirs; `lineage` names it, the group that it stands in, and so on to the top.
    Both are worked out when a group is written, so that no token has to.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    parent_id: str | None = None
    effective_roles: tuple[str, ...] = ()
    lineage: tuple[str, ...] = ()

    @property
    def parent(self) -> str | None:
        """The name of the group that it stands in."""
        return self.lineage[1] if len(self.lineage) > 1 else None


@dataclass(frozen=True, slots=True)
class DeclaredRole:
    """A role that an API or a client declares. It is given to people as `<prefix>/<name>`."""

    prefix: str
    name: str
    description: str
    owner: str
    """Who declares it: `api:<id>` or `client:<id>`."""

    @property
    def full(self) -> str:
        """How it is written among the roles of people and groups."""
        return f"{self.prefix}/{self.name}"


MemberRole = Literal["member", "admin"]
MEMBER_ROLES: tuple[MemberRole, ...] = ("member", "admin")


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of an organisation. It counts when it is verified: `token` is what its TXT record then says."""

    name: str
    token: str
    verified_at: datetime | None

    @property
    def verified(self) -> bool:
        """Whether an administrator has confirmed that it is theirs."""
        return self.verified_at is not None


@dataclass(frozen=True, slots=True)
class Organisation:
    """A company whose people have accounts here. `provider` is the key of its own identity provider, or empty."""

    id: str
    name: str
    slug: str
    provider: str
    domains: tuple[Domain, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A person as a member of an organisation."""

    user: User
    role: MemberRole
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Belonging:
    """An organisation as one of its members sees it."""

    id: str
    slug: str
    name: str
    role: MemberRole


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
        problems.append(Problem("email", N_("this is not an e-mail address"), N_("write it like name@example.com")))
    if name is not None and (len(name) > MAX_NAME or not printable(name)):
        problems.append(
            Problem(
                "name",
                N_("this name cannot be shown"),
                Phrase(N_("use at most %(num)s printable characters"), num=MAX_NAME),
            )
        )
    return problems


def role_problems(roles: tuple[str, ...]) -> list[Problem]:
    """What is wrong with a list of roles."""
    if len(roles) > MAX_ROLES or not all(_ROLE.fullmatch(role) for role in roles):
        mend = (
            f"at most {MAX_ROLES} roles of up to 64 letters, digits and . _ : -, each after the name of its API if any"
        )
        return [Problem("roles", "a role is not well-formed, or there are too many", mend)]
    return []


def told_roles(roles: tuple[str, ...], prefix: str | None) -> tuple[str, ...]:
    """What an API or client is told of somebody's roles: global ones, and its own without `<prefix>/` before them.

    A role with a slash is nobody's business but that of who is named before it.
    """
    if not any("/" in role for role in roles):
        return roles
    own = f"{prefix}/"
    told = {role for role in roles if "/" not in role}
    if prefix:
        told.update(role.removeprefix(own) for role in roles if role.startswith(own))
    return tuple(sorted(told))


def declared_problems(roles: Mapping[str, str]) -> list[Problem]:
    """What is wrong with the roles that an API or client declares."""
    if len(roles) > MAX_DECLARED:
        return [Problem("roles", f"at most {MAX_DECLARED} roles")]
    problems = []
    for name, description in roles.items():
        # What is global stays global: a role of ours is never mistaken for one that somebody declares.
        if not _OWN_ROLE.fullmatch(name) or name.startswith("kronborg:"):
            mend = "use up to 64 letters, digits and . _ : -, not beginning with kronborg:"
            problems.append(Problem("roles", "this is not a possible name of a role", mend))
        elif len(description) > 200 or not printable(description):
            problems.append(Problem("roles", "a description is at most 200 printable characters"))
    return problems


def organisation_problems(*, name: str, slug: str, provider: str) -> list[Problem]:
    """What is wrong with an organisation as somebody wishes it to be."""
    problems = []
    if not 1 <= len(name) <= MAX_NAME or not printable(name):
        problems.append(Problem("name", "this is not a possible name", f"use 1 to {MAX_NAME} printable characters"))
    if not _SLUG.fullmatch(slug):
        problems.append(
            Problem("slug", "this is not a possible short name", "use lower-case letters, digits and dashes")
        )
    if len(provider) > MAX_NAME or not printable(provider):
        problems.append(Problem("provider", "this is not the key of a provider", f"at most {MAX_NAME} characters"))
    return problems


def domain_name(text: str) -> str | None:
    """A domain as it is kept: lower case, international ones in their ASCII form; None for what is no domain."""
    try:
        name = clean(text).lower().rstrip(".").encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return name if len(name) <= 253 and _DOMAIN.fullmatch(name) else None


def printable(text: str) -> bool:
    """Whether a text has neither control characters nor characters that reorder it."""
    return not any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") or c in _REORDERING for c in text)
