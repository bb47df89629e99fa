"""The shop's services as the tools call them: through the gateway, with tokens of this process itself."""

from dataclasses import dataclass

import httpx

from kronborg_sdk import TokenRequestFailed
from kronborg_shop.settings import Settings

TIMEOUT = httpx.Timeout(5.0)


class ShopIsAway(Exception):
    """What an assistant is told when a call does not succeed."""


@dataclass(frozen=True, slots=True)
class Shop:
    """One HTTP client per service; each adds the token for that service only."""

    catalogue: httpx.AsyncClient
    inventory: httpx.AsyncClient
    cart: httpx.AsyncClient

    @classmethod
    def from_settings(cls, settings: Settings) -> "Shop":
        """Clients that authenticate by client credentials."""

        def client(service: str, scope: str) -> httpx.AsyncClient:
            auth = settings.credentials(service, scope)
            return httpx.AsyncClient(base_url=settings.gateway_url, auth=auth, timeout=TIMEOUT)

        return cls(
            catalogue=client("catalogue", "catalogue:read"),
            inventory=client("inventory", "inventory:read"),
            cart=client("cart", "cart:assist"),
        )

    async def close(self) -> None:
        """Close all connections."""
        for http in (self.catalogue, self.inventory, self.cart):
            await http.aclose()

    async def search(self, words: str) -> httpx.Response:
        """Products that have all the words."""
        return await _call(self.catalogue, "GET", "/catalogue/products", params={"q": words, "limit": "10"})

    async def stock(self, product_id: str) -> httpx.Response:
        """Pieces of one product. 404 when there is no such product."""
        return await _call(self.inventory, "GET", f"/inventory/stock/{product_id}")

    async def cart_of(self, owner: str) -> httpx.Response:
        """What lies in somebody's cart, and its price."""
        return await _call(self.cart, "GET", f"/cart/of/{owner}/items")

    async def add(self, owner: str, product_id: str, quantity: int) -> httpx.Response:
        """Put pieces into somebody's cart. 404 when there is no such product."""
        body: dict[str, str | int] = {"product_id": product_id, "quantity": quantity}
        return await _call(self.cart, "POST", f"/cart/of/{owner}/items", json=body)


async def _call(
    http: httpx.AsyncClient,
    method: str,
    path: str,
    *,
    params: dict[str, str] | None = None,
    json: dict[str, str | int] | None = None,
) -> httpx.Response:
    """One call. Raises `ShopIsAway` for everything but success and 404."""
    try:
        answer = await http.request(method, path, params=params, json=json)
    except (httpx.HTTPError, TokenRequestFailed):
        raise ShopIsAway("the shop does not answer right now") from None
    if answer.is_success or answer.status_code == 404:
        return answer
    raise ShopIsAway("the shop could not do this")
