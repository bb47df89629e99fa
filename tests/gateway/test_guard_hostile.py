"""Contents that are made to cost: whoever sends them is refused, and nobody else waits for it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path as FilePath
from typing import Any

import anyio
import pytest

from gateway.guarding import compiled, described
from kronborg.core.errors import Invalid
from kronborg.gateway.access_model import AudienceMapping, TokenIssuer
from kronborg.gateway.content_model import Content, JsonBounds
from kronborg.gateway.documents_check import Sent, check
from kronborg.gateway.documents_model import Described
from kronborg.gateway.guard import Asked, permits
from kronborg.gateway.guard import look as look_into
from kronborg.gateway.guard_workers import NotReady, TookTooLong, Workers
from kronborg.gateway.model import Path, Route

ROUTE = Route("shop", Path("prefix", "/x"), "shop", public=True, content=Content(validate="enforce"))
# Envoy waits for two seconds; a machine under load is slow by itself.
SOON = 1.0


def posting(schema: dict[str, Any]) -> bytes:
    body = {"content": {"application/json": {"schema": schema}}}
    paths = {"/x": {"post": {"requestBody": body}}}
    return json.dumps({"openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "paths": paths}).encode()


def sent(value: object) -> Sent:
    content = json.dumps(value, separators=(",", ":")).encode()
    return Sent("POST", "/x", "", {"content-type": ("application/json",)}, content)


def one_of(count: int) -> dict[str, Any]:
    return {"items": {"items": {"oneOf": [{"type": "object", "required": [f"a{n}"]} for n in range(count)]}}}


PLAIN = described(posting({"type": "array"}))
# What no bound on the body alone would tell: ninety thousand items, each of which fits only the last of many schemas.
COSTLY = described(
    posting({"items": {"items": {"anyOf": [{"enum": [f"x{n}-{m}" for m in range(20)]} for n in range(1900)]}}})
)
ITEMS = sent([["x1899-19"] * 10_000] * 9)


@pytest.fixture
def workers() -> Workers:
    return Workers(seconds=SOON)


async def look(workers: Workers, document: Described, request: Sent) -> str:
    return (await workers.look(ROUTE, request, document)).reason


def kill_children() -> None:
    """End the processes that look into contents for this one."""
    for task in FilePath(f"/proc/{os.getpid()}/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"guard_worker" in FilePath(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)


@pytest.mark.anyio
async def test_a_body_that_takes_too_long_is_given_up_and_the_loop_goes_on_meanwhile(workers: Workers) -> None:
    assert await look(workers, PLAIN, sent([])) == ""
    ended: list[float] = []
    ticks = 0

    async def costly() -> None:
        with pytest.raises(TookTooLong):
            await workers.look(ROUTE, ITEMS, COSTLY)
        ended.append(time.monotonic())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(costly)
        while not ended:
            # The loop goes on, and with it whoever asks for something else.
            await anyio.sleep(0.01)
            ticks += 1

    assert ticks > 3
    assert await look(workers, PLAIN, sent({})) == "invalid_body"


@pytest.mark.anyio
async def test_a_process_that_dies_is_a_refusal_and_another_takes_its_place(workers: Workers) -> None:
    assert await look(workers, PLAIN, sent([])) == ""
    kill_children()

    with pytest.raises(TookTooLong):
        await workers.look(ROUTE, sent([]), PLAIN)

    assert await look(workers, PLAIN, sent([])) == ""


@pytest.mark.anyio
async def test_a_document_that_does_not_stand_closes_the_route_and_costs_no_process(workers: Workers) -> None:
    broken = Described("none", posting({"pattern": "(?=a)"}))

    with pytest.raises(NotReady):
        await workers.look(ROUTE, sent([]), broken)

    assert await look(workers, PLAIN, sent([])) == ""


def test_what_fits_nothing_is_told_by_its_first_error_alone() -> None:
    found = compiled(posting(one_of(20)))

    began = time.process_time()
    wrong = check(found, sent([[0] * 10_000] * 5), JsonBounds())
    took = time.process_time() - began

    assert [(one.reason, one.pointer) for one in wrong] == [("invalid_body", "/0/0")]
    assert took < 2  # it was half a minute
    assert len(check(found, sent([[0] * 50]), JsonBounds())) == 5


@pytest.mark.parametrize("pattern", ["(?=a)b", "(a)\\1", "(?<=a)b", "(?>a+)b", "(?:a{1000}){1000}"])
def test_a_pattern_that_could_take_more_than_linear_time_is_refused_when_the_document_comes(pattern: str) -> None:
    with pytest.raises(Invalid):
        compiled(posting({"type": "string", "pattern": pattern}))


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(x+x+)+y", "^([ab]*a[ab]{500}c)$", "^(a|aa)+$"])
def test_patterns_that_blow_up_elsewhere_take_linear_time(pattern: str) -> None:
    found = compiled(posting({"items": {"type": "string", "pattern": pattern}}))

    began = time.process_time()
    check(found, sent(["a" * 65_000 + "!"] * 10), JsonBounds())

    assert time.process_time() - began < 2


CALLER = 'permit(principal == Subject::"root", action, resource) when { context.claims.level + 1 == 5 };'


@pytest.mark.parametrize(
    ("issuer", "fine"),
    [("https://id.example", True), ("https://partner.example", False), ("https://gone.example", False)],
)
def test_a_token_of_an_issuer_that_is_no_more_speaks_for_nobody_of_ours(issuer: str, fine: bool) -> None:
    route = Route("shop", Path("prefix", "/x"), "shop", audience="https://api.example", policy=CALLER)
    partner = TokenIssuer("partner", "https://partner.example", (AudienceMapping("https://api.example", "api"),))
    asked = Asked(sent([]), {"iss": issuer, "sub": "root", "client_id": "shop", "level": 4})

    assert permits(route, asked, (partner,), "https://id.example") is fine


@pytest.mark.parametrize(
    "more", ["charset=utf-8; charset=utf-16", 'x="charset=utf-8"; charset=utf-7', "charset='utf-16'"]
)
@pytest.mark.spec("RFC 8259 §8.1")
def test_rfc8259_8_1__a_body_is_in_one_charset_and_that_is_utf8(more: str) -> None:
    request = Sent("POST", "/x", "", {"content-type": (f"application/json; {more}",)}, b"[]")

    assert look_into(ROUTE, request, compiled(posting({"type": "array"}))).reason == "wrong_media_type"
