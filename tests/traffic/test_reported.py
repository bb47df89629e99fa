"""What passed and would have been refused: told by the live gateway, kept by each store, shown in the console."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path as FilePath

import pytest

from gateway.live import Live
from kronborg.gateway.content_model import Bots
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Path, Route
from kronborg.traffic.questions import figures, search_of, top, would_be
from kronborg.traffic.row_model import record_of, row_of, rows_of
from kronborg.traffic.search_model import Span, TrafficStore
from kronborg.traffic.trail import trail_of
from traffic.lines import NOON, line
from traffic.test_records import Records

SPAN = Span(NOON - timedelta(minutes=5), NOON + timedelta(minutes=5))


def test_the_gateway_tells_of_rates_and_bots_that_only_report(gateway: Live, tmp_path: FilePath) -> None:
    shadow = SpikeArrest("1pm", per="route", effect="shadow")
    slow = Route("slow", Path("prefix", "/slow"), "echo", public=True, spike_arrest=shadow, rate_limit=shadow)
    gateway.deliver(replace(gateway.snapshot(slow), bots=Bots(mode="report")))
    records = Records(gateway, tmp_path / "traffic")

    first = gateway.get("/slow", headers={"user-agent": "mine/1"})
    second = gateway.get("/slow", headers={"user-agent": "sqlmap/1.7"})

    told = [records.one(id=answer.headers["x-request-id"]) for answer in (first, second)]
    assert [one.status for one in (first, second)] == [200, 200]
    assert (told[0].decision, told[0].reported) == ("allowed", ())
    assert told[1].decision == "reported"
    assert told[1].reason == ""
    # Of several rates the proxy writes down the first.
    assert told[1].reported[0] == "spike_arrest"
    assert any(name.startswith("bot_rule:") for name in told[1].reported)
    assert all(would_be(name) for name in told[1].reported)


@pytest.mark.parametrize(
    ("more", "decision", "reported"),
    [
        ({"sh": "spike_arrest,daily"}, "reported", ("spike_arrest", "daily")),
        ({"rp": "body_not_json", "rb": None}, "reported", ("body_not_json",)),
        ({"rb": "bot_rule:scanner", "sh": "daily,daily"}, "reported", ("daily", "bot_rule:scanner")),
        ({"sh": "", "rp": None}, "allowed", ()),
        ({"sh": "<b>,a b,\u00e6, ,daily"}, "reported", ("daily",)),
        ({"sh": "daily", "d": "x" * 900}, "reported", ("daily",)),
        ({"sh": ",".join(f"quota-{n}" for n in range(50))}, "reported", ("quota-0", "quota-1", "quota-2")),
        ({"sh": "daily", "w": "quota_exceeded", "c": 429}, "refused", ("daily",)),
    ],
)
def test_a_line_says_what_would_have_refused_it(
    more: dict[str, object], decision: str, reported: tuple[str, ...]
) -> None:
    row = row_of(line(**more), "gateway-1")  # type: ignore[arg-type]

    assert row is not None
    record = record_of(row)
    assert (record.decision, record.reported) == (decision, reported)
    assert len(record.detail) <= 256


def test_each_store_finds_and_counts_them_apart_from_refusals(store: TrafficStore) -> None:
    lines = [line(n, after=timedelta(seconds=n)) for n in range(5)]
    lines += [line(10 + n, after=timedelta(seconds=n), sh="daily,spike_arrest") for n in range(3)]
    lines += [line(20, after=timedelta(seconds=9), w="quota_exceeded", c=429)]
    store.write(rows_of(lines, "gateway-1")[0])

    found = store.search(search_of("decision:reported", SPAN, people=True))
    told = figures(store, SPAN, people=True)
    reasons = top(store, SPAN, "reason")

    assert len(found) == 3
    assert [(one.name, one.n) for one in told.reported] == [("daily", 3), ("spike_arrest", 3)]
    assert (told.n, told.refused) == (9, 1)
    assert [(one.name, one.n) for one in told.reasons] == [("quota_exceeded", 1)]
    assert [(one.name, one.n) for one in reasons] == [("quota_exceeded", 1)]
    assert [(one.name, one.n, one.refused) for one in told.people] == [("user-1", 9, 1)]


def test_the_trail_says_where_it_would_have_ended() -> None:
    row = row_of(line(sh="daily,spike_arrest"), "gateway-1")
    assert row is not None

    steps = {step.title: step for step in trail_of(record_of(row), None)}

    assert (steps["Quota"].standing, steps["Quota"].there) == ("would be refused", "daily")
    assert steps["Spike arrest"].standing == "would be refused"
    assert steps["Service"].standing == "passed"
