"""What keeps a directory from being used as drafted: every problem, with its place and the mend."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from kronborg.core.errors import Problem
from kronborg.federation.directory_model import Directory
from kronborg.federation.ldap_client import INSTALL, MISSING, LdapAddress, installed
from kronborg.federation.ldap_filter import BadFilter, check_filter, places_in

MAX_DIRECTORIES = 20
MAX_SERVERS = 10
MAX_CA = 200_000

_KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9;-]{0,99}")
_DN = re.compile(r"[A-Za-z0-9.]+ *=.+")
_PLACES = re.compile(r"\{(\w*)\}")


def directory_problems(directory: Directory, *, has_password: bool) -> tuple[Problem, ...]:
    """Everything that is wrong; `has_password` says whether one is kept or comes with the draft."""
    missing = () if installed() else (Problem("servers", MISSING, INSTALL),)
    return (*missing, *_names(directory), *_reach(directory), *_search(directory, has_password), *_meaning(directory))


def addresses_of(directory: Directory) -> tuple[LdapAddress, ...]:
    """The servers, in their order; `directory_problems` has found nothing wrong with them."""
    found = []
    for url in directory.servers:
        parts = urlsplit(url)
        secure = parts.scheme == "ldaps"
        tls = "ldaps" if secure else "starttls" if directory.start_tls else "none"
        found.append(LdapAddress(parts.hostname or "", parts.port or (636 if secure else 389), tls))
    return tuple(found)


def _names(directory: Directory) -> Iterator[Problem]:
    if not _KEY.fullmatch(directory.key):
        yield Problem("key", "is not a short name", "use at most 63 lower-case letters, digits and dashes")
    if not 1 <= len(directory.name) <= 100 or not directory.name.isprintable():
        yield Problem("name", "is what people see", "use 1 to 100 printable characters")


def _reach(directory: Directory) -> Iterator[Problem]:
    if not 1 <= len(directory.servers) <= MAX_SERVERS:
        yield Problem("servers", "needs one to ten servers", "write ldaps://dc1.corp.example")
    for url in directory.servers:
        yield from _server(url, directory)
    if directory.ca:
        try:
            if len(directory.ca) > MAX_CA:
                raise ssl.SSLError
            ssl.create_default_context(cadata=directory.ca)
        except (ssl.SSLError, ValueError):
            yield Problem("ca", "holds no certificates", "give them in PEM, -----BEGIN CERTIFICATE----- and so on")
    for name, span in (("connect_timeout", directory.connect_timeout), ("answer_timeout", directory.answer_timeout)):
        if not timedelta(milliseconds=100) <= span <= timedelta(seconds=30):
            yield Problem(name, "is not between 100ms and 30s", "a few seconds are enough")
    if directory.sync_every is not None and not timedelta(minutes=1) <= directory.sync_every <= timedelta(days=30):
        yield Problem("sync_every", "is not between 1m and 30d", "once an hour is usual")


def _server(url: str, directory: Directory) -> Iterator[Problem]:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in ("ldap", "ldaps") or not host or extra or len(url) > 300:
        yield Problem("servers", "holds no address of a directory", "write ldaps://dc1.corp.example or ldap://host:389")
    elif parts.scheme == "ldap" and not directory.start_tls and not _loopback(host):
        yield Problem("servers", "would carry passwords in the clear", "use ldaps:// or leave start_tls on")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _search(directory: Directory, has_password: bool) -> Iterator[Problem]:
    for name in ("base", "bind_dn", "groups_base"):
        text = getattr(directory, name)
        # AD takes `user@domain` for the name that binds, too.
        if (text or name == "base") and not _is_name(text, loose=name == "bind_dn"):
            yield Problem(name, "is not a distinguished name", "write it like ou=people,dc=corp,dc=example")
    if directory.bind_dn and directory.bind_as:
        yield Problem("bind_as", "stands beside bind_dn", "give one: who searches, or the name people bind as")
    if directory.bind_dn and not has_password:
        yield Problem("bind_password", "is missing", "give the password of bind_dn")
    if directory.bind_as and (_PLACES.findall(directory.bind_as) != ["login"] or len(directory.bind_as) > 300):
        yield Problem("bind_as", "has no place for the name", "write it like {login}@corp.example")
    try:
        check_filter(directory.search_filter)
        if places_in(directory.search_filter) != {"login"}:
            yield Problem("filter", "does not ask for who signs in", "write {login} where the typed name belongs")
    except BadFilter as wrong:
        yield Problem("filter", str(wrong), "see RFC 4515; for example (&(objectClass=person)(uid={login}))")


def _is_name(text: str, *, loose: bool) -> bool:
    return len(text) <= 1000 and text.isprintable() and (bool(_DN.fullmatch(text)) or (loose and "@" in text))


def _meaning(directory: Directory) -> Iterator[Problem]:
    for name in ("id_attribute", "username_attribute", "email_attribute", "name_attribute"):
        text = getattr(directory, name)
        if text and not _ATTRIBUTE.fullmatch(text):
            yield Problem(name, "is not the name of an attribute", "write it like sAMAccountName")
    if len(directory.attributes) > 50 or not all(
        0 < len(name) <= 64 and _ATTRIBUTE.fullmatch(source) for name, source in directory.attributes.items()
    ):
        yield Problem("attributes", "holds what is no attribute", "write department: departmentNumber, at most 50")
    if len(directory.groups) > 500 or not all(
        0 < len(theirs) <= 1000 and 0 < len(ours) <= 100 for theirs, ours in directory.groups.items()
    ):
        yield Problem("groups", "holds what is no group", "write cn=admins,ou=groups,dc=corp,dc=example: admins")
    if directory.groups and directory.groups_by != "member_of" and not directory.groups_base:
        yield Problem("groups_base", "is missing", "say where the groups are")
