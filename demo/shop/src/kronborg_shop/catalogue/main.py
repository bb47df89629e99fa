"""Products: browse, search, read, and edit for those who may. Also serves the shop's pages under `/shop/`."""

from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Query
from pydantic import Field

from kronborg_sdk import Verifier
from kronborg_sdk.fastapi import Principal, requires
from kronborg_shop.database import Database
from kronborg_shop.products import BY_ID, CATEGORIES, CURRENCY, PRODUCTS
from kronborg_shop.service import PROBLEM, Body, Problem, ProductId, new_service
from kronborg_shop.settings import Settings
from kronborg_shop.web.pages import add_pages

SCHEMA = """
CREATE TABLE IF NOT EXISTS edits (
    product_id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, editor TEXT NOT NULL
) STRICT
"""


class ProductView(Body):
    """A product as customers see it; the price is in minor units."""

    id: str
    name: str
    maker: str
    category: str
    price: int = Field(description="list price in minor units (øre)")
    currency: str
    description: str
    picture: str = Field(description="path of an SVG picture, public")


class ProductPage(Body):
    """One page of a search."""

    items: list[ProductView]
    total: int
    categories: list[str]


class Edit(Body):
    """What an editor may change."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    description: Annotated[str, Field(min_length=1, max_length=1000)]


class Catalogue:
    """The products, with what editors changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[ProductView]:
        with self._database.transaction() as connection:
            edits = {row["product_id"]: row for row in connection.execute("SELECT * FROM edits")}
        return [self._view(product_id, edits.get(product_id)) for product_id in BY_ID]

    def find(self, product_id: str) -> ProductView:
        if product_id not in BY_ID:
            raise Problem(404, "Not found", "there is no such product")
        return next(product for product in self.all() if product.id == product_id)

    def edit(self, product_id: str, edit: Edit, editor: str) -> ProductView:
        self.find(product_id)
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO edits VALUES (?, ?, ?, ?) ON CONFLICT (product_id) DO UPDATE SET"
                " name = excluded.name, description = excluded.description, editor = excluded.editor",
                (product_id, edit.name, edit.description, editor),
            )
        return self.find(product_id)

    def _view(self, product_id: str, edit: object) -> ProductView:
        product = BY_ID[product_id]
        name, description = product.name, product.description
        if edit is not None:
            name, description = edit["name"], edit["description"]  # type: ignore[index]
        return ProductView(
            id=product.id,
            name=name,
            maker=product.maker,
            category=product.category,
            price=product.price,
            currency=CURRENCY,
            description=description,
            picture=f"/shop/pictures/{product.id}.svg",
        )


Sort = Literal["featured", "price", "-price", "name"]
Reader = Annotated[Principal, Depends(requires("catalogue:read"))]
Writer = Annotated[Principal, Depends(requires("catalogue:write"))]


def build(settings: Settings, verifier: Verifier) -> FastAPI:
    """The catalogue service."""
    app = new_service(
        "catalogue", "Catalogue", "What the shop sells: browse, search and read about products.", verifier
    )
    app.state.database = Database(settings.folder / "catalogue.db", SCHEMA)
    catalogue = Catalogue(app.state.database)

    @app.get("/catalogue/products", summary="Browse and search", tags=["products"])
    def products(
        caller: Reader,
        q: Annotated[str, Query(max_length=100, description="words in name, maker or description")] = "",
        category: Annotated[str, Query(max_length=40)] = "",
        sort: Sort = "featured",
        offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
    ) -> ProductPage:
        found = [product for product in catalogue.all() if _matches(product, q, category)]
        found = _sorted(found, sort)
        return ProductPage(items=found[offset : offset + limit], total=len(found), categories=list(CATEGORIES))

    @app.get("/catalogue/products/{product_id}", summary="One product", tags=["products"], responses={404: PROBLEM})
    def product(product_id: ProductId, caller: Reader) -> ProductView:
        return catalogue.find(product_id)

    @app.put(
        "/catalogue/products/{product_id}",
        summary="Edit name and description",
        tags=["products"],
        responses={404: PROBLEM},
    )
    def edit(product_id: ProductId, body: Edit, caller: Writer) -> ProductView:
        return catalogue.edit(product_id, body, caller.subject)

    add_pages(app, settings)
    return app


def _matches(product: ProductView, words: str, category: str) -> bool:
    if category and product.category != category:
        return False
    text = f"{product.name} {product.maker} {product.category} {product.description}".casefold()
    return all(word in text for word in words.casefold().split())


def _sorted(products: list[ProductView], sort: Sort) -> list[ProductView]:
    match sort:
        case "price":
            return sorted(products, key=lambda product: product.price)
        case "-price":
            return sorted(products, key=lambda product: -product.price)
        case "name":
            return sorted(products, key=lambda product: product.name)
        case "featured":
            order = [product.id for product in PRODUCTS]
            return sorted(products, key=lambda product: order.index(product.id))
