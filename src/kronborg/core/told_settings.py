"""Settings live in a file; the audit log tells how they changed between two starts. No secret is kept or told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from kronborg.core.db import Database
from kronborg.core.events import changes, plain, record
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.personal import CHANGED
from kronborg.core.store import swap_settings

SECRET = frozenset({"master_key"})


async def tell_settings(database: Database, settings: object, *, now: datetime) -> None:
    """Record `settings.changed` when the installation starts with other settings than at its last start."""
    told = shown_settings(settings)
    async with database.write() as session:
        before = await swap_settings(session, told, now=now)
        detail = {} if before is None else changes(before, told)
        if detail.get(CHANGED):
            await record(session, "settings.changed", actor="system", subject="settings", now=now, detail=detail)


def shown_settings(settings: object) -> JsonObject:
    """Every setting by its dotted name, as JSON."""
    return dict(sorted(_flat("", plain(settings)).items()))


def _flat(name: str, value: JsonValue) -> dict[str, JsonValue]:
    if not isinstance(value, Mapping):
        return {name: _shown(value)}
    found: dict[str, JsonValue] = {}
    for key, inner in value.items():
        if key not in SECRET:
            found |= _flat(f"{name}.{key}" if name else key, inner)
    return found


def _shown(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_shown(each) for each in value]
    if not isinstance(value, str) or "://" not in value:
        return value
    # Who knows an address may find a password or a token in it.
    try:
        parts = urlsplit(value)
        host = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        return "(not shown)"
    return f"{parts.scheme}://{host}{parts.path}"
