"""The audit log: what recording costs, how fast events are sealed, how fast a chain is verified, in how much memory.

    python -m bench.audit [--rows 1000000] [--postgres URL] [--json FILE]

On SQLite in a folder of its own, or on an empty PostgreSQL database. Recording is measured with the trigger that hands
events to the worker and without it: the difference is all that sealing costs whoever records.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from kronborg.audit import chain_store
from kronborg.audit.chain import BATCH, seal_waiting
from kronborg.audit.checkpoints import make_checkpoint
from kronborg.audit.export import export_lines, verify_lines
from kronborg.audit.model import Search
from kronborg.audit.search_store import find_events
from kronborg.audit.verify import Scope, verify
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database, to_micros
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.core.migrate import migrate

RECORDED = 20_000
_INSERT = "INSERT INTO core_events (id, name, actor, subject, at, detail, request_id) VALUES "
_NAMES = ("session.begun", "session.ended", "grant.created", "client.changed", "user.updated")
_DETAIL = '{"sid":"01987f0e-0000-7000-8000-000000000000","client_id":"shop","changed":{"disabled":[false,true]}}'


def main() -> int:
    """Measure and print; 1 when the chain does not hold."""
    options = argparse.ArgumentParser(prog="python -m bench.audit", description="Measure the audit log.")
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--postgres", metavar="URL")
    options.add_argument("--json", type=Path, metavar="FILE")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="kronborg-bench-") as folder:
        url = chosen.postgres or f"sqlite:///{Path(folder) / 'kronborg.db'}"
        migrate(url)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            report = runner.run(_measure(url, chosen.rows))
    for key, value in report.items():
        print(f"{key:44}{value:>16,}" if isinstance(value, int) else f"{key:44}{value:>16}")
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if report["holds"] else 1


async def _measure(url: str, rows: int) -> dict[str, object]:
    database, vault = await Database.open(url), Vault(bytes(32))
    report: dict[str, object] = {"rows": rows}
    report["recorded/s, sealing on"] = await _record(database)
    if url.startswith("sqlite"):
        report["recorded/s, without the trigger"] = await _without_trigger(database)
    await _fill(database, rows)
    report["sealed/s"] = await _seal(database)
    await make_checkpoint(database, vault, now=clock.now())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    found = await verify(database, vault, Scope())
    took = time.perf_counter() - began
    report |= {
        "holds": found.finding is None,
        "verified": found.events,
        "verified/s": round(found.events / took),
        "MiB more at the peak of verifying": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10,
    }
    report |= await _export(database, vault)
    report |= await _searches(database)
    report["µs for a look when idle"] = await _idle(database)
    await database.close()
    return report


async def _record(database: Database) -> int:
    """Events recorded by units of the group writer, a hundred callers at a time; per second."""

    def unit(execute: Execute) -> None:
        record_in(execute, "grant.created", actor="bench", subject="s", now=now, detail={"client_id": "shop"})

    now, began = clock.now(), time.perf_counter()
    for _ in range(RECORDED // 100):
        await asyncio.gather(*(database.writer.run(unit) for _ in range(100)))
    return round(RECORDED / (time.perf_counter() - began))


async def _without_trigger(database: Database) -> int:
    row = await database.lookup.first("SELECT sql FROM sqlite_master WHERE name = 'core_events_recorded'")
    assert row is not None
    await database.writer.run(lambda execute: execute("DROP TRIGGER core_events_recorded"))
    rate = await _record(database)
    await database.writer.run(lambda execute: execute(row[0]))
    left = "INSERT INTO core_unsealed (seq, news) SELECT seq, 1 FROM core_events WHERE seq > ?"
    await database.writer.run(lambda execute: execute(left, (RECORDED,)))
    return rate


async def _fill(database: Database, rows: int) -> None:
    """Events as they are, two hundred to a statement."""
    at = to_micros(clock.now()) - rows * 1000
    for first in range(0, rows, 10_000):

        def unit(execute: Execute, first: int = first) -> None:
            for start in range(first, min(first + 10_000, rows), 200):
                values: list[str | int] = []
                for number in range(start, min(start + 200, rows)):
                    name, actor = _NAMES[number % len(_NAMES)], f"user:{number % 1000}"
                    values += (f"e{number}", name, actor, f"s{number % 50_000}", at + number * 1000, _DETAIL, "")
                execute(_INSERT + ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * (len(values) // 7)), values)

        await database.writer.run(unit)
        sys.stderr.write(f"\rfilled {first:,}")
    sys.stderr.write("\n")


async def _seal(database: Database) -> int:
    """Events that got their places, as the worker does it; per second."""
    began, count = time.perf_counter(), 0
    while (turn := await seal_waiting(database, {}, now=clock.now(), limit=BATCH)).events:
        count += turn.events
    return round(count / (time.perf_counter() - began))


async def _export(database: Database, vault: Vault) -> dict[str, object]:
    with tempfile.TemporaryFile() as file:
        began, count = time.perf_counter(), 0
        async for line in export_lines(database, vault):
            file.write(line)
            count += 1
        exported, size = count / (time.perf_counter() - began), file.tell()
        file.seek(0)
        head = await chain_store.read_head(database.lookup)
        began = time.perf_counter()
        found = verify_lines(file)
        verified = found.events / (time.perf_counter() - began)
    assert found.last == head.n
    return {
        "exported/s": round(exported),
        "MiB of the export": size >> 20,
        "verified/s from the export": round(verified),
    }


async def _searches(database: Database) -> dict[str, object]:
    """Milliseconds of one page each."""
    took: dict[str, object] = {}
    for called, search in (
        ("everything", Search()),
        ("a prefix of names", Search(name="session.")),
        ("an actor", Search(actor="user:7")),
        ("an actor and a prefix", Search(actor="user:7", name="user.")),
        ("a subject", Search(subject="s77")),
        ("nobody", Search(actor="nobody")),
    ):
        began = time.perf_counter()
        await find_events(database.lookup, search, limit=50)
        took[f"ms for a page by {called}"] = round((time.perf_counter() - began) * 1000, 1)
    return took


async def _idle(database: Database) -> int:
    began = time.perf_counter()
    for _ in range(1000):
        await seal_waiting(database, {}, now=clock.now())
    return round((time.perf_counter() - began) * 1000)


if __name__ == "__main__":
    sys.exit(main())
