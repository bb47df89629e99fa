"""Products: make, change and remove them. Where the limits or the price of a plan change, it gets a new version.

Whether the routes are there and protected is said when the gateway is published, which knows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime

from kronborg.core.db import Session
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.events import changes, record
from kronborg.products.model import MOST_OPERATIONS, MOST_PLANS, MOST_PRODUCTS, Plan, PlanKey, Product
from kronborg.products.price_problems import price_problems
from kronborg.products.store import (
    add_version,
    delete_product_row,
    find_product,
    list_products,
    newest_versions,
    put_product_row,
)
from kronborg.products.subscriptions_store import keys_in_use

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LONGEST_TITLE = 100
_LONGEST_SUMMARY = 300
_LONGEST_TEXT = 20_000
_HEAVIEST = 1000


async def put_product(session: Session, product: Product, *, actor: str, now: datetime) -> Product:
    """Make or change a product as a whole. Raises `Invalid` with everything that is wrong."""
    problems = tuple(product_problems(product))
    if problems:
        raise Invalid(*problems)
    before = await find_product(session, product.name)
    if before == product:
        return product
    if before is None and len(await list_products(session)) >= MOST_PRODUCTS:
        raise Conflict("there are as many products as there may be")
    await put_product_row(session, product, now=now)
    newest = await newest_versions(session, product.name)
    for name, plan in product.plans:
        key, sold = newest.get(name, (PlanKey(product.name, name, 0), None))
        if sold is None or _terms(sold) != _terms(plan):
            await add_version(session, replace(key, version=key.version + 1), plan, now=now)
    name = "product.created" if before is None else "product.changed"
    await record(session, name, actor=actor, subject=product.name, now=now, detail=changes(before, product))
    return product


async def delete_product(session: Session, name: str, *, actor: str, now: datetime) -> None:
    """Remove a product that nobody has subscribed to. Raises `NotFound`, `Conflict`."""
    before = await find_product(session, name)
    if before is None:
        raise NotFound("there is no such product")
    if any(key.product == name for key in await keys_in_use(session)):
        raise Conflict("apps have subscribed to the product; end their subscriptions first")
    await delete_product_row(session, name)
    await record(session, "product.removed", actor=actor, subject=name, now=now, detail=changes(before, None))


def product_problems(product: Product) -> Iterator[Problem]:
    """What is wrong with a product, everything at once."""
    if _NAME.fullmatch(product.name) is None:
        yield Problem("name", "is not a name; write lower-case letters, digits and dashes")
    lengths = (("title", _LONGEST_TITLE), ("summary", _LONGEST_SUMMARY), ("description", _LONGEST_TEXT))
    for name, most in lengths:
        yield from _text(name, getattr(product, name), most)
    yield from _operations(product)
    if product.groups and product.visibility != "internal":
        yield Problem("groups", "count only where visibility is internal")
    for name in ("deprecated", "sunset"):
        if getattr(product, name) and not _is_date(getattr(product, name)):
            yield Problem(name, "is no date; write one such as 2026-12-31")
    if len(product.plans) > MOST_PLANS:
        yield Problem("plans", f"are more than {MOST_PLANS}")
    if len({name for name, _ in product.plans}) != len(product.plans):
        yield Problem("plans", "names a plan twice")
    for name, plan in product.plans:
        yield from _plan(f"plans.{name}", name, plan)


def _operations(product: Product) -> Iterator[Problem]:
    if len(product.operations) > MOST_OPERATIONS:
        yield Problem("operations", f"are more than {MOST_OPERATIONS}")
    for number, one in enumerate(product.operations):
        if not 0 <= one.weight <= _HEAVIEST:
            yield Problem(f"operations.{number}.weight", f"is out of bounds; write 0 to {_HEAVIEST}")
        if _NAME.fullmatch(one.environment) is None:
            yield Problem(f"operations.{number}.environment", "is not a name; write lower-case letters and dashes")
        if not one.route:
            yield Problem(f"operations.{number}.route", "names no route")


def _plan(at: str, name: str, plan: Plan) -> Iterator[Problem]:
    if _NAME.fullmatch(name) is None:
        yield Problem(at, "is not a name; write lower-case letters, digits and dashes")
    yield from _text(f"{at}.title", plan.title, _LONGEST_TITLE)
    yield from _text(f"{at}.description", plan.description, _LONGEST_TEXT)
    names = [quota.name for quota in plan.quotas]
    if len(set(names)) != len(names):
        yield Problem(f"{at}.quotas", "names a quota twice")
    yield from price_problems(plan.price, f"{at}.price")


def _text(at: str, text: str, most: int) -> Iterator[Problem]:
    if len(text) > most:
        yield Problem(at, f"is longer than {most} characters")
    if any(not one.isprintable() and one not in "\n\t" for one in text):
        yield Problem(at, "holds a control character")


def _terms(plan: Plan) -> tuple[object, ...]:
    """What is agreed on with a plan: a change of these is a new version."""
    return plan.spike_arrest, plan.quotas, plan.price


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
