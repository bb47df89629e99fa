"""Lines as the proxy writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def line(number: int = 0, *, after: timedelta = timedelta(0), **changed: object) -> bytes:
    """One line, `after` noon; the short names are those of the access log."""
    at = int((NOON + after).timestamp() * 1_000_000)
    told: dict[str, object] = {
        "i": f"00000000-0000-4000-8000-{number:012x}",
        "j": None,
        "t": str(at),
        "l": "gateway",
        "h": "shop.example",
        "m": "GET",
        "p": "/things",
        "r": "things",
        "s": "service.things",
        "c": 200,
        "d": "via_upstream",
        "f": "-",
        "w": None,
        "k": "shop-web",
        "u": "user-1",
        "jt": "token-1",
        "si": "session-1",
        "gi": "grant-1",
        "ke": None,
        "sc": "things:read",
        "a": "192.0.2.1",
        "ua": "curl/8",
        "pr": "HTTP/1.1",
        "tp": None,
        "uh": "192.0.2.9:80",
        "n": 1,
        "du": 2000,
        "us": 1500,
        "bi": 10,
        "bo": 500,
    }
    return orjson.dumps(told | changed)
