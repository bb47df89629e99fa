"""What the control process tells Prometheus of a live gateway, and the dashboard that is made of it."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path as FilePath

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette

import kronborg.control  # its metrics are on the dashboard
from gateway.live import Live
from kronborg.core.db import Database
from kronborg.core.health import health_routes
from kronborg.gateway.model import Path, Route
from kronborg.traffic.follow import follow_traffic
from kronborg.traffic.metrics import MOST_NAMES, GatewayMetrics
from kronborg.traffic.row_model import rows_of
from kronborg.traffic.search_model import Keeping
from kronborg.traffic.sqlite_store import SqliteTraffic
from traffic.lines import line

DASHBOARD = FilePath(__file__).parents[2] / "deploy" / "grafana" / "gateway.json"
NAME = re.compile(r"\bkronborg_[a-z_]+\b")


@pytest.mark.anyio
async def test_every_metric_of_the_dashboard_is_in_a_live_scrape(
    gateway: Live, tmp_path: FilePath, sqlite_template: FilePath
) -> None:
    await asyncio.to_thread(gateway.publish, Route("open", Path("prefix", "/open"), "echo", public=True))
    await asyncio.to_thread(gateway.get, "/open/scraped")
    database = await Database.open(f"sqlite:///{sqlite_template}")
    kronborg.control.delivered_version.labels("gateway-1", "acked").set(1)
    stop, store = asyncio.Event(), SqliteTraffic(tmp_path / "traffic")
    transport = httpx.ASGITransport(Starlette(routes=health_routes(database)), client=("127.0.0.1", 1))
    http = httpx.AsyncClient(transport=transport, base_url="http://localhost", trust_env=False)

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(follow_traffic(gateway.proxy, store, Keeping(), clock=lambda: datetime.now(UTC), stop=stop))
        scrape = ""
        while 'route="open"' not in scrape:
            await asyncio.sleep(0.05)
            scrape = (await http.get("/metrics")).text
        stop.set()
    await http.aclose()
    await database.close()

    wanted = {name for text in _expressions(json.loads(DASHBOARD.read_text())) for name in NAME.findall(text)}
    found = {text.split("{")[0].split(" ")[0] for text in scrape.splitlines() if not text.startswith("#")}
    assert wanted
    assert wanted <= found, wanted - found


def test_names_are_bounded() -> None:
    metrics, registry = GatewayMetrics("g"), CollectorRegistry()
    registry.register(metrics)

    metrics.add(rows_of((line(n, k=f"client-{n}") for n in range(MOST_NAMES * 2)), "g")[0])

    text = generate_latest(registry).decode()
    assert text.count("kronborg_gateway_requests_total{") == MOST_NAMES + 1
    assert f'client="other",node="g",reason="",route="things",status="200"}} {MOST_NAMES}.0' in text
    assert 'kronborg_gateway_request_seconds_bucket{le="0.0025",node="g",part="total",route="things"} 600.0' in text


def _expressions(value: object) -> list[str]:
    if isinstance(value, dict):
        here = [value[key] for key in ("expr", "query") if isinstance(value.get(key), str)]
        return here + [text for part in value.values() for text in _expressions(part)]
    return [text for part in value for text in _expressions(part)] if isinstance(value, list) else []


def test_what_a_limit_in_shadow_would_refuse_is_counted() -> None:
    metrics = GatewayMetrics("gateway-1")
    rows, _ = rows_of([line(1), line(2, sh="spike_arrest"), line(3, sh="monthly")], "gateway-1")

    metrics.add(rows)
    registry = CollectorRegistry()
    registry.register(metrics)

    told = generate_latest(registry).decode()
    for limit in ("spike_arrest", "monthly"):
        assert f'kronborg_gateway_shadow_refusals_total{{limit="{limit}",node="gateway-1",route="things"}} 1.0' in told
