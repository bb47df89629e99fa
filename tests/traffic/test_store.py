"""Every store behind the same questions: what is written once is there once, and counted once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kronborg.traffic.histogram_model import percentile
from kronborg.traffic.row_model import Row, record_of, row_of_record, rows_of
from kronborg.traffic.search_model import GATEWAY, TOTAL, Keeping, Search, Span, TrafficStore
from traffic.lines import NOON, line

DAY = Span(NOON - timedelta(hours=12), NOON + timedelta(hours=12))
REFUSED: dict[str, Any] = {"c": 429, "d": "local_rate_limited", "f": "RL", "us": None, "uh": None}


def rows(*lines: bytes) -> list[Row]:
    found, broken = rows_of(lines, "gateway-1")
    assert not broken
    return found


def test_a_record_comes_back_as_it_was_written(store: TrafficStore) -> None:
    written = rows(line(1))

    new = store.write(written)

    assert new == 1
    assert store.search(Search(DAY)) == written
    record = record_of(written[0])
    assert (record.at, record.client, record.service, record.decision) == (NOON, "shop-web", "things", "allowed")
    assert row_of_record(record) == written[0]


def test_what_is_read_twice_is_stored_and_counted_once(store: TrafficStore) -> None:
    first, second = rows(line(1), line(2)), rows(line(2), line(3), line(3))

    new = [store.write(batch) for batch in (first, second, first)]

    assert new == [2, 1, 0]
    assert sum(count.n for count in store.counts(DAY)) == 3
    assert sum(one.n for one in store.latencies(DAY) if one.kind == TOTAL) == 3
    assert [(one.subject, one.n) for one in store.people(DAY, limit=5)] == [("user-1", 3)]


def test_requests_of_one_microsecond_are_all_kept_however_they_collide(store: TrafficStore) -> None:
    crowd = rows(*(line(number) for number in range(1500)))

    new = store.write(crowd)
    again = store.write(crowd)

    assert (new, again) == (1500, 0)
    found = store.search(Search(Span(NOON, NOON + timedelta(seconds=1)), limit=2000))
    assert len({row[1] for row in found}) == 1500


def test_searches_find_by_every_index_and_page_by_place(store: TrafficStore) -> None:
    store.write(rows(*(line(number, after=timedelta(minutes=number)) for number in range(10))))
    store.write(rows(line(99, after=timedelta(minutes=3), k="other", u="user-2", a="2001:db8::1", **REFUSED)))

    page = store.search(Search(DAY, (("client", "shop-web"),), limit=4))
    rest = store.search(Search(DAY, (("client", "shop-web"),), before=int(page[-1][0]), limit=40))

    assert [row[1] for row in (*page, *rest)] == [f"00000000-0000-4000-8000-{n:012x}" for n in reversed(range(10))]
    for equal in (
        *(("client", "other"), ("subject", "user-2"), ("address", "2001:db8::1"), ("reason", "spike_arrest")),
        *(("decision", "refused"), ("id", f"00000000-0000-4000-8000-{99:012x}")),
    ):
        assert [row[1] for row in store.search(Search(DAY, (equal,)))] == [f"00000000-0000-4000-8000-{99:012x}"], equal
    assert len(store.search(Search(DAY, (("token", "token-1"), ("session", "session-1")), status=4))) == 1
    assert len(store.search(Search(DAY, status=429))) == 1
    assert len(store.search(Search(Span(NOON, NOON + timedelta(minutes=2)), status=2))) == 2


def test_a_search_takes_no_column_that_is_not_named(store: TrafficStore) -> None:
    with pytest.raises(ValueError, match="cannot be searched"):
        store.search(Search(DAY, (("seq) OR 1=1 --", "x"),)))


def test_counts_are_apart_by_what_is_asked_and_by_steps(store: TrafficStore) -> None:
    store.write(rows(line(1), line(2, after=timedelta(minutes=7)), line(3, r="cart", **REFUSED)))

    by_route = {
        count.keys[0]: (count.status, count.reason, count.n)
        for count in store.counts(DAY, ["route"])
        if count.keys[0] == "cart"
    }
    by_slot = sorted((count.slot, count.n) for count in store.counts(DAY, step=5) if not count.reason)

    assert by_route == {"cart": (429, "spike_arrest", 1)}
    assert [n for _, n in by_slot] == [1, 1]
    assert by_slot[1][0] - by_slot[0][0] == 1


def test_percentiles_come_from_merged_buckets(store: TrafficStore) -> None:
    for start in range(0, 100, 10):
        store.write(rows(*(line(n, du=(n + 1) * 1000, us=n * 1000 or None) for n in range(start, start + 10))))

    found = store.latencies(DAY, route="things")

    total = {one.bucket: one.n for one in found if one.kind == TOTAL}
    own = {one.bucket: one.n for one in found if one.kind == GATEWAY}
    assert percentile(total, 0.5) == pytest.approx(50, rel=0.13)
    assert percentile(total, 0.99) == pytest.approx(99, rel=0.13)
    assert percentile(own, 0.99) == pytest.approx(1, rel=0.13)
    assert store.latencies(DAY, route="none") == []


def test_old_days_go_whole_and_their_counts_stay(store: TrafficStore) -> None:
    store.write(rows(line(1), line(2, after=timedelta(days=3))))
    span = Span(NOON - timedelta(days=1), NOON + timedelta(days=9))

    gone = store.tend(Keeping(records=timedelta(days=2)), now=NOON + timedelta(days=3))

    assert gone == 1
    assert [row[1][-1] for row in store.search(Search(span)) if isinstance(row[1], str)] == ["2"]
    assert sum(count.n for count in store.counts(span)) == 2
    assert store.tend(Keeping(records=timedelta(days=2)), now=NOON + timedelta(days=3)) == 0
    store.tend(Keeping(rollups=timedelta(days=1)), now=NOON + timedelta(days=5))
    assert store.size() > 0


def test_the_oldest_days_go_first_when_all_are_too_much(store: TrafficStore) -> None:
    store.write(rows(*(line(n, after=timedelta(days=n)) for n in range(4))))

    store.tend(Keeping(records=timedelta(days=30), most_bytes=1), now=NOON + timedelta(days=3))

    span = Span(NOON - timedelta(days=1), NOON + timedelta(days=9))
    assert f"{3:012x}" in str(store.search(Search(span))[0][1])
    assert len(store.search(Search(span))) <= 2
