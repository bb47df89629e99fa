"""What a token says, by the names that its issuer uses, read as the proxy reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kronborg.core.json import JsonValue
from kronborg.gateway.access_model import ClaimRule, TokenIssuer, claim_path
from kronborg.gateway.simulate_nouns import Held
from kronborg.gateway.simulate_policy import claim_at, same

_SCHEME = re.compile(r"^https?://")
_NUMBER = re.compile(r"-?[0-9]{1,15}")


def scopes_of(held: Held, source: TokenIssuer | None = None) -> tuple[str, ...]:
    """Its scopes (RFC 9068 section 2.2.3); some other issuers write an array."""
    said = held.claims.get("scope" if source is None else source.scope_claim)
    if source is not None and not isinstance(said, str):
        return words(said)
    return tuple((text(said) or "").split(" "))


def roles_of(held: Held, source: TokenIssuer | None = None) -> tuple[str, ...]:
    """Its roles."""
    roles = claim_at(held.claims, ("roles",) if source is None else claim_path(source.roles_claim))
    return tuple(role for role in roles if isinstance(role, str)) if isinstance(roles, (list, tuple)) else ()


def client_of(held: Held, source: TokenIssuer | None = None) -> str | None:
    """Whose token it is."""
    return text(held.claims.get("client_id" if source is None else source.client_claim))


def subject_of(held: Held, source: TokenIssuer | None = None) -> str | None:
    """Whom it is about."""
    return text(held.claims.get("sub" if source is None else source.subject_claim))


def described(held: Held, source: TokenIssuer | None) -> str:
    """Whose token it is, for a trail."""
    client, subject = client_of(held, source), subject_of(held, source)
    theirs = f" of {source.name}" if source is not None else ""
    return f"client {client}{theirs}" + (f", subject {subject}" if subject and subject != client else "")


def claim_fits(rule: ClaimRule, held: Held) -> bool:
    """Whether a claim has one of the values; of a list, one of its members is enough."""
    found = claim_at(held.claims, rule.path)
    members: tuple[JsonValue, ...] = tuple(found) if isinstance(found, (list, tuple)) else (found,)
    return any(_means(value, one) for value in rule.values for one in members)


def _means(value: str, found: JsonValue) -> bool:
    """A value as it may stand in a token: a text, a truth, a number."""
    if same(found, value):
        return True
    if value in ("true", "false"):
        return same(found, value == "true")
    return _NUMBER.fullmatch(value) is not None and same(found, float(value))


def bare(audience: str) -> str:
    """As the proxy compares: without the scheme http(s) and a last slash."""
    return _SCHEME.sub("", audience).removesuffix("/")


def listed(what: str, names: Iterable[str]) -> str:
    """Names for a trail."""
    return f"{what}: " + (", ".join(name for name in names if name) or "none")


def text(value: JsonValue) -> str | None:
    """A text that is not empty."""
    return value if isinstance(value, str) and value else None


def number(value: JsonValue) -> float | None:
    """A number that is no truth."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def words(value: JsonValue) -> tuple[str, ...]:
    """One text, or all in a list."""
    if isinstance(value, str):
        return (value,)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, (list, tuple)) else ()
