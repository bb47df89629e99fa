"""What an entry of a directory says about a person: names, whether the account is shut, groups (nested ones too)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from kronborg.accounts.model import MAX_NAME, clean, name_problems
from kronborg.federation.directory_model import Directory
from kronborg.federation.ldap_client import Entry, LdapConnection

MAX_GROUPS = 500
MAX_NESTING = 10

_MEMBER = "(|(member={dn})(uniqueMember={dn}))"
_IN_CHAIN = "(member:1.2.840.113556.1.4.1941:={dn})"
_ANYTHING = "(objectClass=*)"
_DISABLED = 0x2
_NEVER = {0, 0x7FFFFFFFFFFFFFFF}
_AD_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_LOCKED_FOR_GOOD = "000001010000Z"
_COMMA = re.compile(r"\s*(?<!\\)([,=])\s*")


@dataclass(frozen=True, slots=True)
class Known:
    """A person as the directory tells. `email` is None when there is none that could be one."""

    entry_id: str
    dn: str
    username: str
    email: str | None
    name: str
    attributes: dict[str, str]
    shut: bool


def known_of(directory: Directory, entry: Entry, *, now: datetime) -> Known | None:
    """The person that an entry describes; None when it has no id or no possible username."""
    entry_id = _identity(entry, directory.identity)
    username = clean(entry.text(directory.login_name))
    if not entry_id or not username or name_problems(username=username):
        return None
    email: str | None = clean(entry.text(directory.email_attribute))
    if not email or name_problems(email=email):
        email = None
    name = clean(entry.text(directory.full_name))[:MAX_NAME]
    if name_problems(name=name):
        name = ""
    more = {ours: entry.text(theirs)[:1000] for ours, theirs in directory.attributes.items() if entry.text(theirs)}
    return Known(entry_id, entry.dn, username, email, name, more, is_shut(entry, now=now))


def is_shut(entry: Entry, *, now: datetime) -> bool:
    """Whether the directory has disabled or locked this account, in any of the ways that directories do."""
    control = entry.text("userAccountControl")
    if control.lstrip("-").isdigit() and int(control) & _DISABLED:
        return True
    expires = entry.text("accountExpires")
    # Active Directory counts steps of 100 ns since 1601, and has two words for never.
    dated = expires.isdigit() and int(expires) not in _NEVER and int(expires) < 10**18
    if dated and _AD_EPOCH + timedelta(microseconds=int(expires) // 10) <= now:
        return True
    # A lock that passes by itself is no reason to end sessions: while it lasts the directory refuses the password.
    return entry.text("pwdAccountLockedTime") == _LOCKED_FOR_GOOD or entry.text("nsAccountLock").lower() == "true"


Above = dict[str, list[str]]
"""The groups that a group stands in, as far as they were asked for: a sync asks once and not for each person."""


async def groups_of(
    connection: LdapConnection, directory: Directory, entry: Entry, above: Above | None = None
) -> frozenset[str]:
    """The groups here that an entry's groups stand for. Raises `LdapUnavailable`, `LdapRefused`."""
    if not directory.groups:
        return frozenset()
    wanted = {_key(theirs): ours for theirs, ours in directory.groups.items()}
    found = await _group_dns(connection, directory, entry, {} if above is None else above)
    base = _key(directory.groups_base)
    mapped = set()
    for dn in found:
        key = _key(dn)
        if key in wanted:
            mapped.add(wanted[key])
        # A bare name counts where the groups are, and not for a group of that name elsewhere.
        first = key.partition(",")[0]
        if first.startswith("cn=") and first[3:] in wanted and key.endswith(base):
            mapped.add(wanted[first[3:]])
    return frozenset(mapped)


async def _group_dns(connection: LdapConnection, directory: Directory, entry: Entry, above: Above) -> set[str]:
    if directory.groups_by == "in_chain":
        return set(await _containing(connection, directory, entry.dn, chain=True))
    if directory.groups_by == "search":
        found = await _containing(connection, directory, entry.dn, chain=False)
    else:
        found = list(entry.texts("memberOf"))
    seen: dict[str, str] = {}
    for _ in range(MAX_NESTING):
        fresh = {_key(dn): dn for dn in found if _key(dn) not in seen}
        fresh = dict(list(fresh.items())[: MAX_GROUPS - len(seen)])
        seen.update(fresh)
        if not fresh or not directory.nested_groups:
            break
        found = []
        for key, dn in fresh.items():
            if key not in above:
                above[key] = await _above(connection, directory, dn)
            found += above[key]
    return set(seen.values())


async def _above(connection: LdapConnection, directory: Directory, dn: str) -> list[str]:
    """The groups that a group stands in."""
    if directory.groups_by == "search":
        return await _containing(connection, directory, dn, chain=False)
    itself = await connection.search(dn, _ANYTHING, ("memberOf",), limit=1, scope=0)
    return [value for one in itself for value in one.texts("memberOf")]


async def _containing(connection: LdapConnection, directory: Directory, dn: str, *, chain: bool) -> list[str]:
    # 1.2.840.113556.1.4.1941 (LDAP_MATCHING_RULE_IN_CHAIN): Active Directory walks the nesting itself.
    sought = _IN_CHAIN if chain else _MEMBER
    base, values = directory.groups_base, {"dn": dn}
    return [one.dn for one in await connection.search(base, sought, ("cn",), limit=MAX_GROUPS, values=values)]


def mapped_groups(directory: Directory) -> frozenset[str]:
    """Every group here that this directory decides about."""
    return frozenset(directory.groups.values())


def without(groups: Iterable[str], decided: frozenset[str], found: frozenset[str]) -> tuple[str, ...]:
    """Somebody's groups: those the directory has nothing to say about stay, of the others only what it found."""
    folded = {name.casefold() for name in decided}
    return tuple(sorted({name for name in groups if name.casefold() not in folded} | found))


def _identity(entry: Entry, attribute: str) -> str:
    raw = next(iter(entry.attributes.get(attribute.lower(), ())), b"")
    if attribute.lower() == "objectguid" and len(raw) == 16:
        return str(UUID(bytes_le=raw))
    return entry.text(attribute)[:200]


def _key(dn: str) -> str:
    """A DN as it is compared: RFC 4514 leaves case and blanks around commas open."""
    return _COMMA.sub(r"\1", dn.strip()).casefold()
