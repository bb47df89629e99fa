"""Expressions of who writes a route, texts of who calls it: none of the two keeps Kronborg busy."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.conftest import open_admin
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.gateway.documents import checked
from kronborg.gateway.documents_compile import compile_document
from kronborg.gateway.documents_paths import PLACE, shape_of
from kronborg.gateway.linear import matcher
from kronborg.gateway.model import Path, Route, Service, Snapshot
from kronborg.gateway.publish import publish
from kronborg.gateway.traffic_model import Condition

NESTED = "/([a-z]+)+x"
"""Python's own engine needs two to the power of the letters for a path that does not fit."""


@contextmanager
def soon() -> Iterator[None]:
    begun = time.process_time()
    yield
    assert time.process_time() - begun < 5


@pytest.mark.anyio
async def test_a_path_that_repeats_what_repeats_does_not_hold_the_admin_api_up(
    database: Database, vault: Vault, now: datetime
) -> None:
    admin = await open_admin(database, vault)
    routes = (
        Route("nested", Path("regex", NESTED), "echo", public=True),
        Route(
            "asked",
            Path("prefix", "/asked"),
            "echo",
            public=True,
            headers=(Condition("x-requested-with", regex="([a-z]+)+1"),),
        ),
    )
    snapshot = Snapshot("http://localhost:8081", (Service("echo", ("http://127.0.0.1:9",)),), routes)
    async with admin.database.write() as session:
        await publish(session, snapshot, author="t", now=now)
    long = "a" * 3000

    with soon():
        one = await admin.http.post("/api/simulate", json={"url": f"/{long}"}, headers=admin.read)
        fits = await admin.http.post("/api/simulate", json={"url": f"/{long}x"}, headers=admin.read)
        two = await admin.http.post(
            "/api/simulate", json={"url": "/asked", "headers": {"x-requested-with": long}}, headers=admin.read
        )

    await admin.http.aclose()
    assert (one.json()["reason"], fits.json()["route"], two.json()["ending"]) == ("no_route", "nested", "refused")


def test_the_places_of_a_document_are_found_in_one_pass() -> None:
    parameters = [{"name": one, "in": "path", "required": True, "schema": {"type": "string"}} for one in "abcd"]
    paths = {"/x/{a}-{b}-{c}-{d}y": {"get": {"parameters": parameters}}}
    document = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths}
    compiled = compile_document(orjson.loads(checked(orjson.dumps(document)).content))

    with soon():
        strange, _ = compiled.find("/x/" + "-" * 60_000 + "z")
        known, places = compiled.find("/x/1-2-3-4y")

    assert not strange
    assert set(known) == {"GET"}
    assert places == {"a": "1", "b": "2", "c": "3", "d": "4"}


@given(st.text("ab-./", max_size=12), st.lists(st.sampled_from(["{a}", "{b}", "{c}", "a", "-", "/", "."]), max_size=6))
def test_places_stand_where_an_expression_finds_them(text: str, parts: list[str]) -> None:
    template, path = "/" + "".join(parts), "/" + text
    expression = "([^/]+)".join(re.escape(part) for part in PLACE.split(template)[::2])

    found = shape_of(template).read(path)

    told = re.fullmatch(expression, path)
    assert found == (None if told is None else dict(zip(PLACE.findall(template), told.groups(), strict=True)))


@pytest.mark.parametrize(
    ("regex", "text", "fits"),
    [
        (r"\d+", "12", True),
        (r"\d+", "١", False),
        (r"\w", "é", False),
        ("a", "a\n", False),
        (".", "\n", False),
        ("(?i)abc", "ABC", True),
        ("a|b", "ab", False),
        ("[^/]+", "\ud800", False),
        (r"\Qa.b\E", "a.b", False),
    ],
)
def test_expressions_mean_what_they_mean_at_the_proxy(regex: str, text: str, fits: bool) -> None:
    assert matcher(regex)(text) is fits


def test_with_lines_a_dot_is_everything() -> None:
    assert matcher("/a.*", lines=True)("/a\nb")
