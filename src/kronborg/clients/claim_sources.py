"""What a claim of an API's tokens may be taken from: the words of `settings.claims`, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

SOURCES: Final = (
    "username",
    "name",
    "email",
    "groups",
    "roles",
    "client_name",
    "auth_time",
    "amr",
    "acr",
    "org_id",
    "organisation",
    "org_role",
)
ORGANISATION_SOURCES: Final = frozenset({"org_id", "organisation", "org_role"})
"""Those that take another look into the database."""
STATIC: Final = "static:"
"""What follows is the claim's value itself."""
RESERVED: Final = frozenset(
    {
        *("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "roles", "gid", "sid", "auth_time"),
        *("cnf", "act", "may_act", "status", "authorization_details", "azp", "active", "token_type", "events", "nonce"),
    }
)
"""Claims that only the server itself writes: a mapping must not say who a token is for."""
MAX_MAPPED: Final = 20
MAX_STATIC: Final = 200
_NAME = re.compile(r"[!-~]{1,100}", re.ASCII)


def mapping_problems(claims: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """(claim, what is wrong, the mend) of each mapping that cannot be; the claim is empty for all of them together."""
    if len(claims) > MAX_MAPPED:
        yield "", "at most 20 claims", "tokens travel with every request: keep them small"
        return
    for name, source in claims.items():
        if not _NAME.fullmatch(name):
            yield name, "a claim's name is 1 to 100 visible ASCII characters", ""
        elif name in RESERVED:
            yield name, "the server itself writes this claim", "choose another name"
        elif source.startswith(STATIC):
            if not 0 < len(source) - len(STATIC) <= MAX_STATIC or not source.isprintable():
                yield name, "a static value is 1 to 200 visible characters", ""
        elif source not in SOURCES:
            yield name, "there is no such source", f"one of {', '.join(SOURCES)}, or static:text"
