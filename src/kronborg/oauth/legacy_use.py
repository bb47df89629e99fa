"""A line in the log when a legacy allowance is used: once an hour for each client and allowance."""

from __future__ import annotations

from datetime import datetime, timedelta

from kronborg.clients.legacy import legacy_of
from kronborg.clients.model import Client
from kronborg.core.log import get_logger

log = get_logger("kronborg.oauth")

EVERY = timedelta(hours=1)
MAX_REMEMBERED = 4096

_told: dict[tuple[str, str], datetime] = {}


def note(client: Client, word: str, *, now: datetime) -> None:
    """Log that `client` just used the allowance called `word` (`password`, `implicit`, `id_token`)."""
    last = _told.get((client.id, word))
    if last is not None and timedelta() <= now - last < EVERY:
        return
    if len(_told) >= MAX_REMEMBERED:
        _told.clear()
    _told[client.id, word] = now
    for legacy in legacy_of(client):
        if legacy.word == word:
            log.warning("legacy_used", client_id=client.id, legacy=word, clause=legacy.clause, mend=legacy.mend)
