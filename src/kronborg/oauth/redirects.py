"""Where the answer of an authorization or logout request may go, and how it is written into that address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote, urlencode

_LOOPBACK = re.compile(r"http://(?P<host>127\.0\.0\.1|\[::1\])(?::(?P<port>[1-9][0-9]{0,4}))?(?P<rest>[/?].*|)", re.S)


def matches(sent: str, registered: tuple[str, ...], *, native: bool) -> bool:
    """Whether a redirect URI is one of those registered: the same characters, one after the other.

    For a `native` application (a public client) the port of a loopback IP address may differ.
    """
    # RFC 9700 §2.1: exact string matching.
    if sent in registered:
        return True
    # RFC 8252 §7.3: any port on the loopback interface; the address itself, never the name `localhost` (§8.3).
    return native and any(_same_but_port(sent, known) for known in registered)


def with_answer(uri: str, answer: Mapping[str, str], *, mode: Literal["query", "fragment"] = "query") -> str:
    """The redirect URI with the parameters of the answer (RFC 6749 §4.1.2); its own query is kept."""
    if not answer:
        return uri
    encoded = urlencode(answer, quote_via=quote)
    if mode == "fragment":
        return f"{uri}#{encoded}"
    if "?" not in uri:
        return f"{uri}?{encoded}"
    return f"{uri}{encoded}" if uri.endswith(("?", "&")) else f"{uri}&{encoded}"


def _same_but_port(sent: str, known: str) -> bool:
    one, other = _LOOPBACK.fullmatch(sent), _LOOPBACK.fullmatch(known)
    if one is None or other is None or int(one["port"] or 80) > 65535:
        return False
    return (one["host"], one["rest"]) == (other["host"], other["rest"])
