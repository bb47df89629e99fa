"""The forms of routes and services: limits, CORS, endpoints and failures without a line of YAML."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.conftest import ADMIN, Console
from console.stage import stage
from console.test_gateway_publishing import FORM, ONE_DATABASE, ROUTE, post, published
from kronborg.core import clock
from kronborg.gateway.drafts_store import find_change
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Cors, Route
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.resilience_model import Breaker, Fallback, HealthCheck
from kronborg.gateway.route_form import route_values
from kronborg.gateway.routing import save_route
from kronborg.gateway.store import find_route, find_service, latest_version
from kronborg.gateway.traffic_model import HeaderEdits, HeaderLine
from people_site import Visitor

pytestmark = [pytest.mark.anyio, ONE_DATABASE]

LIMITS = {
    "spike_arrest": "1",
    "spike_arrest.rate": "12pm",
    "spike_arrest.per": "address",
    "spike_arrest.effect": "shadow",
    "quotas.0": "1",
    "quotas.0.name": "daily",
    "quotas.0.count": "1000",
    "quotas.0.unit": "day",
    "quotas.0.per": "address",
    "cors": "1",
    "cors.origins": "https://shop.example\r\nhttps://*.shop.example",
    "cors.credentials": "1",
    "sizes": "1",
    "sizes.target": "2KiB",
}


@pytest.fixture
async def ada(console: Console) -> Visitor:
    await stage(console)
    await published(console)
    return await console.signed_in("ada", ADMIN)


async def test_limits_and_cors_are_told_by_inputs(console: Console, ada: Visitor) -> None:
    made = await post(ada, "/console/routes/-/new", **FORM, **LIMITS)
    shown = await ada.get("/console/routes/items/edit")

    async with console.engine.database.read() as session:
        route = await find_route(session, "items")
    assert made == (303, "/console/routes/items?done=saved")
    assert route is not None
    assert route.spike_arrest == SpikeArrest("12pm", per="address", effect="shadow")
    assert [(one.name, one.count, one.unit) for one in route.quotas] == [("daily", 1000, "day")]
    assert route.cors == Cors(("https://shop.example", "https://*.shop.example"), credentials=True)
    assert 'name="quotas.1"' in shown.text
    assert 'value="12pm"' in shown.text


async def test_what_no_input_shows_stays_when_a_form_is_saved(console: Console, ada: Visitor) -> None:
    edits = HeaderEdits(set=(HeaderLine("x-shop", "a"),))
    async with console.engine.database.write() as session:
        await save_route(session, _with(edits), actor="test", now=clock.now())
        await publish_declared(
            session, issuer=console.engine.issuer, gateway_url="http://localhost:8080", author="test", now=clock.now()
        )
    values = route_values(_with(edits)) | {"timeout": "3s"}

    saved = await post(
        ada, "/console/routes/orders/edit", **{name: one for name, one in values.items() if name != "name"}
    )

    async with console.engine.database.read() as session:
        route = await find_route(session, "orders")
    assert saved[0] == 303
    assert route is not None
    assert (route.response_headers, route.scopes, route.timeout.total_seconds()) == (edits, ROUTE.scopes, 3.0)


WRONG: tuple[tuple[dict[str, str], str, str], ...] = (
    ({"spike_arrest.rate": "fast"}, "spike_arrest.rate", "is not a rate: write 5ps or 12pm"),
    ({"cors.origins": "shop"}, "cors.origins", "is not an origin"),
    ({"quotas.0.window": "calendar"}, "quotas.0.start", "goes with `window: calendar`"),
    ({"sizes.target": "large"}, "sizes.target", "is not a size"),
    ({"quotas.1.name": "unticked"}, "quotas.1", "is filled in, but not ticked"),
)


@pytest.mark.parametrize(("changed", "field", "said"), WRONG)
async def test_what_is_wrong_stands_at_its_input_and_nothing_typed_is_lost(
    console: Console, ada: Visitor, changed: dict[str, str], field: str, said: str
) -> None:
    status, page = await post(ada, "/console/routes/-/new", **{**FORM, **LIMITS, **changed})

    told = page.partition(f'id="{field}-error">')[2].partition("</p>")[0]
    assert status == 422
    assert said.lower() in told.lower()
    assert all(f'value="{one}"' in page for one in ("daily", "1000"))
    assert next(iter(changed.values())) in page
    assert page.count('<details class="fold" open>') == 1
    assert await latest_version(console.engine.database) == 1


async def test_a_service_says_what_happens_when_it_fails(console: Console, ada: Visitor) -> None:
    form = {
        "urls": "http://127.0.0.1:9001",
        "health_check": "1",
        "health_check.statuses": "200 204",
        "health_check.every": "10s",
        "breaker": "1",
        "breaker.error_rate": "30",
        "breaker.slow_after": "800ms",
        "fallback": "1",
        "fallback.status": "503",
        "fallback.body": '{"title": "back soon"}',
        "bounds.requests": "100",
    }

    saved = await post(ada, "/console/services/orders/edit", **form)
    again = await ada.get("/console/services/orders/edit")

    async with console.engine.database.read() as session:
        service = await find_service(session, "orders")
    assert saved[0] == 303
    assert service is not None
    assert service.health_check is not None
    assert service.health_check.statuses == HealthCheck(statuses=(200, 204)).statuses
    assert service.breaker is not None
    assert (service.breaker.error_rate, service.breaker.probes) == (30, Breaker().probes)
    assert service.fallback == Fallback(status=503, body='{"title": "back soon"}')
    assert (service.bounds.requests, service.bounds.pending) == (100, 1024)
    assert 'value="800ms"' in again.text


async def test_inputs_change_a_draft_and_its_difference_shows_them(console: Console, ada: Visitor) -> None:
    await post(ada, "/console/publishing/drafts/-/new", name="autumn")
    values = {name: one for name, one in route_values(ROUTE).items() if name != "name"}

    saved = await post(
        ada,
        "/console/routes/orders/edit",
        **values,
        **{"spike_arrest": "1", "spike_arrest.rate": "5ps"},
        draft="autumn",
    )
    draft = await ada.get("/console/publishing/drafts/autumn")
    form = await ada.get("/console/routes/orders/edit?draft=autumn")

    async with console.engine.database.read() as session:
        held = await find_change(session, "autumn", "route", "orders")
    assert saved == (303, "/console/publishing/drafts/autumn")
    assert held is not None
    assert "spike_arrest.rate" in draft.text
    assert 'value="5ps"' in form.text


def _with(edits: HeaderEdits) -> Route:
    return replace(ROUTE, response_headers=edits)
