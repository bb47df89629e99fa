"""Records of what fails: services that misbehave, open breakers, and a gateway and a reader that are killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path as FilePath

import orjson
import pytest

from gateway.breaker_stage import QUICK, Stage, kept, staged
from gateway.live import Live, wait_until
from gateway.misbehaving import Misbehave, good, hang, no_http, reset, reset_in_body
from kronborg.gateway.model import Path, Route, Service
from kronborg.gateway.resilience_model import Bounds, Ejection, Fallback
from kronborg.traffic.reader import LogReader
from kronborg.traffic.row_model import Row, rows_of
from kronborg.traffic.sqlite_store import SqliteTraffic
from traffic.lines import line
from traffic.test_records import Records

ROUTE = Route("orders", Path("prefix", "/orders"), "orders", public=True, timeout=timedelta(milliseconds=300))
NEVER = Ejection(failures=1000)


def orders(stage: Stage) -> Service:
    return Service("orders", (stage.first.url,), ejection=NEVER)


@pytest.mark.parametrize(
    ("conduct", "status", "reasons"),
    [
        (hang, 504, {"service_timeout"}),
        (reset, 503, {"service_reset"}),
        (no_http, 502, {"service_invalid"}),
    ],
)
def test_a_record_says_how_a_service_failed(
    gateway: Live, tmp_path: FilePath, conduct: Misbehave, status: int, reasons: set[str]
) -> None:
    records = Records(gateway, tmp_path / "traffic")
    with staged(gateway) as stage:
        stage.publish(orders(stage), ROUTE)
        stage.first.conduct = conduct

        answer = gateway.request("POST", "/orders/1", body=b"x")
        record = records.one(id=answer.headers["x-request-id"])

    assert record.reason in reasons, record
    assert (record.status, record.decision, record.service) == (answer.status, "failed", "orders")
    assert answer.json()["reason"] == record.reason
    assert answer.status == status


def test_an_answer_that_breaks_off_is_recorded_as_such(gateway: Live, tmp_path: FilePath) -> None:
    records = Records(gateway, tmp_path / "traffic")
    with staged(gateway) as stage:
        stage.publish(orders(stage), ROUTE)
        stage.first.conduct = reset_in_body

        # Nobody else asks for this path: records of other tests at the same gateway may come late.
        assert stage.statuses(1, path="/orders/broken-off") == [0]
        record = records.one(path="/orders/broken-off")

    assert (record.status, record.decision) == (200, "failed")
    assert record.reason in ("service_reset", "service_invalid")


def test_more_than_may_be_under_way_is_an_overflow(gateway: Live, tmp_path: FilePath) -> None:
    records = Records(gateway, tmp_path / "traffic")
    with staged(gateway) as stage:
        stage.publish(replace(orders(stage), bounds=Bounds(connections=1, pending=1, requests=1)), ROUTE)
        stage.first.conduct = hang

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: gateway.get("/orders/1"), range(8)))
        refused = [one for one in answers if one.json()["reason"] == "service_overflow"]
        found = [records.one(id=one.headers["x-request-id"]) for one in refused]

    assert refused
    assert {one.reason for one in found} == {"service_overflow"}


@pytest.mark.parametrize("fallback", [None, Fallback(status=202, body="later", content_type="text/plain")])
def test_an_open_breaker_has_its_reason_and_a_stand_in_its_name(
    gateway: Live, tmp_path: FilePath, fallback: Fallback | None
) -> None:
    records = Records(gateway, tmp_path / "traffic")
    with staged(gateway) as stage:
        stage.publish(replace(orders(stage), breaker=QUICK, fallback=fallback), ROUTE)
        with kept(stage.breakers()):
            stage.orders["orders"] = "open"
            wait_until(lambda: stage.statuses(1) == [503 if fallback is None else 202])
            stage.orders["orders"] = "closed"
            wait_until(lambda: stage.statuses(1) == [200])
    status, reason = (503, "breaker_open") if fallback is None else (202, "")

    def stood_in() -> bool:
        records.read()
        found = [one for one in records.of(service="instead.orders") if one.status == status]
        return bool(found) and {one.reason for one in found} == {reason}

    wait_until(stood_in, every=0.05)


def test_a_killed_gateway_loses_only_what_it_had_not_written_and_nothing_is_doubled(
    gateway: Live, tmp_path: FilePath
) -> None:
    records = Records(gateway, tmp_path / "traffic")
    with staged(gateway) as stage:
        stage.first.conduct = good
        stage.publish(orders(stage), ROUTE)
        written = [gateway.get("/orders/killed").headers["x-request-id"] for _ in range(50)]
        records.one(id=written[-1])
        late = [gateway.get("/orders/killed").headers["x-request-id"] for _ in range(20)]
        gateway.kill()
        gateway.start()
        after = [gateway.get("/orders/killed").headers["x-request-id"] for _ in range(20)]
        records.one(id=after[-1])

    # Other tests call the same service at the same gateway, and their records may come late.
    found = [one.id for one in records.of(service="orders", path="/orders/killed")]
    assert len(found) == len(set(found))
    assert set(written) | set(after) <= set(found)
    assert set(found) <= {*written, *late, *after}


def test_a_reader_that_is_killed_at_any_point_counts_each_request_once(gateway: Live, tmp_path: FilePath) -> None:
    records = Records(gateway, tmp_path / "traffic")
    records.read()
    with staged(gateway) as stage:
        stage.publish(orders(stage), ROUTE)
        sent = [gateway.get("/orders/1").headers["x-request-id"] for _ in range(30)]
        position = records.reader.path.with_suffix(".position")

        def again(forget: Callable[[], object]) -> None:
            # What was stored and not yet noted is read again by the next process.
            forget()
            fresh = Records(gateway, tmp_path / "traffic")
            asyncio.run(fresh.reader.turn())

        records.one(id=sent[-1])
        again(lambda: position.write_bytes(b"{}"))
        again(lambda: position.write_bytes(b"not json"))
        again(lambda: position.unlink())

    found = [one.id for one in records.of(service="orders", path="/orders/1")]
    assert len(found) == len(set(found))
    assert set(sent) <= set(found)


def test_a_file_that_grows_while_it_is_read_is_read_once(tmp_path: FilePath) -> None:
    path, first = tmp_path / "access.log", b"".join(line(n) + b"\n" for n in range(100))
    path.write_bytes(first)

    class Growing(SqliteTraffic):
        """While it stores, the proxy writes on."""

        written = 0

        def write(self, rows: Sequence[Row]) -> int:
            self.written += len(rows)
            if self.written < 300:
                with path.open("ab") as file:
                    file.writelines(line(self.written + n) + b"\n" for n in range(100))
            return super().write(rows)

    async def never() -> None:
        raise AssertionError("nothing to reopen")

    store = Growing(tmp_path / "traffic")
    stored = asyncio.run(LogReader(path, "g", store, never).turn())

    assert (stored, store.written) == (300, 300)


def test_what_a_killed_proxy_left_of_a_line_takes_no_other_line_with_it() -> None:
    told = orjson.dumps(orjson.loads(line(7)), option=orjson.OPT_SORT_KEYS)

    rows, broken = rows_of([told[:50] + told, told[:50], b"{}"], "gateway-1")

    assert [row[1] for row in rows] == ["00000000-0000-4000-8000-000000000007"]
    assert broken == 3
