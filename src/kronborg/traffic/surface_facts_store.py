"""Reads what the attack surface is judged by, in few statements: ten thousand clients are one of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

import orjson

from kronborg.core.db import from_micros
from kronborg.core.group_writer import Lookup
from kronborg.traffic.surface_facts_model import ClientFact, SecretFact

MOST = 100_000
_CLIENTS = "SELECT id, grants, scopes, created_at, settings, jwks FROM clients_clients WHERE disabled = ? LIMIT ?"
_SECRETS = """
SELECT client_id, created_at, last_used_at FROM clients_secrets WHERE expires_at IS NULL OR expires_at > ? LIMIT ?
"""
_ROUTES = "SELECT name, updated_at FROM gateway_routes"


async def read_clients(lookup: Lookup) -> tuple[ClientFact, ...]:
    """All clients that are not disabled."""
    rows = await lookup.all(_CLIENTS, (False, MOST))
    return tuple(
        ClientFact(
            id=cast("str", row[0]),
            grants=_texts(row[1]),
            scopes=_texts(row[2]),
            created_at=from_micros(cast("int", row[3])),
            refresh_seconds=_refresh(row[4]),
            certificates=_certificates(row[5]),
        )
        for row in rows
    )


async def read_secrets(lookup: Lookup, *, now_micros: int) -> tuple[SecretFact, ...]:
    """All client secrets that have not expired."""
    rows = await lookup.all(_SECRETS, (now_micros, MOST))
    return tuple(
        SecretFact(cast("str", row[0]), from_micros(row[1]), None if row[2] is None else from_micros(row[2]))
        for row in rows
    )


async def read_route_moments(lookup: Lookup) -> Mapping[str, datetime]:
    """When each route was last changed, by its name."""
    return {cast("str", row[0]): from_micros(cast("int", row[1])) for row in await lookup.all(_ROUTES)}


def _texts(value: object) -> tuple[str, ...]:
    # Most lists are empty, and most others are the same few.
    return () if value in (None, "[]") else tuple(orjson.loads(cast("str", value)))


def _refresh(value: object) -> int | None:
    if not isinstance(value, str) or "refresh_token_lifetime" not in value:
        return None
    found = orjson.loads(value).get("refresh_token_lifetime")
    return found if isinstance(found, int) else None


def _certificates(value: object) -> tuple[str, ...]:
    if not isinstance(value, str) or '"x5c"' not in value:
        return ()
    keys = orjson.loads(value).get("keys", ())
    chains = [key["x5c"] for key in keys if isinstance(key, dict) and isinstance(key.get("x5c"), list)]
    return tuple(str(chain[0])[:20_000] for chain in chains[:20] if chain)
