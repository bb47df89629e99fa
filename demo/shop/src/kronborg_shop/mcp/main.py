"""Four tools for an assistant. There is no OAuth here: no metadata, no tokens, no keys.

The gateway lets nobody through who was not allowed to use these tools, and writes who it is into
`x-kronborg-subject`, a header that nobody outside can send.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kronborg_shop.mcp.shop import Shop, ShopIsAway
from kronborg_shop.service import ProductId

INSTRUCTIONS = """\
Sundet sells Danish design goods. Search before you name a product: products have ids like `klit-vase`.
Prices are in minor units (øre). Nothing is ordered here; people order what lies in their cart themselves."""

Words = Annotated[str, Field(max_length=100, description="words in name, maker or description; all must occur")]
Pieces = Annotated[int, Field(ge=1, le=99)]


class Product(BaseModel):
    """A product, as far as an assistant needs it."""

    id: str
    name: str
    maker: str
    category: str
    price: int
    currency: str
    description: str


class Found(BaseModel):
    """The first ten products of a search, and how many there are."""

    items: list[Product]
    total: int


class Stock(BaseModel):
    """Pieces that can be ordered now."""

    product_id: str
    available: int


class Line(BaseModel):
    """So many pieces of a product."""

    product_id: str
    quantity: int


class Cart(BaseModel):
    """What lies in the cart; no total while the price is not known."""

    items: list[Line]
    total: int | None


def build(shop: Shop) -> Starlette:
    """The server at `/mcp`: streamable HTTP, without sessions, so any replica may answer."""
    server = MCPServer("sundet", title="Sundet", instructions=INSTRUCTIONS, version="1.0.0", log_level="WARNING")
    _add_browsing(server, shop)
    _add_cart(server, shop)

    app = server.streamable_http_app(stateless_http=True, json_response=True)
    app.router.routes.append(Route("/healthz", _healthz))
    living = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with living(app):
            yield
        await shop.close()

    app.router.lifespan_context = lifespan
    return app


async def _healthz(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _add_browsing(server: MCPServer[Any], shop: Shop) -> None:
    @server.tool()
    async def search_products(words: Words = "") -> Found:
        """Search the shop's products."""
        with _told():
            return Found.model_validate_json((await shop.search(words)).content)

    @server.tool()
    async def stock(product_id: ProductId) -> Stock:
        """How many pieces of a product can be ordered now."""
        with _told():
            answer = await shop.stock(product_id)
        if answer.status_code == 404:
            raise ToolError("there is no such product")
        return Stock.model_validate_json(answer.content)


def _add_cart(server: MCPServer[Any], shop: Shop) -> None:
    async def cart_of(caller: str) -> Cart:
        found = (await shop.cart_of(caller)).json()
        items = [Line.model_validate(item) for item in found["items"]]
        return Cart(items=items, total=found["quote"]["total"] if found["quote"] else None)

    @server.tool()
    async def show_cart(context: Context) -> Cart:
        """What lies in the cart of the person you work for."""
        with _told():
            return await cart_of(_caller(context))

    @server.tool()
    async def add_to_cart(context: Context, product_id: ProductId, quantity: Pieces = 1) -> Cart:
        """Put pieces of a product into the cart of the person you work for."""
        with _told():
            answer = await shop.add(_caller(context), product_id, quantity)
            if answer.status_code == 404:
                raise ToolError("there is no such product")
            return await cart_of(_caller(context))


def _caller(context: Context) -> str:
    """Whom the assistant works for, as the gateway says."""
    subject = (context.headers or {}).get("x-kronborg-subject")
    if not subject:
        raise ToolError("this server is reached through its gateway only")
    return subject


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What went wrong, in words an assistant may repeat."""
    try:
        yield
    except ShopIsAway as away:
        raise ToolError(str(away)) from None
