"""The nouns of directories: how one is reached, who is sought in it, and what its entries mean here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal, cast

from kronborg.core.durations import parse_duration, write_duration
from kronborg.core.json import JsonObject

DirectoryKind = Literal["ldap", "ad"]
GroupsBy = Literal["member_of", "search", "in_chain"]

_LDAP_FILTER = "(&(objectClass=inetOrgPerson)(|(uid={login})(mail={login})))"
_AD_FILTER = (
    "(&(objectCategory=person)(objectClass=user)(|(sAMAccountName={login})(userPrincipalName={login})(mail={login})))"
)
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Directory:
    """An LDAP directory whose people sign in here, as an administrator wishes it to be. Empty texts mean the usual.

    The password of `bind_dn` is not here: it is kept sealed, and only the connection ever opens it.
    """

    key: str
    name: str
    servers: tuple[str, ...]
    """`ldaps://host:port` or `ldap://host:port`, in the order in which they are tried."""
    base: str
    kind: DirectoryKind = "ldap"
    start_tls: bool = True
    """Whether `ldap://` becomes private by StartTLS. Without it only the loopback is spoken to."""
    ca: str = ""
    """The authorities that may have signed its certificate, in PEM; those of the system when empty."""
    bind_dn: str = ""
    """Who searches. Empty with `bind_as`, or where everybody may search."""
    bind_as: str = ""
    """The name people bind as, like `{login}@corp.example`, where nobody else may search."""
    filter: str = ""
    id_attribute: str = ""
    username_attribute: str = ""
    email_attribute: str = "mail"
    name_attribute: str = ""
    attributes: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Attributes of accounts here, each with the attribute of the directory that fills it."""
    groups: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Groups of the directory (their DN or their cn), each with the group here that its members are put into."""
    groups_base: str = ""
    groups_by: GroupsBy = "member_of"
    nested_groups: bool = True
    trust_email: bool = False
    """Whether its e-mail addresses count as verified."""
    create: bool = True
    """Whether people get an account at their first sign-in; else only those that a sync made."""
    sync_every: timedelta | None = None
    connect_timeout: timedelta = timedelta(seconds=3)
    answer_timeout: timedelta = timedelta(seconds=5)
    disabled: bool = False

    @property
    def manager(self) -> str:
        """What stands in `managed_by` of its people."""
        return f"ldap:{self.key}"

    @property
    def search_filter(self) -> str:
        """The filter that finds who signs in."""
        return self.filter or (_AD_FILTER if self.kind == "ad" else _LDAP_FILTER)

    @property
    def identity(self) -> str:
        """The attribute that stays the same when somebody is renamed."""
        return self.id_attribute or ("objectGUID" if self.kind == "ad" else "entryUUID")

    @property
    def login_name(self) -> str:
        """The attribute that becomes the username."""
        return self.username_attribute or ("sAMAccountName" if self.kind == "ad" else "uid")

    @property
    def full_name(self) -> str:
        """The attribute that becomes the name."""
        return self.name_attribute or ("displayName" if self.kind == "ad" else "cn")

    @property
    def asked_attributes(self) -> tuple[str, ...]:
        """Everything that is read of a person, and nothing else."""
        names = [self.identity, self.login_name, self.email_attribute, self.full_name, *self.attributes.values()]
        names += ["userAccountControl", "accountExpires", "pwdAccountLockedTime", "nsAccountLock"]
        if self.groups and self.groups_by == "member_of":
            names.append("memberOf")
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What the last sync did. `problem` is empty when it came to its end."""

    at: datetime
    seen: int = 0
    created: int = 0
    updated: int = 0
    disabled: int = 0
    skipped: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class KeptDirectory:
    """A directory as the store has it. `sealed` is the password of `bind_dn`, sealed; empty when there is none."""

    directory: Directory
    sealed: str
    created_at: datetime
    updated_at: datetime
    sync: SyncResult | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """Which entry of a directory is which account. `shut`: it is disabled because the directory says so."""

    directory: str
    entry_id: str
    user_id: str
    seen_at: datetime
    shut: bool


def directory_json(directory: Directory) -> JsonObject:
    """A directory as it is stored and compared: without its key."""
    plain = {name: value for name, value in _plain(directory).items() if name != "key"}
    return cast("JsonObject", plain)


def _plain(directory: Directory) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(directory, name) for name in Directory.__dataclass_fields__}
    return {
        **values,
        "servers": list(directory.servers),
        "attributes": dict(directory.attributes),
        "groups": dict(directory.groups),
        "sync_every": None if directory.sync_every is None else write_duration(directory.sync_every),
        "connect_timeout": write_duration(directory.connect_timeout),
        "answer_timeout": write_duration(directory.answer_timeout),
    }


def directory_of(key: str, kept: JsonObject) -> Directory:
    """The inverse of `directory_json`."""
    values = cast("dict[str, Any]", dict(kept))
    every = values["sync_every"]
    return Directory(
        **{
            **values,
            "key": key,
            "servers": tuple(values["servers"]),
            "sync_every": None if every is None else parse_duration(every),
            "connect_timeout": parse_duration(values["connect_timeout"]),
            "answer_timeout": parse_duration(values["answer_timeout"]),
        }
    )


def sync_json(result: SyncResult) -> JsonObject:
    """The result of a sync as it is stored."""
    return {**asdict(result), "at": result.at.isoformat()}


def sync_of(kept: JsonObject) -> SyncResult:
    """The inverse of `sync_json`."""
    values = cast("dict[str, Any]", dict(kept))
    return SyncResult(**{**values, "at": datetime.fromisoformat(values["at"])})
