"""Which store an installation has, opened once in a process; and what a remote gateway hands over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from kronborg.core.log import get_logger
from kronborg.traffic.row_model import rows_of
from kronborg.traffic.search_model import TrafficStore

log = get_logger("kronborg.traffic")

Kind = Literal["database", "parquet"]


def open_traffic(kind: Kind, database_url: str, data: Path) -> TrafficStore:
    """`database`: beside the database that the installation has; `parquet`: the large store, in the data folder."""
    if kind == "parquet":
        from kronborg.traffic.parquet_store import ParquetTraffic

        return ParquetTraffic(data / "traffic")
    if database_url.startswith("postgresql"):
        from kronborg.traffic.postgres_store import PostgresTraffic

        return PostgresTraffic(database_url)
    from kronborg.traffic.sqlite_store import SqliteTraffic

    return SqliteTraffic(data / "traffic")


async def ingest(store: TrafficStore, lines: Sequence[bytes], node: str) -> int:
    """Keep lines of an access log that another gateway sends; how many were new. A line sent twice is counted once."""
    rows, broken = rows_of(lines, node)
    if broken:
        log.warning("traffic_broken_lines", node=node, lines=broken)
    return await asyncio.to_thread(store.write, rows) if rows else 0
