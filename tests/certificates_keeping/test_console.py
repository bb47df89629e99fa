"""Certificates in the console and the admin API: uploaded, ordered, never deleted while the gateway needs them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from admin.conftest import Admin
from certificates import certificate
from console.conftest import ADMIN, AUDITOR, Console
from console.test_pages import csrf_of
from kronborg.certificates.keep import upload
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.gateway.model import Service
from kronborg.gateway.service_tls_model import ServiceTls
from kronborg.gateway.store import put_service

pytestmark = pytest.mark.anyio

HOME = "/console/certificates"
NOW = datetime.now(UTC)


def pem_of(folder: Path, name: str = "api.kronborg.example") -> tuple[str, str]:
    _, chain = certificate(folder, name)
    return chain.read_text(), (folder / "key.pem").read_text()


async def needed_by_a_service(database: Database, vault: Vault, folder: Path) -> None:
    chain, key = pem_of(folder)
    async with database.write() as session:
        await upload(session, vault, "public", chain, key, actor="admin", now=NOW)
        stock = Service("stock", ("https://stock.example",), tls=ServiceTls(client_certificate="public"))
        await put_service(session, stock, now=NOW)


async def test_a_certificate_is_uploaded_shown_and_forgotten_and_its_key_never_shown(
    console: Console, tmp_path: Path
) -> None:
    ada = await console.signed_in("ada", ADMIN)
    chain, key = pem_of(tmp_path)
    form = {"csrf": await csrf_of(ada), "name": "public", "chain": chain, "key": key}

    wrong = await ada.http.post(f"{HOME}/-/upload", data={**form, "chain": "nothing"})
    kept = await ada.http.post(f"{HOME}/-/upload", data=form)
    listed, one = await ada.get(HOME), await ada.get(f"{HOME}/public")
    asked = await ada.get(f"{HOME}/public/delete")
    gone = await ada.http.post(f"{HOME}/public/delete", data={"csrf": form["csrf"]})
    after = await ada.get(HOME)

    assert wrong.status_code == 422
    assert "holds no certificates in PEM" in wrong.text
    assert kept.headers["location"] == f"{HOME}?done=kept"
    assert "api.kronborg.example" in listed.text
    assert "BEGIN CERTIFICATE" in one.text
    assert not any("PRIVATE KEY-----" in page.text for page in (wrong, listed, one))
    assert "Delete" in asked.text
    assert gone.headers["location"] == f"{HOME}?done=removed"
    assert "No certificates yet" in after.text


async def test_a_certificate_is_ordered(console: Console) -> None:
    ada = await console.signed_in("ada", ADMIN)
    form = {"csrf": await csrf_of(ada), "name": "public", "hosts": "api.kronborg.example\nwww.kronborg.example"}

    page = await ada.get(f"{HOME}/-/order")
    wrong = await ada.http.post(f"{HOME}/-/order", data={**form, "hosts": "*.kronborg.example"})
    wished = await ada.http.post(f"{HOME}/-/order", data=form)
    listed = await ada.get(HOME)

    assert "No ACME server is configured" in page.text
    assert wrong.status_code == 422
    assert wished.status_code == 303
    assert "Not made yet" in listed.text


async def test_what_a_service_needs_stays(console: Console, tmp_path: Path) -> None:
    await needed_by_a_service(console.engine.database, console.engine.vault, tmp_path)
    ada, eve = await console.signed_in("ada", ADMIN), await console.signed_in("eve", AUDITOR)

    refused = await ada.http.post(f"{HOME}/public/delete", data={"csrf": await csrf_of(ada)})
    one = await eve.get(f"{HOME}/public")
    forbidden = await eve.http.post(f"{HOME}/-/upload", data={"csrf": await csrf_of(eve)})

    assert refused.status_code == 422
    assert "the service stock" in refused.text
    assert "the service stock" in one.text
    assert f"{HOME}/public/delete" not in one.text
    assert forbidden.status_code == 403


async def test_the_admin_api_refuses_too(admin: Admin, database: Database, tmp_path: Path) -> None:
    await needed_by_a_service(database, database.vault or Vault(b"k" * 32), tmp_path)

    refused = await admin.http.delete("/api/certificates/public", headers=admin.write)
    async with database.write() as session:
        plain = Service("stock", ("https://stock.example",))
        await put_service(session, replace(plain), now=NOW)
    gone = await admin.http.delete("/api/certificates/public", headers=admin.write)
    missing = await admin.http.delete("/api/certificates/public", headers=admin.write)

    assert (refused.status_code, gone.status_code, missing.status_code) == (409, 204, 404)
