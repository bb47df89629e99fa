"""The exchange endpoint and the control process around it."""

from __future__ import annotations

import asyncio
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from kronborg.gateway.exchange import ExchangeApp, Phantom, keep_secret

pytestmark = pytest.mark.anyio

SECRET = "s" * 43
KNOWN = "kro_at_known"
NOW = datetime(2026, 6, 1, tzinfo=UTC)


async def known_only(token: str, now: datetime) -> Phantom | None:
    assert now == NOW
    return Phantom("a.b.c", timedelta(seconds=59.9)) if token == KNOWN else None


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = ExchangeApp(known_only, secret=SECRET, clock=lambda: NOW)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://exchange")


async def test_a_known_token_gives_a_jwt_and_its_lifetime(client: httpx.AsyncClient) -> None:
    answer = await client.post("/exchange", content=KNOWN, headers={"x-kronborg-exchange": SECRET})

    assert (answer.status_code, answer.text, answer.headers["x-kronborg-lifetime"]) == (200, "a.b.c", "59")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("content", ["kro_at_other", "", "a.b.c", "kro_at_é", "kro_at_" + "x" * 500])
async def test_anything_else_is_no_token(client: httpx.AsyncClient, content: str) -> None:
    answer = await client.post("/exchange", content=content.encode(), headers={"x-kronborg-exchange": SECRET})

    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("secret", ["", "s" * 42, "s" * 44, "t" * 43, "S" * 43])
async def test_without_the_secret_nothing_is_said(client: httpx.AsyncClient, secret: str) -> None:
    shown = await client.post("/exchange", content=KNOWN, headers={"x-kronborg-exchange": secret})
    silent = await client.post("/exchange", content=KNOWN)
    twice = await client.post(
        "/exchange", content=KNOWN, headers=[("x-kronborg-exchange", SECRET), ("x-kronborg-exchange", secret)]
    )

    assert (shown.status_code, silent.status_code, twice.status_code) == (403, 403, 403)


async def test_only_post_to_the_one_path_is_answered(client: httpx.AsyncClient) -> None:
    headers = {"x-kronborg-exchange": SECRET}

    got = await client.get("/exchange", headers=headers)
    other = await client.post("/", content=KNOWN, headers=headers)

    assert (got.status_code, other.status_code) == (404, 404)


async def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secret"

    first, again = await asyncio.to_thread(keep_secret, path), await asyncio.to_thread(keep_secret, path)

    assert first == again
    assert len(first) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        ExchangeApp(known_only, secret="short", clock=lambda: NOW)
