"""Bulk import over the admin API."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from admin.conftest import Admin
from kronborg.signin.passwords import Passwords, verify_password

pytestmark = pytest.mark.anyio


async def test_many_people_are_made_at_once_and_what_is_wrong_is_told(admin: Admin) -> None:
    encoded = PasswordHasher(1, 64, 1).hash("four words are enough")
    users = [
        {"id": "anna-1", "username": "anna", "password_hash": encoded},
        {"username": "berta", "email": "nonsense"},
        {"username": "anna"},
    ]

    tried = await admin.http.post("/api/users/import", headers=admin.write, json={"users": users, "dry_run": True})
    made = await admin.http.post("/api/users/import", headers=admin.write, json={"users": users})
    again = await admin.http.post("/api/users/import", headers=admin.write, json={"users": users})
    reader = await admin.http.post("/api/users/import", headers=admin.read, json={"users": users})
    many = await admin.http.post("/api/users/import", headers=admin.write, json={"users": users * 200})

    assert tried.json()["made"] == 1
    assert (made.status_code, made.json()["made"], made.json()["there"]) == (200, 1, 1)
    assert made.json()["wrong"][0]["number"] == 2
    assert made.json()["wrong"][0]["problems"][0]["where"] == "email"
    assert (again.json()["made"], again.json()["there"]) == (0, 2)
    assert (reader.status_code, many.status_code) == (403, 422)
    assert await verify_password(admin.database, Passwords(), "anna-1", "four words are enough")
