"""The `authorization_details` parameter: read, bounded, and of types that client and API know (RFC 9396 §5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kronborg.clients.directory import Apis
from kronborg.clients.model import Client
from kronborg.core.json import JsonObject, JsonValue, NotJson, read_json
from kronborg.oauth.authorize_errors import InvalidAuthorizationDetails
from kronborg.tokens.rich import LISTS, within

MAX_OBJECTS: Final = 10
MAX_MEMBERS: Final = 30
MAX_LIST: Final = 50
MAX_TEXT: Final = 2000


def read_details(text: str | None, client: Client, apis: Apis) -> tuple[JsonObject, ...]:
    """The objects of the parameter. Raises `InvalidAuthorizationDetails`."""
    if text is None:
        return ()
    try:
        given = read_json(text)
    except NotJson as error:
        raise InvalidAuthorizationDetails("authorization_details is not JSON") from error
    # RFC 9396 §2: an array of objects.
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_OBJECTS:
        raise InvalidAuthorizationDetails("authorization_details is a list of one to ten objects")
    return tuple(_read(one, client, apis) for one in given)


def narrowed(text: str | None, granted: tuple[JsonObject, ...], client: Client, apis: Apis) -> tuple[JsonObject, ...]:
    """What a token request asks for of what was granted; all of it without the parameter (RFC 9396 §6).

    Raises `InvalidAuthorizationDetails`.
    """
    if text is None:
        return granted
    asked = read_details(text, client, apis)
    if not all(within(one, granted) for one in asked):
        raise InvalidAuthorizationDetails("the authorization details are more than what was granted")
    return asked


def _read(one: JsonValue, client: Client, apis: Apis) -> JsonObject:
    if not isinstance(one, Mapping) or len(one) > MAX_MEMBERS:
        raise InvalidAuthorizationDetails("each of the authorization details is an object of at most 30 members")
    kind = one.get("type")
    if not isinstance(kind, str) or kind not in client.settings.authorization_details_types:
        raise InvalidAuthorizationDetails("the type is missing, unknown, or not registered for this client")
    knowing = {a.audience for a in apis.by_audience.values() if kind in a.settings.authorization_details_types}
    if not knowing:
        raise InvalidAuthorizationDetails("no API knows this type of authorization details")
    for name in LISTS:
        _check_list(one.get(name, ()))
    if not isinstance(one.get("identifier", ""), str):
        raise InvalidAuthorizationDetails("identifier is text")
    locations = one.get("locations", ())
    if isinstance(locations, list) and not knowing.issuperset(str(place) for place in locations):
        raise InvalidAuthorizationDetails("a location is not an API that knows this type")
    _check_texts(one)
    return one


def _check_list(value: JsonValue) -> None:
    # RFC 9396 §2.2: lists of text.
    if not isinstance(value, (list, tuple)) or len(value) > MAX_LIST or not all(isinstance(v, str) for v in value):
        raise InvalidAuthorizationDetails("locations, actions, datatypes and privileges are lists of text")


def _check_texts(value: JsonValue) -> None:
    """Text that can be shown: bounded, and without control or direction characters."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            _check_texts(name)
            _check_texts(member)
    elif isinstance(value, (list, tuple)):
        for member in value:
            _check_texts(member)
    elif isinstance(value, str) and (len(value) > MAX_TEXT or not value.isprintable()):
        raise InvalidAuthorizationDetails("a text is too long, or holds characters that cannot be shown")
