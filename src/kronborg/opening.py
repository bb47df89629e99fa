"""The token engine of a process, as the settings of the installation want it."""

from __future__ import annotations

from datetime import datetime

from kronborg.config import Settings
from kronborg.core.client_certificate import NO_MUTUAL_TLS, MutualTls
from kronborg.core.db import Database
from kronborg.core.fetch import Fetcher
from kronborg.tokens.engine import Engine, open_engine


async def engine_for(
    settings: Settings, database: Database, *, now: datetime, mutual_tls: MutualTls = NO_MUTUAL_TLS
) -> Engine:
    """The engine over an open database."""
    return await open_engine(
        database,
        settings.vault(),
        issuer=settings.issuer,
        session_idle=settings.session_idle,
        now=now,
        fetcher=Fetcher(settings.fetch_allow, ca_file=settings.fetch_ca_file),
        profile=settings.profile,
        admission=settings.admission,
        mutual_tls=mutual_tls,
    )
