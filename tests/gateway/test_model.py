"""Rates, buckets, and snapshots as bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.gateway.limits_model import Rate, SpikeArrest, bucket_of
from kronborg.gateway.model import Audience, Path, PathKind, Route, Service, Snapshot
from kronborg.gateway.snapshot import digest, freeze, thaw


@given(st.integers(1, 9_999_999), st.sampled_from(["ps", "pm"]))
def test_every_rate_that_is_written_is_read_back(count: int, unit: str) -> None:
    rate = Rate.parse(f"{count}{unit}")

    assert rate is not None
    assert str(rate) == f"{count}{unit}"


@given(st.text(max_size=12))
def test_whatever_is_not_a_rate_is_not_taken_for_one(text: str) -> None:
    rate = Rate.parse(text)

    assert rate is None or (str(rate) == text and rate.per_second > 0)


@pytest.mark.parametrize("text", ["", "0ps", "5", "ps", "-5ps", "5 ps", "5ps ", "5PS", "05ps", "5ph", "٥ps", "5ps\n"])
def test_rates_are_written_one_way(text: str) -> None:
    assert Rate.parse(text) is None


@pytest.mark.parametrize(
    ("rate", "milliseconds"), [("5ps", 200), ("12pm", 5000), ("30pm", 2000), ("20ps", 50), ("7pm", 8572)]
)
def test_up_to_twenty_a_second_one_token_drips_at_the_spacing(rate: str, milliseconds: int) -> None:
    bucket = bucket_of(SpikeArrest(rate))

    assert (bucket.size, bucket.fill, bucket.every) == (1, 1, timedelta(milliseconds=milliseconds))


@given(st.integers(1, 9_999_999), st.sampled_from(["ps", "pm"]), st.integers(1, 100_000))
def test_a_bucket_never_lets_more_through_than_its_rate_and_burst(count: int, unit: str, burst: int) -> None:
    arrest = SpikeArrest(f"{count}{unit}", burst=burst)

    bucket = bucket_of(arrest)

    rate = Rate.parse(arrest.rate)
    assert rate is not None
    assert bucket.every >= timedelta(milliseconds=50)
    assert bucket.every % timedelta(milliseconds=1) == timedelta(0)
    assert bucket.fill / bucket.every.total_seconds() <= rate.per_second * (1 + 1e-9)
    assert bucket.fill / bucket.every.total_seconds() >= rate.per_second * 0.95 - 1e-9
    assert bucket.size == max(burst, bucket.fill)


kinds: st.SearchStrategy[PathKind] = st.sampled_from(["exact", "prefix"])
names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
words = st.lists(names, max_size=3, unique=True).map(tuple)
routes = st.builds(
    Route,
    name=names,
    path=st.builds(Path, kinds, names.map(lambda name: f"/{name}")),
    service=names,
    methods=st.sampled_from([(), ("GET",), ("POST", "PUT")]),
    public=st.booleans(),
    audience=st.none() | st.just("https://shop.example/a"),
    scopes=words,
    roles=words,
    spike_arrest=st.none() | st.builds(SpikeArrest, st.just("5ps"), st.integers(1, 9)),
    timeout=st.integers(1, 600_000).map(lambda number: timedelta(milliseconds=number)),
    cookies=st.booleans(),
)


@given(st.lists(routes, max_size=4, unique_by=lambda route: route.name), st.randoms())
def test_a_snapshot_thaws_as_it_was_frozen_and_order_does_not_matter(some: list[Route], random: object) -> None:
    services = (Service("b", ("http://127.0.0.1:2",), http2=True), Service("a", ("http://127.0.0.1:1",)))
    snapshot = Snapshot(
        "http://localhost:8081", services, tuple(some), (Audience("https://shop.example/a", ("x",), True),)
    )
    shuffled = list(some)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    content = freeze(snapshot)

    assert freeze(thaw(content, version=7)) == content
    assert thaw(content, version=7).version == 7
    assert set(thaw(content, version=7).routes) == set(some)
    other = Snapshot("http://localhost:8081", services[::-1], tuple(shuffled), snapshot.audiences)
    assert digest(freeze(other)) == digest(content)


def test_a_snapshot_of_an_older_version_thaws_with_what_was_so_then() -> None:
    snapshot = Snapshot("http://localhost:8081", audiences=(Audience("https://shop.example/a", ("x",)),))
    older = json.loads(freeze(snapshot))
    del older["url"]
    for name in ("name", "details_types", "readable", "bound"):
        del older["audiences"][0][name]

    thawed = thaw(json.dumps(older).encode(), version=3)

    assert thawed == replace(snapshot, version=3)
