"""OpenAPI documents in files that `kronborg.yaml` names: planned, applied, kept, and refused at their place."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from kronborg.core.errors import Invalid
from kronborg.gateway.declare.apply import apply
from kronborg.gateway.declare.export import export
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.plan import Plan, make_plan
from kronborg.gateway.declare.read import read_text
from kronborg.gateway.declare.secret_sources import Secrets
from kronborg.gateway.documents_coverage import Coverage, coverage
from kronborg.gateway.documents_model import Published
from kronborg.gateway.documents_store import find_document
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.model import Route
from kronborg.gateway.store import find_service

pytestmark = pytest.mark.anyio

FILE = """\
version: 1
services:
  shop:
    url: "http://127.0.0.1:9001"
    openapi: { file: api/shop.yaml }
routes:
  shop: { service: shop, prefix: /shop, public: true, content: { validate: enforce } }
"""
DOCUMENT = 'openapi: 3.1.0\ninfo: { title: Shop, version: "%s" }\npaths: { "/shop/{id}": { get: {} } }\n'


def written(folder: Path, version: str) -> Secrets:
    """The document beside the file, in this version."""
    (folder / "api").mkdir(exist_ok=True)
    (folder / "api" / "shop.yaml").write_text(DOCUMENT % version)
    return Secrets(folder=folder)


async def planned(installation: Installation, secrets: Secrets, text: str = FILE) -> Plan:
    return (await make_plan(installation, read_text(text, name="kronborg.yaml"), secrets)).plan


async def test_a_document_is_planned_applied_and_changed_with_its_file(
    installation: Installation, now: datetime, tmp_path: Path
) -> None:
    first = await planned(installation, written(tmp_path, "1"))
    await apply(installation, read_text(FILE, name="kronborg.yaml"), Secrets(folder=tmp_path), actor="ada", now=now)
    again = await planned(installation, Secrets(folder=tmp_path))
    second = await planned(installation, written(tmp_path, "2"))
    await apply(
        installation,
        read_text(FILE, name="kronborg.yaml"),
        Secrets(folder=tmp_path),
        actor="ada",
        now=now,
        digest=second.digest,
    )

    async with installation.database.read() as session:
        service, document = await find_service(session, "shop"), await find_document(session, "shop")
        text = await export(session, issuer=installation.issuer, gateway_url=installation.gateway_url)
    assert "openapi.document" in [field.name for field in first.changes[0].fields]
    assert again.changes == ()
    assert [(one.kind, [field.name for field in one.fields]) for one in second.changes] == [
        ("service", ["openapi.document"])
    ]
    assert first.digest != second.digest
    assert service is not None
    assert service.openapi == Published(file="api/shop.yaml")
    assert document is not None
    assert (document.title, document.version, document.operations, document.source) == ("Shop", "2", 1, "")
    assert "file: api/shop.yaml" in text


async def test_over_http_the_document_stays_as_it_is(installation: Installation, now: datetime, tmp_path: Path) -> None:
    await apply(installation, read_text(FILE, name="kronborg.yaml"), written(tmp_path, "1"), actor="ada", now=now)

    there = await planned(installation, Secrets())

    assert there.changes == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no file that can be read"), ("swagger: '2.0'\n", ""), ("x" * 2_000_000, "no file that can be read")],
)
async def test_a_file_that_is_none_is_told_at_its_line(
    installation: Installation, tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "api").mkdir()
        (tmp_path / "api" / "shop.yaml").write_text(content)

    with pytest.raises(Invalid) as refused:
        await planned(installation, Secrets(folder=tmp_path))

    [problem] = refused.value.problems
    assert problem.where.startswith("5:") or ":5" in problem.where, problem
    assert said in problem.detail


async def test_url_and_file_do_not_go_together(installation: Installation, tmp_path: Path) -> None:
    both = FILE.replace("file: api/shop.yaml", 'file: api/shop.yaml, url: "https://shop.example/openapi.json"')

    with pytest.raises(Invalid) as refused:
        await planned(installation, written(tmp_path, "1"), both)

    assert [problem.detail for problem in refused.value.problems] == ["needs either url or file"]


def test_routes_that_a_document_does_not_know_are_named() -> None:
    info = '"info":{"title":"t","version":"1"},"servers":[{"url":"/v1"}]'
    text = '{"openapi":"3.1.0",' + info + ',"paths":{"/orders/{id}":{"get":{}}}}'
    routes = [
        Route("known", RoutePath("prefix", "/v1/orders"), "shop", public=True),
        Route("all", RoutePath("prefix", "/"), "shop", public=True),
        Route("one", RoutePath("exact", "/orders/7"), "shop", public=True),
        Route("shape", RoutePath("template", "/orders/{id}"), "shop", public=True),
        Route("other", RoutePath("prefix", "/ordersx"), "shop", public=True),
        Route("exactly", RoutePath("exact", "/prices"), "shop", public=True),
    ]

    found = coverage(text, routes)

    assert found == Coverage(("other", "exactly"), ("known", "all", "one", "shape"))
