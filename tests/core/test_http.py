"""The HTTP edge: ids, headers, bounded bodies, problems, health, redaction."""

from __future__ import annotations

import io
import json
import logging

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kronborg.core.db import Database
from kronborg.core.health import health_routes
from kronborg.core.http import Edge, LimitBody, bug_problem
from kronborg.core.log import configure, get_logger

pytestmark = pytest.mark.anyio


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def bug(_request: Request) -> Response:
    raise RuntimeError("kro_at_abcdefghijklmnop")


def client(*routes: Route, secure: bool = False) -> httpx.AsyncClient:
    app = Starlette(
        routes=[Route("/echo", echo, methods=["POST"]), Route("/bug", bug), *routes],
        exception_handlers={Exception: bug_problem},
    )
    edge = Edge(LimitBody(app, limit=1000), secure=secure)
    return httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://test")


async def test_each_answer_carries_a_request_id_and_security_headers() -> None:
    async with client() as http:
        answer = await http.post("/echo", content=b"abc")

    assert answer.text == "3"
    assert len(answer.headers["x-request-id"]) == 25
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "strict-transport-security" not in answer.headers


async def test_a_well_formed_request_id_is_kept_and_another_is_replaced() -> None:
    async with client(secure=True) as http:
        kept = await http.post("/echo", headers={"x-request-id": "gateway-00000001"})
        replaced = await http.post("/echo", headers={"x-request-id": "<script>alert(1)</script>"})

    assert kept.headers["x-request-id"] == "gateway-00000001"
    assert "script" not in replaced.headers["x-request-id"]
    assert "strict-transport-security" in kept.headers


async def test_a_body_above_the_limit_is_refused_declared_or_not() -> None:
    async def chunks() -> object:
        for _ in range(3):
            yield b"x" * 500

    async with client() as http:
        declared = await http.post("/echo", content=b"x" * 1001)
        chunked = await http.post("/echo", content=chunks())  # type: ignore[arg-type]

    assert (declared.status_code, chunked.status_code) == (413, 413)


async def test_a_bug_is_a_problem_without_detail() -> None:
    async with client() as http:
        answer = await http.get("/bug")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "kro_at" not in answer.text


async def test_health_and_metrics(database: Database) -> None:
    async with client(*health_routes(database)) as http:
        answers = [await http.get(path) for path in ("/healthz", "/readyz", "/metrics")]

    assert [a.status_code for a in answers] == [200, 200, 200]
    assert "kronborg_http_requests_total" in answers[2].text


async def test_metrics_are_for_this_machine_only(database: Database) -> None:
    app = Starlette(routes=health_routes(database))
    elsewhere = httpx.ASGITransport(app, client=("192.0.2.7", 5000))
    async with client(*health_routes(database)) as here, httpx.AsyncClient(transport=elsewhere) as there:
        answers = [
            await here.get("/metrics"),
            await here.get("/metrics", headers={"x-forwarded-for": "192.0.2.7"}),
            await there.get("http://test/metrics"),
        ]

    assert [answer.status_code for answer in answers] == [200, 404, 404]


def test_logs_are_one_json_line_without_secrets() -> None:
    stream = io.StringIO()
    kept = logging.getLogger().handlers[:]
    configure("test", stream=stream)

    get_logger("t").info(
        "seen\nline",
        client_secret="hunter2",
        note="Bearer abc.def",
        nested={"password": "x"},
        token_count="kro_at_abcdefghijkl",
    )

    logging.getLogger().handlers[:] = kept
    [line] = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record["event"] == "seen\nline"
    assert record["client_secret"] == record["nested"]["password"] == "[redacted]"
    for secret in ("hunter2", "abc.def", "abcdefghijkl"):
        assert secret not in line
