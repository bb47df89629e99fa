"""The tables of products and of the versions of their plans, and the SQL that touches them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import Column, ForeignKey, Integer, Table, Text, delete, insert, select, tuple_, update
from sqlalchemy import func as sql

from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata
from kronborg.core.json import JsonValue
from kronborg.core.values import freeze, thaw
from kronborg.products.model import Plan, PlanKey, Product

products_table = Table(
    "products_products",
    metadata,
    Column("name", Text, primary_key=True),
    Column("body", Json, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

versions_table = Table(
    "products_plan_versions",
    metadata,
    Column("product", Text, ForeignKey("products_products.name", ondelete="CASCADE"), primary_key=True),
    Column("plan", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("body", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

_products, _versions = products_table.c, versions_table.c
_AT_ONCE = 200


async def list_products(session: ReadSession) -> tuple[Product, ...]:
    """Every product, by name."""
    rows = await session.execute(select(_products.body).order_by(_products.name))
    return tuple(thaw(Product, row.body) for row in rows)


async def find_product(session: ReadSession, name: str) -> Product | None:
    """The product of this name."""
    body = await session.scalar(select(_products.body).where(_products.name == name))
    return None if body is None else thaw(Product, body)


async def put_product_row(session: Session, product: Product, *, now: datetime) -> None:
    """The product as it shall be; versions of its plans stay."""
    body = cast("JsonValue", freeze(product))
    changed = (
        update(products_table).where(_products.name == product.name).values(body=body, updated_at=now)
    ).returning(_products.name)
    if await session.scalar(changed) is None:
        await session.execute(insert(products_table).values(name=product.name, body=body, updated_at=now))


async def delete_product_row(session: Session, name: str) -> bool:
    """Remove a product and the versions of its plans; False when there is none."""
    gone = delete(products_table).where(_products.name == name).returning(_products.name)
    return await session.scalar(gone) is not None


async def newest_versions(session: ReadSession, product: str) -> dict[str, tuple[PlanKey, Plan]]:
    """The newest version of each plan that a product ever had, by the plan's name."""
    newest = (
        select(_versions.plan, sql.max(_versions.version).label("version"))
        .where(_versions.product == product)
        .group_by(_versions.plan)
        .subquery()
    )
    rows = await session.execute(
        select(_versions.plan, _versions.version, _versions.body)
        .join(newest, (newest.c.plan == _versions.plan) & (newest.c.version == _versions.version))
        .where(_versions.product == product)
    )
    return {str(row.plan): (PlanKey(product, str(row.plan), int(row.version)), thaw(Plan, row.body)) for row in rows}


async def add_version(session: Session, key: PlanKey, plan: Plan, *, now: datetime) -> None:
    """A new version of a plan."""
    values = {"product": key.product, "plan": key.plan, "version": key.version, "created_at": now}
    await session.execute(insert(versions_table).values(**values, body=cast("JsonValue", freeze(plan))))


async def find_version(session: ReadSession, key: PlanKey) -> Plan | None:
    """A plan as it was sold under this key."""
    found = select(_versions.body).where(
        _versions.product == key.product, _versions.plan == key.plan, _versions.version == key.version
    )
    body = await session.scalar(found)
    return None if body is None else thaw(Plan, body)


async def find_versions(session: ReadSession, keys: Iterable[PlanKey]) -> dict[PlanKey, Plan]:
    """Plans as they were sold under these keys."""
    wanted = sorted({(key.product, key.plan, key.version) for key in keys})
    found: dict[PlanKey, Plan] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        rows = await session.execute(
            select(versions_table).where(tuple_(_versions.product, _versions.plan, _versions.version).in_(some))
        )
        for row in rows:
            found[PlanKey(str(row.product), str(row.plan), int(row.version))] = thaw(Plan, row.body)
    return found


async def list_versions(session: ReadSession, product: str, plan: str) -> Sequence[tuple[PlanKey, Plan, datetime]]:
    """Every version of a plan and when it was made, the newest first."""
    rows = await session.execute(
        select(versions_table)
        .where(_versions.product == product, _versions.plan == plan)
        .order_by(_versions.version.desc())
    )
    return [
        (PlanKey(product, plan, int(row.version)), thaw(Plan, row.body), cast("datetime", row.created_at))
        for row in rows
    ]
