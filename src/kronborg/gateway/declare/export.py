"""Writes the store back as a file: complete, and with an empty plan.

Secrets are not in the store in a form that could be written, so each is an `env:` placeholder: as long as the variable
is not set, a plan leaves the secret as it is.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import MISSING, is_dataclass
from dataclasses import fields as dataclass_fields
from types import SimpleNamespace

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from kronborg.accounts.model import Group, User, folded
from kronborg.clients.model import Api, Client
from kronborg.core.db import ReadSession
from kronborg.core.json import JsonValue
from kronborg.gateway.access_model import NamedPolicy, TokenIssuer
from kronborg.gateway.declare.current import Current, read_current
from kronborg.gateway.declare.directory_section import DirectorySection
from kronborg.gateway.declare.document import (
    AlertSection,
    ApiSection,
    ClientSection,
    GroupSection,
    IdentityProviderSection,
    OrganisationSection,
    RouteSection,
    ServiceSection,
    TrustedIssuerSection,
    UserSection,
    WebhookSection,
)
from kronborg.gateway.declare.issuer_section import TokenIssuerSection
from kronborg.gateway.declare.objects import SECTION_OF, Kind, Object, Ref, fields_of, label_of
from kronborg.gateway.declare.parts import Section
from kronborg.gateway.declare.yaml_tree import plain_means_text
from kronborg.gateway.model import Route, Service

_HEAD = """\
# Written by `kronborg export`. A plan of this file is empty until something changes.
# Secrets are placeholders: while the variable is not set, the secret stays as it is.
"""
_SECTIONS: Mapping[Kind, type[Section]] = {
    "api": ApiSection,
    "client": ClientSection,
    "group": GroupSection,
    "user": UserSection,
    "service": ServiceSection,
    "route": RouteSection,
    "issuer": TrustedIssuerSection,
    "organisation": OrganisationSection,
    "provider": IdentityProviderSection,
    "directory": DirectorySection,
    "webhook": WebhookSection,
    "alert": AlertSection,
    "token_issuer": TokenIssuerSection,
}
_ORDER: tuple[Kind, ...] = (
    "api",
    "group",
    "issuer",
    "client",
    "user",
    "provider",
    "directory",
    "organisation",
    "token_issuer",
    "policy",
    "service",
    "route",
    "webhook",
    "alert",
)


async def export(session: ReadSession, *, issuer: str, gateway_url: str) -> str:
    """The whole store as the text of a `kronborg.yaml`."""
    first = await read_current(session, with_secrets_of=())
    owners = {ref for ref in first.objects if ref.kind in ("client", "user")}
    current = await read_current(session, with_secrets_of=owners)
    names = _api_names(current)
    root = CommentedMap({"version": 1, "server": CommentedMap(issuer=_text(issuer), gateway_url=_text(gateway_url))})
    for kind in _ORDER:
        entries = CommentedMap()
        for ref, thing in sorted(current.objects.items(), key=lambda pair: pair[0]):
            if ref.kind == kind:
                label = names[ref.key] if kind == "api" else label_of(thing)
                if isinstance(thing, NamedPolicy):
                    entries[_text(label)] = LiteralScalarString(thing.text) if "\n" in thing.text else _text(thing.text)
                else:
                    entries[_text(label)] = _entry(ref, thing, current, names)
        if entries:
            root[SECTION_OF[kind]] = entries
    return _HEAD + _written(root)


def _written(root: CommentedMap) -> str:
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 120
    yaml.allow_unicode = True
    out = io.StringIO()
    yaml.dump(root, out)
    return re.sub(r"\n(?=[a-z])", "\n\n", out.getvalue())


def _entry(ref: Ref, thing: Object, current: Current, names: Mapping[str, str]) -> CommentedMap:
    """One object without what is a default anyway."""
    fields = dict(fields_of(thing))
    match thing:
        case User():
            groups = {one.key: label_of(found) for one, found in current.objects.items() if isinstance(found, Group)}
            fields["groups"] = [groups.get(folded(name), name) for name in thing.groups]
            del fields["username"]
        case Group():
            del fields["name"]
            fields["parent"] = thing.parent
        case Client():
            fields["audiences"] = [names.get(audience, audience) for audience in thing.audiences]
            for name in ("redirect_uris", "post_logout_redirect_uris", "web_origins", "grants", "scopes"):
                fields[name] = list(getattr(thing, name))
        case Route():
            fields["audience"] = names.get(thing.audience, thing.audience) if thing.audience else None
            fields["methods"] = list(thing.methods)
        case TokenIssuer():
            fields["audiences"] = [
                {"api": names.get(one.api, one.api), "audience": one.audience} for one in thing.audiences
            ]
        case Service() if len(thing.urls) == 1:
            fields["url"] = thing.urls[0]
            del fields["urls"]
        case Api():
            fields["scopes"] = {scope.name: scope.description for scope in thing.scopes}
        case _:
            pass
    entry = CommentedMap()
    for name, field in _SECTIONS[ref.kind].model_fields.items():
        if name in fields and (field.is_required() or not _is_default(ref.kind, name, fields[name])):
            entry[name] = _node(fields[name])
    if isinstance(thing, (Service, Route)):
        _drop_defaults(thing, entry)
    _placeholder(ref, entry, current)
    return entry


def _is_default(kind: Kind, name: str, value: JsonValue) -> bool:
    """Whether a file that says nothing means this."""
    if value is None or value == {}:
        return True
    default = _SECTIONS[kind].model_fields[name].get_default(call_default_factory=True, validated_data={})
    section = _SECTIONS[kind].model_construct(**{name: default})
    return bool(section.model_dump(mode="json", include={name})[name] == value)


def _drop_defaults(noun: object, entry: CommentedMap) -> None:
    """Leave out what the values inside a noun have by default; a value of which nothing is left stays as `{}`."""
    for name, inner in list(entry.items()):
        value = getattr(noun, name, None)
        if is_dataclass(value) and isinstance(inner, CommentedMap):
            plain = {one.name: one.default for one in dataclass_fields(value) if one.default is not MISSING}
            for member in [one for one in inner if one in plain and getattr(value, one) == plain[one]]:
                del inner[member]
            _drop_defaults(value, inner)
        elif isinstance(value, tuple) and isinstance(inner, list):
            for each, written in zip(value, inner, strict=True):
                _drop_defaults(SimpleNamespace(one=each), CommentedMap(one=written))


def _placeholder(ref: Ref, entry: CommentedMap, current: Current) -> None:
    """Stand-ins for the secrets there are."""
    client = current.client(ref)
    name = ""
    if client is not None and client.secrets:
        name, count = "secret", len(client.secrets)
        comment = "set it to change the secret" if count == 1 else f"one of {count}; set it to change it"
    elif ((webhook := current.webhook(ref)) is not None and webhook.secrets) or (
        (provider := current.provider(ref)) is not None and provider.secret is not None
    ):
        name, comment = "secret", "set it to change the secret"
    elif (directory := current.directory(ref)) is not None and directory.sealed:
        name, comment = "bind_password", "set it to change the password"
    elif current.hashes.get(ref) is not None:
        name, comment = "password", "set it to change the password"
    if name:
        variable = f"{name}_{re.sub(r'[^A-Za-z0-9]', '_', ref.key)}"[:100].upper()
        entry[name] = CommentedMap(env=variable)
        entry[name].fa.set_flow_style()
        entry.yaml_add_eol_comment(comment, name)


def _node(value: JsonValue) -> object:
    match value:
        case str():
            return _text(value)
        case list() | tuple():
            items = CommentedSeq([_node(item) for item in value])
            if sum(len(str(item)) for item in value) < 90 and not any(isinstance(item, dict) for item in value):
                items.fa.set_flow_style()
            return items
        case dict():
            return CommentedMap({_text(str(key)): _node(item) for key, item in value.items()})
        case _:
            return value


def _text(text: str) -> str:
    """Text that stays text when it is read again: quoted where a plain word would mean something else."""
    return text if plain_means_text(text) else DoubleQuotedScalarString(text)


def _api_names(current: Current) -> dict[str, str]:
    """A short name for each audience: what a file called it, else made of the last part of the URI."""
    names = {audience: name for name, audience in current.api_names().items()}
    taken = set(names.values())
    for api in current.apis():
        if api.audience in names:
            continue
        last = re.sub(r"[^a-z0-9]+", "-", re.split(r"[/:]", api.audience.rstrip("/"))[-1].lower()).strip("-")
        stem = (last or "api")[:50]
        name, number = stem, 2
        while name in taken:
            name, number = f"{stem}-{number}", number + 1
        names[api.audience] = name
        taken.add(name)
    return names
