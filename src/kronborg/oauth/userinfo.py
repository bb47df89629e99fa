"""Claims about a person, by the scopes an access token carries (OIDC Core §5.4)."""

from __future__ import annotations

from collections.abc import Collection

from kronborg.accounts.model import User
from kronborg.core.json import JsonObject, JsonValue


def claims_of(user: User, scopes: Collection[str]) -> JsonObject:
    """What the userinfo endpoint tells; claims without a value are left out (OIDC Core §5.3.2)."""
    claims: dict[str, JsonValue] = {"sub": user.id}
    if "profile" in scopes:
        claims["preferred_username"] = user.username
        claims["updated_at"] = int(user.updated_at.timestamp())
        if user.name:
            claims["name"] = user.name
    if "email" in scopes and user.email is not None:
        claims["email"] = user.email
        # Nobody has proved yet that the address is theirs, so no client may link accounts by it.
        claims["email_verified"] = False
    return claims
