"""Purging: fill a database with expired tokens, let the worker delete them, and watch what others notice of it.

    python -m bench.purge [--rows 10000000] [--json FILE]

A probe asks for reference tokens and introspects others at a fixed rate, before and during the purge. SQLite; on
PostgreSQL the same batches are deleted and autovacuum does the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import uvloop

from bench.flows import credentials, each_of, introspection
from bench.identity import REFERENCE_API, prepare, settings_of
from bench.load import Latency, pace
from bench.servers import free_port, one_token, running
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.core.db import Database, to_micros
from kronborg.core.migrate import migrate
from kronborg.tokens.engine import open_engine
from kronborg.tokens.purge import purge

RATE = 300
"""Requests of the probe per second: half of them write."""
CONNECTIONS = 16
# In the order in which they were issued, over ten hours, as the worker finds them.
_FILL = """
WITH RECURSIVE n(i) AS (SELECT ?4 UNION ALL SELECT i + 1 FROM n WHERE i < ?5)
INSERT INTO tokens_access (digest, jti, client_id, grant_id, audience, scopes, issued_at, expires_at)
SELECT token_key(?1 + i * ?2), lower(hex(randomblob(16))), 'client-' || (i % 20000), NULL, ?3, 'bench:count',
  ?1 + i * ?2, ?1 + i * ?2 + 600000000 FROM n
"""
STEP = 500_000


def main() -> int:
    """Fill, measure, purge, and print what came of it; 1 when tokens are left or the probe was held up."""
    options = argparse.ArgumentParser(prog="python -m bench.purge", description="Purge expired tokens under load.")
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--json", type=Path, metavar="FILE")
    chosen = options.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="kronborg-bench-") as name:
        folder, port = Path(name), free_port()
        settings = settings_of(folder, port)
        migrate(settings.database_url)
        filled = _fill(folder / "kronborg.db", chosen.rows)
        prepared = asyncio.run(prepare(settings, connections=1))
        stack.enter_context(running([sys.executable, "-m", "bench.identity", str(folder), str(port)], port))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            report = runner.run(_measure(settings, port, prepared.secret))
    report |= {"rows": chosen.rows, "seconds to fill": round(filled)}
    for key, value in report.items():
        print(f"{key:24}{value}")
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if report["left"] == 0 else 1


def _fill(path: Path, rows: int) -> float:
    """Raw inserts, without any care for durability; how many seconds it took."""
    began = time.perf_counter()
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1500000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.create_function("token_key", 1, _key)
    spacing = 36_000_000_000 // rows  # microseconds between two tokens
    first_issued = to_micros(clock.now() - timedelta(hours=12))
    for first in range(1, rows + 1, STEP):
        until = min(first + STEP - 1, rows)
        connection.execute(_FILL, (first_issued, spacing, REFERENCE_API, first, until))
        sys.stderr.write(f"\rfilled {until:,} rows in {time.perf_counter() - began:.0f} s")
    sys.stderr.write("\n")
    connection.close()
    return time.perf_counter() - began


def _key(issued: int) -> bytes:
    """What a token of that moment is stored by."""
    return (issued // 60_000_000).to_bytes(4, "big") + os.urandom(32)


async def _measure(settings: Settings, port: int, secret: str) -> dict[str, object]:
    file = settings.data / "kronborg.db"
    before = file.stat().st_size
    quiet = await _probe(port, secret, seconds=15)
    command = [sys.executable, "-c", f"from bench.purge import worker; worker({str(settings.data)!r}, {port})"]
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*command, cwd=Path(__file__).parent.parent)
    during: list[Latency] = []
    while process.returncode is None:
        during.append(await _probe(port, secret, seconds=10))
    took = time.perf_counter() - began
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        now = to_micros(clock.now())
        [left] = connection.execute("SELECT count(*) FROM tokens_access WHERE expires_at < ?", (now,)).fetchone()
    during.sort(key=lambda one: one.p99)
    return {
        "left": left,
        "seconds to purge": round(took),
        "MiB before": before >> 20,
        "MiB after": file.stat().st_size >> 20,
        "quiet": asdict(quiet),
        "while purging, median": asdict(during[len(during) // 2]),
        "while purging, worst": asdict(during[-1]),
    }


async def _probe(port: int, secret: str, *, seconds: float) -> Latency:
    issue = credentials(secret, "bench:count", REFERENCE_API)
    token = await asyncio.to_thread(one_token, port, issue)
    turns = [issue, introspection(secret, token)]
    scripts = tuple(each_of(turns, number % 2) for number in range(CONNECTIONS))
    return await pace(port, scripts, rate=RATE, seconds=seconds)


def worker(folder: str, port: int) -> None:
    """What the worker process does each minute, once: in a process of its own."""

    async def run() -> None:
        settings = settings_of(Path(folder), port)
        database, now = await Database.open(settings.database_url), clock.now()
        engine = await open_engine(
            database, settings.vault(), issuer=settings.issuer, session_idle=settings.session_idle, now=now
        )
        began = time.perf_counter()
        rows = await purge(engine, now=now)
        took = time.perf_counter() - began
        sys.stderr.write(f"purged {rows:,} rows in {took:.0f} s, {rows / took:,.0f} per second\n")
        await database.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


if __name__ == "__main__":
    sys.exit(main())
