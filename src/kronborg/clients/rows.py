"""Rows of this slice as values, and values as rows. No statement is here; those are in `store.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import cast

import orjson

from kronborg.clients import settings
from kronborg.clients.model import Api, AuthMethod, Client, ClientSecret, GrantName, Kind, Scope, TokenFormat
from kronborg.clients.settings import ApiSettings, ClientSettings
from kronborg.core.db import from_micros
from kronborg.core.json import JsonObject


def plain_client(row: tuple[object, ...]) -> tuple[object, ...]:
    """A row of a plain statement, with the values a typed statement would have given."""
    lists = (None if text is None else orjson.loads(cast("str", text)) for text in row[4:11])
    return (*row[:4], *lists, bool(row[11]), bool(row[12]), moment(row[13]), moment(row[14]), parsed(row[15]))


def plain_secret(row: tuple[object, ...]) -> tuple[object, ...]:
    return (row[0], bytes(cast("bytes", row[1])), moment(row[2]), moment(row[3]), moment(row[4]), row[5])


def parsed(text: object) -> object:
    """A JSON column of a plain statement."""
    return None if text is None else orjson.loads(cast("str", text))


def moment(micros: object) -> datetime | None:
    return None if micros is None else from_micros(cast("int", micros))


def client_of(row: Sequence[object], secrets: Sequence[Sequence[object]]) -> Client:
    lists = [tuple(cast("list[str]", value)) for value in row[4:10]]
    return Client(
        id=cast("str", row[0]),
        name=cast("str", row[1]),
        kind=cast("Kind", row[2]),
        auth_method=cast("AuthMethod", row[3]),
        redirect_uris=lists[0],
        post_logout_redirect_uris=lists[1],
        web_origins=lists[2],
        grants=cast("tuple[GrantName, ...]", lists[3]),
        scopes=lists[4],
        audiences=lists[5],
        jwks=cast("JsonObject | None", row[10]),
        first_party=cast("bool", row[11]),
        disabled=cast("bool", row[12]),
        created_at=cast("datetime", row[13]),
        updated_at=cast("datetime", row[14]),
        secrets=tuple(ClientSecret(*cast("tuple[str, bytes, datetime, None, None, None]", tuple(s))) for s in secrets),
        settings=settings.from_json(ClientSettings, cast("JsonObject", row[15] or {})),
    )


def client_values(client: Client) -> Mapping[str, object]:
    return {
        "id": client.id,
        "name": client.name,
        "kind": client.kind,
        "auth_method": client.auth_method,
        "redirect_uris": list(client.redirect_uris),
        "post_logout_redirect_uris": list(client.post_logout_redirect_uris),
        "web_origins": list(client.web_origins),
        "grants": list(client.grants),
        "scopes": list(client.scopes),
        "audiences": list(client.audiences),
        "jwks": client.jwks,
        "first_party": client.first_party,
        "disabled": client.disabled,
        "updated_at": client.updated_at,
        "settings": settings.to_json(client.settings) or None,
    }


def apis_of(apis: Sequence[Sequence[object]], scopes: Sequence[Sequence[object]]) -> tuple[Api, ...]:
    owned: dict[str, list[Scope]] = {}
    for name, api_id, description in scopes:
        owned.setdefault(cast("str", api_id), []).append(Scope(cast("str", name), cast("str", description)))
    return tuple(
        Api(
            id=cast("str", row[0]),
            audience=cast("str", row[1]),
            name=cast("str", row[2]),
            scopes=tuple(owned.get(cast("str", row[0]), ())),
            token_format=cast("TokenFormat", row[3]),
            token_lifetime=timedelta(seconds=cast("int", row[4])),
            created_at=cast("datetime", row[5]),
            updated_at=cast("datetime", row[6]),
            settings=settings.from_json(ApiSettings, cast("JsonObject", row[7] or {})),
        )
        for row in apis
    )


def api_values(api: Api) -> Mapping[str, object]:
    return {
        "audience": api.audience,
        "name": api.name,
        "token_format": api.token_format,
        "token_lifetime": int(api.token_lifetime.total_seconds()),
        "updated_at": api.updated_at,
        "settings": settings.to_json(api.settings) or None,
    }
