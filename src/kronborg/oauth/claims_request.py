"""The `claims` parameter: single claims about a person, asked for by name (OIDC Core §5.5)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from kronborg.core.json import JsonObject, JsonValue, NotJson, read_json
from kronborg.oauth.errors import InvalidRequest

MAX_CLAIMS = 50
SCOPE_OF: Final = {
    "name": "profile",
    "preferred_username": "profile",
    "updated_at": "profile",
    "email": "email",
    "email_verified": "email",
}
"""The claims about a person that we have, each with the scope that a client has to be registered for to ask for it."""
_MEMBERS = frozenset({"essential", "value", "values"})


@dataclass(frozen=True, slots=True)
class AskedClaims:
    """What is asked for by name. `kept` is what a grant keeps of it, `scopes` what the person has to agree to.

    `acr` are the essential values of that claim, empty for whatever there is; None when it is not essential. `subject`
    is the only person whom the client wants to hear about.
    """

    kept: JsonObject | None = None
    scopes: frozenset[str] = frozenset()
    acr: tuple[str, ...] | None = None
    acr_values: tuple[str, ...] = ()
    subject: str | None = None


NOTHING: Final = AskedClaims()


@dataclass(slots=True)
class _Kept:
    """The names to keep for each place."""

    id_token: list[str] = field(default_factory=list)
    userinfo: list[str] = field(default_factory=list)


def read_claims(text: str | None, registered: Collection[str]) -> AskedClaims:
    """What the parameter says to a client registered for these scopes. Raises `InvalidRequest`.

    Claims that we do not have, or that the client may not ask for, are left out: none of them is promised
    (OIDC Core §5.5.1).
    """
    if text is None:
        return NOTHING
    try:
        asked = read_json(text)
    except NotJson as error:
        raise InvalidRequest("claims is not JSON") from error
    if not isinstance(asked, Mapping):
        raise InvalidRequest("claims is not a JSON object")
    id_token, userinfo = _place(asked, "id_token"), _place(asked, "userinfo")
    places = {"id_token": _names(id_token, registered), "userinfo": _names(userinfo, registered)}
    names = {name for kept in places.values() for name in kept}
    acr, subject = id_token.get("acr"), _value(id_token.get("sub")) or _value(userinfo.get("sub"))
    values = _values(acr)
    essential = acr is not None and acr.get("essential") is True
    kept: JsonObject = {place: list(kept) for place, kept in places.items() if kept}
    return AskedClaims(
        kept or None,
        frozenset(SCOPE_OF[name] for name in names),
        values if essential and values else None,
        values,
        subject,
    )


def _place(asked: Mapping[str, JsonValue], name: str) -> dict[str, JsonObject | None]:
    """The claims asked for in one place. Raises `InvalidRequest`."""
    place = asked.get(name)
    if place is None:
        return {}
    if not isinstance(place, Mapping) or len(place) > MAX_CLAIMS:
        raise InvalidRequest("a member of claims is not an object of at most 50 claims")
    found: dict[str, JsonObject | None] = {}
    for claim, wish in place.items():
        if wish is not None and not isinstance(wish, Mapping):
            raise InvalidRequest("a claim is asked for by null or by an object")
        if wish is not None and not isinstance(wish.get("essential", False), bool):
            raise InvalidRequest("essential is true or false")
        found[claim] = wish
    return found


def _names(place: Mapping[str, object], registered: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in place if SCOPE_OF.get(name) in registered)


def _value(wish: JsonObject | None) -> str | None:
    value = None if wish is None else wish.get("value")
    return value if isinstance(value, str) else None


def _values(wish: JsonObject | None) -> tuple[str, ...]:
    if wish is None:
        return ()
    several = wish.get("values", ())
    given = [wish.get("value"), *(several if isinstance(several, (list, tuple)) else ())]
    return tuple(dict.fromkeys(value for value in given if isinstance(value, str)))
