"""The wish list's pages: connect, wish, put into the shop's cart, disconnect. Works without JavaScript."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool

from kronborg_shop.database import Database
from kronborg_shop.settings import Settings
from kronborg_shop.wish_list.connect import (
    ConnectFailed,
    Connection,
    Connector,
    Disconnected,
    Pending,
    Unreachable,
)
from kronborg_shop.wish_list.visits import Visit, Visits

FOLDER = Path(__file__).parent
MAX_FORM = 4096
ENDED = "The shop says that this connection has ended. Connect again to go on; your wishes are kept."
AWAY = "The shop does not answer right now. Please try again in a moment."

SCHEMA = """
CREATE TABLE IF NOT EXISTS wishes (
    owner TEXT NOT NULL, product_id TEXT NOT NULL, PRIMARY KEY (owner, product_id)
) STRICT
"""

Product = dict[str, object]
Action = Callable[[Visit, dict[str, str]], Awaitable[Response]]


class Wishes:
    """Who wishes for what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, owner: str) -> list[str]:
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT product_id FROM wishes WHERE owner = ? ORDER BY rowid", (owner,))
            return [row["product_id"] for row in rows]

    def add(self, owner: str, product_id: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO wishes VALUES (?, ?)", (owner, product_id))

    def remove(self, owner: str, product_id: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM wishes WHERE owner = ? AND product_id = ?", (owner, product_id))


class WishList:
    """The application's handlers."""

    def __init__(self, settings: Settings, public_url: str, http: httpx.AsyncClient, database: Database) -> None:
        self._settings = settings
        self._connector = Connector(settings, f"{public_url}/callback", http)
        self._wishes = Wishes(database)
        self._visits = Visits(secure=public_url.startswith("https://"))
        self._pages = Environment(
            loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined
        )
        gateway, issuer = _origin(settings.gateway_url), _origin(settings.issuer)
        self._policy = (
            f"default-src 'none'; style-src 'self'; img-src 'self' {gateway}; base-uri 'none'; "
            f"form-action 'self' {issuer}; frame-ancestors 'none'"
        )

    async def home(self, request: Request) -> Response:
        visit = self._visits.of(request)
        products: list[Product] = []
        wished: list[str] = []
        words = request.query_params.get("q", "")[:100]
        if visit.connection is not None:
            try:
                await self._connector.confirm(visit.connection)
                products = await self._products(visit.connection)
                wished = await run_in_threadpool(self._wishes.of, visit.connection.subject)
            except Disconnected:
                visit.connection, visit.note = None, ENDED
            except Unreachable:
                visit.note = AWAY
        return self._page(visit, products, wished, words)

    async def connect(self, request: Request) -> Response:
        async def act(visit: Visit, form: dict[str, str]) -> Response:
            visit.pending = Pending()
            return RedirectResponse(self._connector.address(visit.pending), 303)

        return await self._on_form(request, act)

    async def callback(self, request: Request) -> Response:
        visit = self._visits.of(request)
        pending, visit.pending = visit.pending, None
        try:
            visit.connection = await self._connector.finish(pending, dict(request.query_params))
            visit.note = ""
            visit = self._visits.renew(visit)
        except ConnectFailed as failure:
            visit.note = failure.reason
        except Unreachable:
            visit.note = AWAY
        # Away from the address that holds the code.
        return self._visits.remember(visit, RedirectResponse("/", 303))

    async def wish(self, request: Request) -> Response:
        async def act(visit: Visit, form: dict[str, str]) -> Response:
            connection = self._connection(visit)
            answer = await self._connector.call(connection, "GET", "/catalogue/products?limit=100")
            known = {item["id"] for item in answer.json()["items"]} if answer.status_code == 200 else set()
            if form.get("product_id") in known:
                await run_in_threadpool(self._wishes.add, connection.subject, form["product_id"])
            return RedirectResponse("/", 303)

        return await self._on_form(request, act)

    async def unwish(self, request: Request) -> Response:
        async def act(visit: Visit, form: dict[str, str]) -> Response:
            connection = self._connection(visit)
            await run_in_threadpool(self._wishes.remove, connection.subject, form.get("product_id", ""))
            return RedirectResponse("/", 303)

        return await self._on_form(request, act)

    async def to_cart(self, request: Request) -> Response:
        async def act(visit: Visit, form: dict[str, str]) -> Response:
            body: dict[str, object] = {"product_id": form.get("product_id", ""), "quantity": 1}
            answer = await self._connector.call(self._connection(visit), "POST", "/cart/items", body)
            visit.note = {
                204: "It is in your cart at the shop now.",
                403: "You did not allow this app to use your cart.",
                429: "That was a little fast. Please wait a moment.",
            }.get(answer.status_code, AWAY)
            return RedirectResponse("/", 303)

        return await self._on_form(request, act)

    async def disconnect(self, request: Request) -> Response:
        async def act(visit: Visit, form: dict[str, str]) -> Response:
            if visit.connection is not None:
                await self._connector.disconnect(visit.connection)
            visit.connection, visit.note = None, "Disconnected. Your wishes are kept for next time."
            return RedirectResponse("/", 303)

        return await self._on_form(request, act)

    async def _on_form(self, request: Request, act: Action) -> Response:
        """Run `act` for a form of this session, and turn an ended connection into a note."""
        visit = self._visits.of(request)
        form = await _read_form(request)
        if form is None or not visit.is_own_form(form.get("csrf", "")):
            visit.note = "That form was too old. Please try again."
            return self._visits.remember(visit, RedirectResponse("/", 303))
        try:
            response = await act(visit, form)
        except Disconnected:
            visit.connection, visit.note = None, ENDED
            response = RedirectResponse("/", 303)
        except Unreachable:
            visit.note = AWAY
            response = RedirectResponse("/", 303)
        return self._visits.remember(visit, response)

    def _connection(self, visit: Visit) -> Connection:
        if visit.connection is None:
            raise Disconnected
        return visit.connection

    async def _products(self, connection: Connection) -> list[Product]:
        answer = await self._connector.call(connection, "GET", "/catalogue/products?limit=100")
        if answer.status_code != 200:
            raise Unreachable
        items = answer.json().get("items")
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

    def _page(self, visit: Visit, products: list[Product], wished: list[str], words: str) -> Response:
        by_id = {str(product["id"]): product for product in products}
        text = self._pages.get_template("home.html").render(
            connection=visit.connection,
            csrf=visit.csrf,
            note=visit.note,
            words=words,
            gateway=self._settings.gateway_url,
            wishes=[by_id[name] for name in wished if name in by_id],
            others=[p for name, p in by_id.items() if name not in wished and _fits(p, words)],
        )
        visit.note = ""
        response = Response(text, media_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = self._policy
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return self._visits.remember(visit, response)


def build(settings: Settings, public_url: str, http: httpx.AsyncClient | None = None) -> FastAPI:
    """The wish list application; `public_url` is where its `/callback` is registered."""
    client = http or httpx.AsyncClient(timeout=5.0)
    database = Database(settings.folder / "wish_list.db", SCHEMA)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await client.aclose()
        database.close()

    app = FastAPI(title="Wish list", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.database = database
    pages = WishList(settings, public_url, client, database)
    static = FOLDER / "static"
    files = {"wish-list.css": "text/css", "icon.svg": "image/svg+xml"}
    contents = {name: (static / name).read_bytes() for name in files}
    app.add_route("/", pages.home)
    app.add_route("/connect", pages.connect, methods=["POST"])
    app.add_route("/callback", pages.callback)
    app.add_route("/wishes", pages.wish, methods=["POST"])
    app.add_route("/wishes/remove", pages.unwish, methods=["POST"])
    app.add_route("/wishes/cart", pages.to_cart, methods=["POST"])
    app.add_route("/disconnect", pages.disconnect, methods=["POST"])

    @app.get("/healthz")
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok")

    @app.get("/static/{name}")
    async def file(name: str) -> Response:
        if name not in files:
            return Response(status_code=404)
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
        return Response(contents[name], media_type=files[name], headers=headers)

    return app


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _fits(product: Product, words: str) -> bool:
    text = f"{product.get('name')} {product.get('maker')} {product.get('category')}".casefold()
    return all(word in text for word in words.casefold().split())


async def _read_form(request: Request) -> dict[str, str] | None:
    """A small form's fields; None when it is too large or not a form."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            return None
    try:
        return {name: values[0] for name, values in parse_qs(body.decode(), max_num_fields=20).items()}
    except ValueError:
        return None
