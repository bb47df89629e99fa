"""The other services, as the cart calls them: with tokens of its own, one audience each."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from kronborg_sdk import TokenRequestFailed
from kronborg_shop.cart.model import Booking, Item, Order, Quote
from kronborg_shop.service import Problem
from kronborg_shop.settings import Settings

TIMEOUT = httpx.Timeout(5.0)


@dataclass(frozen=True, slots=True)
class Partners:
    """One HTTP client per service; each adds the token for that service only."""

    pricing: httpx.AsyncClient
    inventory: httpx.AsyncClient
    delivery: httpx.AsyncClient

    @classmethod
    def from_settings(cls, settings: Settings) -> "Partners":
        """Clients that authenticate by client credentials."""

        def client(service: str, url: str, scope: str) -> httpx.AsyncClient:
            return httpx.AsyncClient(base_url=url, auth=settings.credentials(service, scope), timeout=TIMEOUT)

        return cls(
            pricing=client("pricing", settings.pricing_url, "pricing:read"),
            inventory=client("inventory", settings.inventory_url, "inventory:write"),
            delivery=client("delivery", settings.delivery_url, "delivery:write"),
        )

    async def close(self) -> None:
        """Close all connections."""
        for http in (self.pricing, self.inventory, self.delivery):
            await http.aclose()

    async def quote(self, items: list[Item], code: str) -> Quote:
        """What `items` cost."""
        body = {"lines": [item.model_dump() for item in items], "code": code}
        answer = await _call(self.pricing, "POST", "/pricing/quotes", body)
        return Quote.model_validate_json(answer.content)

    async def reserve(self, order_id: str, items: list[Item]) -> None:
        """Hold the pieces. Raises the inventory's 409 when some are missing."""
        body = {"order_id": order_id, "lines": [item.model_dump() for item in items]}
        await _call(self.inventory, "POST", "/inventory/reservations", body)

    async def confirm(self, order_id: str) -> None:
        """Keep the pieces for good."""
        await _call(self.inventory, "POST", f"/inventory/reservations/{order_id}/confirm")

    async def release(self, order_id: str) -> None:
        """Give the pieces back; a reservation that never came about is fine."""
        await _call(self.inventory, "DELETE", f"/inventory/reservations/{order_id}", missing_is_fine=True)

    async def book(self, order_id: str, owner: str, order: Order) -> Booking:
        """Book the delivery. Raises the delivery service's 409 when the slot is full."""
        body = {
            "order_id": order_id,
            "slot_id": order.slot_id,
            "recipient": owner,
            "name": order.name,
            "address": order.address,
        }
        answer = await _call(self.delivery, "POST", "/delivery/deliveries", body)
        return Booking.model_validate_json(answer.content)

    async def cancel(self, order_id: str) -> None:
        """Cancel the delivery; one that never came about is fine."""
        await _call(self.delivery, "DELETE", f"/delivery/deliveries/{order_id}", missing_is_fine=True)


async def _call(
    http: httpx.AsyncClient,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    missing_is_fine: bool = False,
) -> httpx.Response:
    """One call. Refusals the customer can do something about are passed on; all else is a 503."""
    try:
        answer = await http.request(method, path, json=body)
    except (httpx.HTTPError, TokenRequestFailed):
        raise Problem(503, "Temporarily unavailable", "a service this needs does not answer") from None
    if answer.is_success or (answer.status_code == 404 and missing_is_fine):
        return answer
    if answer.status_code in (409, 422):
        problem = answer.json()
        missing = {"missing": problem["missing"]} if "missing" in problem else {}
        raise Problem(answer.status_code, problem["title"], problem.get("detail", ""), more=missing)
    raise Problem(503, "Temporarily unavailable", "a service this needs refused to work")
