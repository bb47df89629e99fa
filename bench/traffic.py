"""Ingest of access records and the questions of the dashboard: `python bench/traffic.py sqlite 200000`.

Lines are parsed and stored on one core as the control process does it; then the dashboard's and the explorer's
questions are asked of what is there. `parquet` needs the extra `analytics`; `postgresql://…` is a URL.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from kronborg.traffic.parquet_store import ParquetTraffic
from kronborg.traffic.postgres_store import PostgresTraffic
from kronborg.traffic.row_model import rows_of
from kronborg.traffic.search_model import Search, Span, TrafficStore
from kronborg.traffic.sqlite_store import SqliteTraffic

START = datetime(2026, 6, 1, tzinfo=UTC)
BATCH = 10_000


def line(chance: random.Random, at: int) -> bytes:
    """One line as the proxy writes it: 40 routes, 200 clients, 20,000 people, 2 % refused."""
    route, refused = chance.randrange(40), chance.random() < 0.02
    return orjson.dumps(
        {
            "i": f"{chance.getrandbits(32):08x}-0000-4000-8000-{chance.getrandbits(48):012x}",
            "j": None,
            "t": str(at),
            "l": "gateway",
            "h": "shop.example",
            "m": "GET",
            "p": f"/things/{route}/{chance.randrange(100_000)}",
            "r": f"route-{route}",
            "s": f"service.things-{route % 10}",
            "c": 429 if refused else 200,
            "d": "local_rate_limited" if refused else "via_upstream",
            "f": "RL" if refused else "-",
            "w": None,
            "k": f"client-{chance.randrange(200)}",
            "u": f"019a0000-0000-7000-8000-{chance.randrange(20_000):012x}",
            "jt": f"{chance.randrange(40_000):016x}",
            "si": f"{chance.randrange(20_000):016x}",
            "gi": f"{chance.randrange(20_000):016x}",
            "ke": None,
            "sc": "things:read things:write",
            "a": f"192.0.2.{chance.randrange(256)}",
            "ua": "Mozilla/5.0 (X11; Linux x86_64) Things/1.0",
            "pr": "HTTP/2",
            "tp": None,
            "uh": "192.0.2.10:8000",
            "n": 1,
            "du": 900 + chance.randrange(20_000),
            "us": 500 + chance.randrange(300),
            "bi": 0,
            "bo": 512,
        }
    )


def main() -> None:
    """Measure one store."""
    kind, number = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        store: TrafficStore
        if kind.startswith("postgresql"):
            store = PostgresTraffic(kind)
        else:
            store = ParquetTraffic(Path(folder)) if kind == "parquet" else SqliteTraffic(Path(folder))
        parsing, storing = ingest(store, number)
        print(
            f"{kind}: {number:,} records; parse {parsing / number * 1e6:.1f} us, store {storing / number * 1e6:.1f} us"
        )
        print(f"{number / (parsing + storing):,.0f} records/s; {store.size() / number:.0f} bytes a record")
        ask(store, START + timedelta(microseconds=number * 1000))
        store.close()


def ingest(store: TrafficStore, number: int) -> tuple[float, float]:
    """CPU seconds of this process for parsing, and wall seconds for storing."""
    chance, parsing, storing = random.Random(1), 0.0, 0.0  # made-up records
    first = int(START.timestamp() * 1_000_000)
    for start in range(0, number, BATCH):
        lines = [line(chance, first + (start + i) * 1000) for i in range(min(BATCH, number - start))]
        begun = time.perf_counter()
        rows, _ = rows_of(lines, "gateway-1")
        parsed = time.perf_counter()
        store.write(rows)
        parsing, storing = parsing + parsed - begun, storing + time.perf_counter() - parsed
    return parsing, storing


def ask(store: TrafficStore, end: datetime) -> None:
    """The best of three of each question."""
    hour, day = Span(end - timedelta(hours=1), end), Span(START, end)
    questions: dict[str, Callable[[], object]] = {
        "counts, an hour by minutes": lambda: store.counts(hour, step=1),
        "counts, all by route": lambda: store.counts(day, ["route"]),
        "latencies, all": lambda: store.latencies(day),
        "people, all": lambda: store.people(day, limit=10),
        "newest 50": lambda: store.search(Search(day)),
        "newest 50 of a subject": lambda: store.search(
            Search(day, (("subject", "019a0000-0000-7000-8000-000000000007"),))
        ),
        "newest 50 of 429 on a route": lambda: store.search(Search(day, (("route", "route-3"),), status=429)),
        "one request that is not there": lambda: store.search(Search(day, (("id", "none"),))),
    }
    for name, question in questions.items():
        times = []
        for _ in range(3):
            begun = time.perf_counter()
            question()
            times.append(time.perf_counter() - begun)
        print(f"  {name}: {min(times) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
