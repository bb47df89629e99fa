"""Each refusal at a live gateway: the record names the same reason as the problem that the caller got."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path as FilePath

import pytest

from gateway.live import API, Answer, Live, wait_until
from kronborg.gateway.envoy.access_log import path_of
from kronborg.gateway.envoy.admin import reopen_logs
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Path, Route, Service
from kronborg.gateway.reasons import DETAILS, FLAGS, REASONS, STATUSES, reason_of
from kronborg.traffic.model import AccessRecord
from kronborg.traffic.reader import Bounds, LogReader
from kronborg.traffic.row_model import record_of
from kronborg.traffic.search_model import Search, Span
from kronborg.traffic.sqlite_store import SqliteTraffic
from ports import free_port

ALWAYS = Span(datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


class Records:
    """What the gateway wrote, read as the control process reads it."""

    def __init__(self, gateway: Live, folder: FilePath, bounds: Bounds | None = None) -> None:
        self.store = SqliteTraffic(folder)

        async def reopen() -> None:
            await reopen_logs(gateway.proxy.admin)

        self.reader = LogReader(path_of(gateway.proxy), "gateway-1", self.store, reopen, bounds or Bounds())

    def read(self) -> int:
        return asyncio.run(self.reader.turn())

    def of(self, **equal: str) -> list[AccessRecord]:
        return [record_of(row) for row in self.store.search(Search(ALWAYS, tuple(equal.items()), limit=10_000))]

    def one(self, **equal: str) -> AccessRecord:
        def there() -> bool:
            self.read()
            return bool(self.of(**equal))

        wait_until(there, every=0.05)
        (found,) = self.of(**equal)
        return found


@pytest.fixture
def records(gateway: Live, tmp_path: FilePath) -> Records:
    return Records(gateway, tmp_path / "traffic")


def publish(gateway: Live) -> None:
    routes = (
        Route("open", Path("prefix", "/open"), "echo", public=True),
        Route("things", Path("prefix", "/things"), "echo", audience=API, scopes=("catalogue:read",)),
        Route("written", Path("prefix", "/written"), "echo", audience=API, scopes=("catalogue:write",)),
        Route("staff", Path("prefix", "/staff"), "echo", audience=API, roles=("staff",)),
        Route("slow", Path("prefix", "/slow"), "echo", public=True, spike_arrest=SpikeArrest("1pm", per="route")),
        Route("small", Path("prefix", "/small"), "echo", public=True, max_body=5),
        Route("dead", Path("prefix", "/dead"), "gone", public=True),
        Route("late", Path("prefix", "/late"), "silent", public=True, timeout=timedelta(milliseconds=50)),
        Route("read", Path("prefix", "/read"), "echo", public=True, methods=("GET",)),
    )
    snapshot = gateway.snapshot(*routes)
    gone = Service("gone", (f"http://127.0.0.1:{free_port()}",))
    silent = Service("silent", (f"http://127.0.0.1:{gateway.exchange.port}",))
    gateway.deliver(replace(snapshot, services=(*snapshot.services, gone, silent)))


REFUSALS: dict[str, tuple[Callable[[Live], Answer], ...]] = {
    "missing_token": (lambda g: g.get("/things"),),
    "invalid_token": (
        lambda g: g.get("/things", token="abc"),
        lambda g: g.get("/things", token=g.token(exp=5)),
        lambda g: g.get("/things", token=g.token(aud="https://other.example")),
        lambda g: g.get("/things", token=g.token(typ="JWT")),
        lambda g: g.get("/things", token="kro_at_unknown"),
    ),
    "missing_scope": (lambda g: g.get("/written", token=g.token()),),
    "missing_role": (lambda g: g.get("/staff", token=g.token()),),
    "spike_arrest": (lambda g: [g.get("/slow") for _ in range(3)][-1],),
    "body_too_large": (lambda g: g.request("POST", "/small", body=b"0123456789"),),
    "service_unreachable": (lambda g: g.get("/dead"),),
    "no_route": (lambda g: g.get("/nowhere"),),
    "unknown_host": (lambda g: g.get("/open", host="elsewhere.example"),),
    "method_not_allowed": (lambda g: g.request("POST", "/read"), lambda g: g.request("TRACE", "/open")),
    "ambiguous_path": (lambda g: g.get("/open/a;b"),),
}


def test_every_refusal_has_the_reason_that_its_problem_names(gateway: Live, records: Records) -> None:
    publish(gateway)

    answers = [(reason, send(gateway)) for reason, sends in REFUSALS.items() for send in sends]

    for reason, answer in answers:
        problem = answer.json()
        assert problem["reason"] == reason, problem
        record = records.one(id=answer.headers["x-request-id"])
        assert (record.reason, record.status) == (reason, answer.status)
        assert record.decision == ("failed" if REASONS[reason].stage == "service" else "refused")


def test_what_is_no_http_has_a_record_without_a_caller(gateway: Live, records: Records) -> None:
    publish(gateway)
    records.read()

    gateway.get("/open/evil%2fb", headers={"x-kronborg-client": "evil", "x-kronborg-subject": "evil"})
    gateway.raw(b"rubbish\r\n\r\n")
    gateway.get("/open", headers={f"h{number}": "1" for number in range(90)})

    # Envoy writes its log now and then: the three may come in more than one part.
    wait_until(lambda: records.read() >= 0 and bool(records.of(reason="headers_too_large")))
    assert records.of(reason="malformed_request")
    assert [(one.client, one.subject) for one in records.of(path="/open/evil/b")] == [("", "")]
    assert not records.of(client="evil")


def test_a_record_says_who_called_what_and_where_the_time_went(gateway: Live, records: Records) -> None:
    publish(gateway)
    trace = "0af7651916cd43dd8448eb211c80319c"

    answer = gateway.get(
        "/things/7?secret=hush",
        token=gateway.token(jti="token-7", sid="session-7", gid="grant-7"),
        headers={
            "user-agent": 'quo"te\\ {"c":1}',
            "traceparent": f"00-{trace}-b7ad6b7169203331-01",
            "x-kronborg-subject": "admin",
        },
    )

    record = records.one(id=answer.headers["x-request-id"])
    assert (record.client, record.subject, record.token) == ("shop-web", "user-1", "token-7")
    assert (record.session, record.grant, record.scopes) == ("session-7", "grant-7", "catalogue:read")
    assert (record.route, record.service, record.path, record.method) == ("things", "echo", "/things/7", "GET")
    assert (record.status, record.decision, record.reason) == (200, "allowed", "")
    assert (record.agent, record.trace, record.address) == ('quo"te\\ {"c":1}', trace, "127.0.0.1")
    assert 0 < record.upstream_us < record.duration_us
    assert record.bytes_out > 0
    assert b"hush" not in path_of(gateway.proxy).read_bytes()
    assert b"eyJ" not in path_of(gateway.proxy).read_bytes()


def test_health_checks_leave_no_record(gateway: Live, records: Records) -> None:
    publish(gateway)

    gateway.get("/healthz")
    answer = gateway.get("/open")

    records.one(id=answer.headers["x-request-id"])
    assert not records.of(path="/healthz")


def test_the_file_turns_over_and_no_request_is_lost_or_doubled(gateway: Live, tmp_path: FilePath) -> None:
    publish(gateway)
    records = Records(gateway, tmp_path / "traffic", Bounds(turn_bytes=2000))
    records.read()

    ids = []
    for _ in range(4):
        ids += [gateway.get("/open/turning").headers["x-request-id"] for _ in range(10)]
        records.one(id=ids[-1])
        records.reader._offsets.clear()  # a control process that was killed

    found = sorted(one.id for one in records.of(path="/open/turning"))
    assert found == sorted(ids)
    renamed = [one for one in path_of(gateway.proxy).parent.iterdir() if one.suffix[1:].isdecimal()]
    assert renamed


def test_what_nobody_reads_is_given_up_before_the_disk_is_full(gateway: Live, tmp_path: FilePath) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / f"access.log.{number}").write_bytes(b"x" * 1000 + b"\n")
    (folder / "access.log").write_bytes(b"")

    async def never() -> None:
        raise AssertionError("nothing to reopen")

    reader = LogReader(
        folder / "access.log", "g", SqliteTraffic(tmp_path / "t"), never, Bounds(turn_bytes=10_000, most_bytes=1500)
    )
    asyncio.run(reader.turn())

    assert sorted(one.name for one in folder.glob("access.log.*")) == ["access.log.3"]


def test_every_reason_that_is_told_natively_exists() -> None:
    assert {*dict(DETAILS).values(), *FLAGS.values(), *STATUSES.values()} <= set(REASONS)
    assert reason_of("via_upstream", "", 500, "") == ""
    assert reason_of("", "", 200, "") == ""
    assert reason_of("lua_response", "", 401, "revoked") == "revoked"
    assert reason_of("lua_response", "", 401, "made up") == "other"
    assert reason_of("something_new", "UT", 504, "") == "service_timeout"
