"""The form of a directory in the console: its fields, what is written in them, and what was typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kronborg.core.durations import parse_duration, write_duration
from kronborg.core.errors import Problem
from kronborg.federation.directory_model import Directory
from kronborg.federation.provider_form import Field, Part

_KINDS = (("ldap", "LDAP"), ("ad", "Active Directory"))
_WAYS = (
    ("member_of", "Read them in memberOf"),
    ("search", "Search for groups with this member"),
    ("in_chain", "Let Active Directory follow nested groups"),
)
PARTS = (
    Part(
        "Connection",
        "Servers are tried in their order. Certificates are checked.",
        (
            Field("kind", "Kind", sort="choice", options=_KINDS),
            Field(
                "servers",
                "Servers",
                "One address a line: ldaps://dc1.corp.example or ldap://dc1.corp.example.",
                "lines",
                needed=True,
            ),
            Field("start_tls", "StartTLS for ldap:// addresses", "Without it only this machine is spoken to.", "flag"),
            Field("ca", "Authorities", "Certificates in PEM; empty for those of the system.", "pem"),
            Field("bind_dn", "Who searches", "The name of an account that may read, with its password below."),
            Field("bind_as", "Or: people bind as", "Like {login}@corp.example, where nobody else may search."),
        ),
    ),
    Part(
        "People",
        "Everybody below the base whom the filter finds may sign in.",
        (
            Field("base", "Base", "Like ou=people,dc=corp,dc=example.", needed=True),
            Field("filter", "Filter", "{login} is what was typed. Empty for the usual one of the kind."),
            Field("id_attribute", "Attribute of the id", "Stays the same when somebody is renamed."),
            Field("username_attribute", "Attribute of the username"),
            Field("email_attribute", "Attribute of the e-mail address"),
            Field("name_attribute", "Attribute of the name"),
            Field("attributes", "More attributes", "One a line: department = departmentNumber.", "pairs"),
            Field("trust_email", "Its e-mail addresses count as verified", sort="flag"),
            Field("create", "People get an account at their first sign-in", "Else only by a sync.", "flag"),
            Field("sync_every", "Sync", "How often everybody is read, like 1h; empty for never."),
        ),
    ),
    Part(
        "Groups",
        "Members of a group there are put into a group here.",
        (
            Field("groups", "Groups", "One a line: admins = administrators, or a whole DN before the last =.", "pairs"),
            Field("groups_base", "Base of groups"),
            Field("groups_by", "How somebody's groups are found", sort="choice", options=_WAYS),
            Field("nested_groups", "Groups in groups count", sort="flag"),
        ),
    ),
)


def written(directory: Directory) -> dict[str, str]:
    """What stands in each field."""
    told: dict[str, str] = {}
    for part in PARTS:
        for field in part.fields:
            value = getattr(directory, field.name)
            if isinstance(value, Mapping):
                told[field.name] = "\n".join(f"{theirs} = {ours}" for theirs, ours in value.items())
            elif isinstance(value, tuple):
                told[field.name] = "\n".join(value)
            elif field.name == "sync_every":
                told[field.name] = "" if value is None else write_duration(value)
            else:
                told[field.name] = ("1" if value else "") if isinstance(value, bool) else str(value)
    return told


def read_form(before: Directory, form: Mapping[str, str]) -> tuple[Directory, list[Problem]]:
    """The directory that was typed, and what cannot be read of it; the rest is judged when it is saved."""
    problems: list[Problem] = []
    changed: dict[str, object] = {"name": form.get("name", "").strip()}
    for part in PARTS:
        for field in part.fields:
            text = form.get(field.name, "").strip()
            if field.sort == "flag":
                changed[field.name] = bool(text)
            elif field.sort == "pairs":
                changed[field.name] = _pairs(field.name, text, problems)
            elif field.name == "servers":
                changed[field.name] = tuple(line.strip() for line in text.splitlines() if line.strip())
            elif field.name == "sync_every":
                changed[field.name] = None
                try:
                    changed[field.name] = parse_duration(text) if text else None
                except ValueError:
                    problems.append(Problem("sync_every", "is not a duration", "write 30m, 1h or 1d"))
            elif field.sort == "choice":
                usual = getattr(before, field.name)
                changed[field.name] = text if text in dict(field.options) else usual
            else:
                changed[field.name] = text.replace("\r\n", "\n")
    return replace(before, **changed), problems  # type: ignore[arg-type]  # each field as the model has it


def _pairs(name: str, text: str, problems: list[Problem]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        left, equals, right = line.rpartition("=")
        if line.strip() and not (equals and left.strip() and right.strip()):
            problems.append(Problem(name, "a line has no = in it", "write one pair a line"))
        elif line.strip():
            found[left.strip()] = right.strip()
    return found
