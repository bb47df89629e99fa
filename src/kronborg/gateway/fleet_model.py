"""Where gateways on other machines reach the control process, and how gateways are named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from kronborg.core.errors import Problem

NODE_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
"""A gateway's name: a label of the DNS (RFC 1123 §2.1) in small letters."""


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """Where the control process listens for the fleet, and the https URL that leads there, without path."""

    host: str
    port: int
    url: str


def fleet_problems(fleet: FleetSettings | None) -> Iterator[Problem]:
    """Everything that keeps this listener from being found."""
    if fleet is None:
        return
    try:
        parts = urlsplit(fleet.url)
        fine = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or any(mark in fleet.url for mark in "?#@ ") or parts.path:
        yield Problem("server.fleet.url", "is no https URL without a path", "write https://fleet.example:8444")
