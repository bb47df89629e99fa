"""`/console/settings`: how this installation runs, to be looked at. What it shows is handed in by who composes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core.durations import write_duration
from kronborg.core.html import render
from kronborg.core.policy import Resource
from kronborg.sessions.model import ConsolePage
from kronborg.sessions.visits import admitted


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """One setting: its name in `kronborg.yaml`, its value as text, and whether it is what nobody chose."""

    name: str
    value: str
    usual: bool


@dataclass(frozen=True, slots=True)
class SettingGroup:
    """Settings that belong together."""

    title: str
    text: str
    settings: tuple[ShownSetting, ...]


@dataclass(frozen=True, slots=True)
class SettingsPage(ConsolePage):
    """All of them. `file` is the `kronborg.yaml` they were read from, if any."""

    groups: tuple[SettingGroup, ...]
    file: str


def routes(groups: tuple[SettingGroup, ...], file: str) -> list[Route]:
    """`/console/settings`."""

    async def show(request: Request) -> Response:
        found = await admitted(request, "settings:read", Resource("setting"))
        if isinstance(found, Response):
            return found
        return render(request, "oauth/settings.html", SettingsPage(found, "settings", groups, file))

    return [Route("/console/settings", show, methods=["GET"])]


_GROUPS = (
    (
        "Addresses",
        "Where clients, people and processes find each other.",
        (
            "issuer",
            "gateway_url",
            "gateway",
            "identity",
            "tls",
            "mtls",
            "control",
            "worker",
            "trusted_proxies",
            "allow_plain_http",
        ),
    ),
    (
        "Security",
        "What every client and every token is held to.",
        ("profile", "require_dpop_nonce", "held_keys", "policies", "admission", "fetch_allow", "fetch_ca_file"),
    ),
    ("Signing in", "Passwords, second factors, throttling, sessions.", ("session_idle", "session_absolute", "sign_in")),
    ("Letters", "How mail leaves.", ("mail",)),
    ("Look", "The brand.", ("brand",)),
    (
        "Running",
        "Where things are kept, and how much runs.",
        ("data", "database", "identity_workers", "envoy_concurrency", "log_level"),
    ),
)
_NAMES = {
    "session_idle": "session.idle",
    "session_absolute": "session.absolute",
    "fetch_allow": "fetch.allow",
    "fetch_ca_file": "fetch.ca_file",
    "held_keys": "keys.pkcs11",
    "admission": "registration",
    "identity_workers": "identity.workers",
    "envoy_concurrency": "envoy.concurrency",
    "sign_in.factors": "sign_in.factors",
}
_PASSWORD = re.compile(r"(://[^/@\s]*):[^/@\s]*@")
_HIDDEN = re.compile(r"(secret|password|token|pin|key)$")


def groups_of(settings: object, default: object) -> tuple[SettingGroup, ...]:
    """The settings of an installation as the page shows them, beside those of one that chose nothing.

    Both are dataclasses. What may be a secret is left out; the password of a database URL too.
    """
    return tuple(
        SettingGroup(
            title,
            text,
            tuple(
                row
                for name in names
                if hasattr(settings, name)
                for row in _rows(f"server.{_NAMES.get(name, name)}", getattr(settings, name), getattr(default, name))
            ),
        )
        for title, text, names in _GROUPS
    )


def _rows(name: str, value: object, default: object) -> Iterator[ShownSetting]:
    if _HIDDEN.search(name) and isinstance(value, str):
        return
    if is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            if one.name == "throttle":  # nobody can choose it
                continue
            yield from _rows(f"{name}.{one.name}", getattr(value, one.name), getattr(default, one.name, None))
        return
    yield ShownSetting(name, _text(value), value == default)


def _text(value: object) -> str:
    match value:
        case None | () | "":
            return ""
        case bool():
            return "yes" if value else "no"
        case timedelta():
            return write_duration(value)
        case tuple() | frozenset() | list():
            return ", ".join(_text(one) for one in value)
        case Path():
            return str(value)
        case _:
            return _PASSWORD.sub(r"\1:…@", str(value))[:500]
