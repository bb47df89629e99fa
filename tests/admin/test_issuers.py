"""Trusted issuers in the admin API."""

from __future__ import annotations

import pytest

from admin.conftest import Admin

pytestmark = pytest.mark.anyio

PARTNER = {"issuer": "https://partner.example", "jwks_uri": "https://partner.example/keys", "subject": "email"}


async def test_an_issuer_is_trusted_changed_and_removed(admin: Admin) -> None:
    made = await admin.http.put("/api/issuers/partner", json=PARTNER, headers=admin.write)
    tag = {**admin.write, "if-match": made.headers["etag"]}
    changed = await admin.http.put("/api/issuers/partner", json={**PARTNER, "subject": "username"}, headers=tag)
    stale = await admin.http.put("/api/issuers/partner", json=PARTNER, headers=tag)
    listed = await admin.http.get("/api/issuers", headers=admin.read)
    removed = await admin.http.delete("/api/issuers/partner", headers=admin.write)
    gone = await admin.http.get("/api/issuers/partner", headers=admin.read)

    assert (made.status_code, changed.json()["subject"], stale.status_code) == (200, "username", 412)
    assert [issuer["name"] for issuer in listed.json()["items"]] == ["partner"]
    assert (removed.status_code, gone.status_code) == (204, 404)


async def test_what_is_wrong_is_told_and_only_writers_write(admin: Admin) -> None:
    wrong = await admin.http.put("/api/issuers/partner", json={"issuer": "x", "jwks": {}}, headers=admin.write)
    looking = await admin.http.put("/api/issuers/partner", json=PARTNER, headers=admin.read)

    assert wrong.status_code == 422
    assert [problem["where"] for problem in wrong.json()["problems"]] == ["jwks"]
    assert looking.status_code == 403
