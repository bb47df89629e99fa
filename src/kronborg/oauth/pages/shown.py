"""What a consent page tells of authorization details and of a client, in words and bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from kronborg.clients.directory import Apis
from kronborg.clients.model import Client
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.languages import N_
from kronborg.oauth.consent_page import ShownDetail
from kronborg.oauth.pages.answers import host_of
from kronborg.tokens.rich import texts

_WORDS = ((N_("Website"), "client_uri"), (N_("Privacy policy"), "policy_uri"), (N_("Terms of service"), "tos_uri"))
_TOLD_APART = frozenset({"type", "actions", "locations"})


def shown_details(details: Sequence[JsonObject], apis: Apis) -> tuple[ShownDetail, ...]:
    """Authorization details as a person reads them; every member is told, since all of it is allowed."""
    return tuple(_shown(one, apis) for one in details)


def links_of(client: Client) -> tuple[tuple[str, str], ...]:
    """What a client says about itself, as links to https pages."""
    found = ((word, getattr(client.settings, name)) for word, name in _WORDS)
    return tuple((word, uri) for word, uri in found if uri is not None and urlsplit(uri).scheme == "https")


def run_by(client: Client, target: str) -> str:
    """The host to hold responsible: that of the metadata document, else the one people are sent back to."""
    return host_of(client.id if client.id.startswith("https:") else target)


def is_local(target: str) -> bool:
    """Whether the answer goes to a program on the person's computer."""
    return urlsplit(target).hostname in ("localhost", "127.0.0.1", "::1")


def _shown(one: JsonObject, apis: Apis) -> ShownDetail:
    locations = tuple(
        apis.by_audience[place].name if place in apis.by_audience else place for place in texts(one.get("locations"))
    )
    members: list[tuple[str, str]] = []
    for name, value in one.items():
        if name not in _TOLD_APART:
            _add(members, name, value)
    return ShownDetail(str(one["type"]), texts(one.get("actions")), locations, tuple(members))


def _add(lines: list[tuple[str, str]], name: str, value: JsonValue) -> None:
    """The lines of one member, nested ones with their path."""
    if isinstance(value, Mapping) and value:
        for inner, member in value.items():
            _add(lines, f"{name} · {inner}", member)
    elif isinstance(value, (list, tuple)) and any(isinstance(member, (Mapping, list, tuple)) for member in value):
        for number, member in enumerate(value, 1):
            _add(lines, f"{name} {number}", member)
    else:
        lines.append((name, _line(value)))


def _line(value: JsonValue) -> str:
    match value:
        case None:
            return "nothing"
        case True:
            return "yes"
        case False:
            return "no"
        case str():
            return value
        case list() | tuple():
            return ", ".join(_line(member) for member in value) or "nothing"
        case dict():
            return "nothing"
        case _:
            return str(value)
