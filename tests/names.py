"""Host names of a test, in the resolver of this process."""

from __future__ import annotations

import ipaddress
import socket

import pytest


def known_names(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, list[str]], *, later: dict[str, list[str]] | None = None
) -> list[str]:
    """Put these names into the resolver of this process; the names looked up. `later` is told from the second on."""
    looked_up: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: str, port: object, *rest: object, **more: object) -> list[object]:
        if ipaddress_or_none(host):
            return real(host, port, *rest, **more)  # type: ignore[arg-type, return-value]
        told = later if later is not None and host in looked_up else known
        looked_up.append(host)
        if host not in told:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0)) for address in told[host]]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return looked_up


def ipaddress_or_none(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
