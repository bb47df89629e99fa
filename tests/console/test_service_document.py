"""The OpenAPI document of a service in the console: what is known of it, what it does not know, and its text."""

from __future__ import annotations

import pytest

from console.conftest import ADMIN, Console
from console.stage import stage
from console.test_gateway_publishing import ONE_DATABASE, published
from kronborg.core import clock
from kronborg.gateway.documents import set_document

pytestmark = [pytest.mark.anyio, ONE_DATABASE]

TEXT = b'{"openapi":"3.1.0","info":{"title":"Order <desk>","version":"7.1"},"paths":{"/prices":{"get":{}}}}'


async def test_a_service_shows_its_document_and_gives_it(console: Console) -> None:
    await stage(console)
    await published(console)
    ada = await console.signed_in("ada", ADMIN)

    without, none = await ada.get("/console/services/orders"), await ada.get("/console/services/orders/document")
    async with console.engine.database.write() as session:
        await set_document(session, "orders", TEXT, actor="test", now=clock.now())
    page, text = await ada.get("/console/services/orders"), await ada.get("/console/services/orders/document")

    assert "kronborg service document set" in without.text
    assert none.status_code == 404
    assert all(word in page.text for word in ("Order &lt;desk&gt;", "7.1", "Routes that it does not know"))
    unknown = page.text.partition("Routes that it does not know")[2].partition("</dd>")[0]
    assert 'href="/console/routes/orders"' in unknown
    assert text.headers["content-disposition"] == 'attachment; filename="orders-openapi.json"'
    assert text.json()["info"]["version"] == "7.1"
