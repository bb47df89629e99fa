"""The five services wired together in one process, trusting a fake issuer."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from kronborg_sdk.testing import FakeIssuer
from kronborg_shop.cart.main import build as build_cart
from kronborg_shop.cart.partners import Partners
from kronborg_shop.catalogue.main import build as build_catalogue
from kronborg_shop.delivery.main import build as build_delivery
from kronborg_shop.inventory.main import build as build_inventory
from kronborg_shop.pricing.main import build as build_pricing
from kronborg_shop.settings import Settings, audience_of

SERVICES = ("catalogue", "inventory", "pricing", "cart", "delivery")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Shop:
    """The services by name, and calls to them as a person or a machine."""

    issuer: FakeIssuer
    settings: Settings
    apps: dict[str, FastAPI]
    http: dict[str, httpx.AsyncClient]

    async def call(
        self,
        method: str,
        path: str,
        scope: str | None,
        *,
        subject: str = "astrid",
        machine: bool = False,
        audience: str | None = None,
        json: object = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """One request to the service that `path` begins with; `scope` None means no token."""
        service = path.split("/")[1].split("?")[0]
        service = "catalogue" if service == "shop" else service
        all_headers = dict(headers or {})
        if scope is not None:
            token = self.issuer.token(
                audience=audience or audience_of(service),
                scopes=scope.split(),
                subject="shop-batch" if machine else subject,
                client_id="shop-batch" if machine else "shop-web",
            )
            all_headers["Authorization"] = f"Bearer {token}"
        return await self.http[service].request(method, path, json=json, headers=all_headers)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    issuer = FakeIssuer()
    settings = Settings(issuer=issuer.issuer, folder=tmp_path, client_id="shop-cart")
    apps = {
        "catalogue": build_catalogue(settings, issuer.verifier(audience_of("catalogue"))),
        "inventory": build_inventory(settings, issuer.verifier(audience_of("inventory"))),
        "pricing": build_pricing(settings, issuer.verifier(audience_of("pricing"))),
        "delivery": build_delivery(settings, issuer.verifier(audience_of("delivery"))),
    }

    def partner(service: str, scope: str) -> httpx.AsyncClient:
        auth = issuer.client_credentials("shop-cart", scope=scope, resource=audience_of(service))
        return httpx.AsyncClient(transport=httpx.ASGITransport(apps[service]), base_url=f"http://{service}", auth=auth)

    partners = Partners(
        pricing=partner("pricing", "pricing:read"),
        inventory=partner("inventory", "inventory:write"),
        delivery=partner("delivery", "delivery:write"),
    )
    apps["cart"] = build_cart(settings, issuer.verifier(audience_of("cart")), partners)
    async with AsyncExitStack() as stack:
        http = {
            name: await stack.enter_async_context(
                httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{name}")
            )
            for name, app in apps.items()
        }
        stack.push_async_callback(partners.close)
        yield Shop(issuer, settings, apps, http)
        for app in apps.values():
            if hasattr(app.state, "database"):
                app.state.database.close()
