"""The section `directories` of a document: LDAP directories whose people sign in here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kronborg.core.quantities import Duration, parse_duration
from kronborg.federation.directory_model import Directory
from kronborg.gateway.declare.parts import Key, SecretReference, Section, Text, Uri

Line = Annotated[str, Field(max_length=2000)]


class DirectorySection(Section):
    """An LDAP directory or Active Directory. The key of the entry stands in `managed_by` of its people's accounts."""

    name: Text
    """What people call it."""
    servers: Annotated[tuple[Uri, ...], Field(min_length=1, max_length=10)]
    """`ldaps://host` or `ldap://host`, in the order in which they are tried."""
    base: Line
    """Where people are: everybody below it may sign in whom the filter finds."""
    kind: Literal["ldap", "ad"] = "ldap"
    """`ad` for Active Directory: other usual names of attributes, another usual filter."""
    start_tls: bool = True
    """Whether `ldap://` becomes private by StartTLS. Without it only this machine is spoken to."""
    ca: Annotated[str, Field(max_length=200_000)] = ""
    """The authorities that sign its certificates, in PEM; those of the system when empty."""
    bind_dn: Line = ""
    """Who searches."""
    bind_password: SecretReference | None = None
    """The password of `bind_dn`."""
    bind_as: Text = ""
    """In place of `bind_dn`: the name people bind as themselves, like `{login}@corp.example`."""
    filter: Line = ""
    """Who may sign in; `{login}` is what was typed. By default by `uid` and `mail`; by account name, principal name
    and `mail` in Active Directory."""
    id_attribute: Text = ""
    """What stays the same when somebody is renamed; by default `entryUUID`, `objectGUID` in Active Directory."""
    username_attribute: Text = ""
    """What becomes the username; by default `uid`, `sAMAccountName` in Active Directory."""
    email_attribute: Text = "mail"
    """What becomes the e-mail address."""
    name_attribute: Text = ""
    """What becomes the name; by default `cn`, `displayName` in Active Directory."""
    attributes: Annotated[dict[Key, Text], Field(max_length=50, default_factory=dict)]
    """Attributes of accounts here, each with the attribute of the directory that fills it."""
    groups: Annotated[dict[Line, Text], Field(max_length=500, default_factory=dict)]
    """Groups of the directory (DN, or cn below `groups_base`), each with the group here that its members are in."""
    groups_base: Line = ""
    """Where groups are."""
    groups_by: Literal["member_of", "search", "in_chain"] = "member_of"
    """How somebody's groups are found: in `memberOf`, by a search for members, or by the search that Active Directory
    follows through nested groups itself."""
    nested_groups: bool = True
    """Whether a group in a group counts."""
    trust_email: bool = False
    """Whether its e-mail addresses count as verified."""
    create: bool = True
    """Whether people get an account at their first sign-in; else only by a sync."""
    sync_every: Duration | None = None
    """How often everybody is read, 1m to 30d; never when absent."""
    connect_timeout: Duration = parse_duration("3s")
    """How long to wait for a connection."""
    answer_timeout: Duration = parse_duration("5s")
    """How long to wait for an answer."""
    disabled: bool = False
    """Is not asked while true."""


def directory_in(key: str, section: DirectorySection) -> Directory:
    """The directory that a section wishes for."""
    names = [name for name in Directory.__dataclass_fields__ if name != "key"]
    return Directory(key=key, **{name: getattr(section, name) for name in names})
