"""The objects of the admin API: made, read, changed and removed over HTTP, with every refusal a problem."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from admin.conftest import Admin
from kronborg.accounts.store import find_user
from kronborg.signin.passwords import Passwords, verify_password

pytestmark = pytest.mark.anyio

API = {"audience": "https://shop.example/cart", "name": "Cart", "scopes": [{"name": "cart:read", "description": "See"}]}
ROUTE = {"service": "cart", "prefix": "/cart/", "audience": "https://shop.example/cart", "scopes": ["cart:read"]}


async def send(admin: Admin, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return await admin.http.request(method, f"/api{path}", headers={**admin.write, **headers}, json=body)


async def test_a_person_is_made_changed_and_removed(admin: Admin) -> None:
    await send(admin, "POST", "/groups", {"name": "staff", "roles": ["cook"]})
    made = await send(admin, "POST", "/users", {"username": "anna", "email": "anna@example.com", "groups": ["staff"]})
    path = f"/users/{made.json()['id']}"

    changed = await send(admin, "PATCH", path, {"name": "Anna"}, **{"if-match": made.headers["etag"]})
    stale = await send(admin, "PATCH", path, {"name": "Berta"}, **{"if-match": made.headers["etag"]})
    twice = await send(admin, "POST", "/users", {"username": "ANNA"})
    removed = await send(admin, "DELETE", path)
    gone = await send(admin, "GET", path)

    codes = [answer.status_code for answer in (made, changed, stale, twice, removed, gone)]
    assert codes == [201, 200, 412, 409, 204, 404]
    assert changed.json()["name"] == "Anna"
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in (stale, twice, gone))


async def test_a_password_is_set_and_never_told(admin: Admin) -> None:
    user = (await send(admin, "POST", "/users", {"username": "anna"})).json()

    weak = await send(admin, "POST", f"/users/{user['id']}/password", {"password": "short"})
    good = await send(admin, "POST", f"/users/{user['id']}/password", {"password": "four words are enough"})

    assert (weak.status_code, good.status_code) == (422, 204)
    assert await verify_password(admin.database, Passwords(), user["id"], "four words are enough")
    events = await send(admin, "GET", "/events")
    assert "four words" not in events.text
    assert events.json()["items"][0]["name"] == "password.set"
    assert events.json()["items"][0]["actor"] == "client:operator"


async def test_a_client_secret_is_shown_once(admin: Admin) -> None:
    await send(admin, "POST", "/apis", API)
    body = {
        "id": "batch",
        "name": "Batch",
        "kind": "confidential",
        "auth_method": "client_secret_basic",
        "grants": ["client_credentials"],
        "scopes": ["cart:read"],
    }

    made = (await send(admin, "POST", "/clients", body)).json()
    added = (await send(admin, "POST", "/clients/batch/secrets", {"lifetime": "90d"})).json()
    shown = await send(admin, "GET", "/clients/batch")
    revoked = await send(admin, "DELETE", f"/clients/batch/secrets/{made['secret']['id']}")

    assert made["secret"]["secret"].startswith("kro_cs_")
    assert made["secret"]["secret"] not in shown.text
    assert [one["id"] for one in shown.json()["secrets"]] == [made["secret"]["id"], added["id"]]
    assert revoked.status_code == 204
    form = {"grant_type": "client_credentials"}
    old = await admin.http.post("/oauth/token", data=form, auth=("batch", made["secret"]["secret"]))
    new = await admin.http.post("/oauth/token", data=form, auth=("batch", added["secret"]))
    assert (old.status_code, new.status_code) == (401, 200)


async def test_a_refused_client_leaves_nothing_behind(admin: Admin) -> None:
    body = {"id": "x1", "name": "X", "kind": "public", "auth_method": "client_secret_basic", "scopes": ["nope"]}

    refused = await send(admin, "POST", "/clients", body)

    assert refused.status_code == 422
    assert {one["where"] for one in refused.json()["problems"]} >= {"auth_method", "scopes[0]", "redirect_uris"}
    assert (await send(admin, "GET", "/clients/x1")).status_code == 404


async def test_a_route_is_published_or_refused_with_every_reason(admin: Admin) -> None:
    await send(admin, "POST", "/apis", API)
    early = await send(admin, "PUT", "/routes/cart", ROUTE)
    await send(admin, "PUT", "/services/cart", {"urls": ["http://127.0.0.1:8094"]})
    opened = await send(admin, "PUT", "/routes/cart", ROUTE)
    omitted = await send(admin, "PUT", "/routes/open", {"service": "cart", "prefix": "/x/"})
    in_the_way = await send(admin, "DELETE", "/services/cart")

    latest = (await send(admin, "GET", "/snapshots/latest")).json()

    codes = [answer.status_code for answer in (early, opened, omitted, in_the_way)]
    assert codes == [422, 200, 422, 409]
    assert (latest["version"], latest["services"], latest["routes"]) == (2, 1, 1)
    assert omitted.json()["problems"][0]["detail"] == "names neither `public: true` nor an audience"
    assert (await send(admin, "GET", "/routes/open")).status_code == 404
    assert (await send(admin, "GET", "/deliveries")).json() == {"items": [], "next": None}


async def test_keys_are_listed_and_rotated(admin: Admin) -> None:
    before = (await send(admin, "GET", "/keys")).json()["items"]

    rotated = (await send(admin, "POST", "/keys/rotate", {})).json()["items"]

    active = {one["id"] for one in rotated if one["state"] == "active" and one["alg"] == "ES256"}
    assert active == {one["id"] for one in before if one["state"] == "next" and one["alg"] == "ES256"}
    assert all("d" not in one["public_jwk"] for one in rotated)
    assert (await send(admin, "GET", "/keys")).status_code == 200


async def test_pages_hold_together_and_are_bounded(admin: Admin) -> None:
    for number in range(5):
        await send(admin, "POST", "/users", {"username": f"user{number}"})

    seen, after = [], ""
    while True:
        page = (await send(admin, "GET", f"/users?limit=2{after}")).json()
        seen += [one["username"] for one in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"

    assert seen == [f"user{number}" for number in range(5)]
    assert (await send(admin, "GET", "/users?limit=201")).status_code == 422


async def test_the_api_of_kronborg_itself_cannot_be_removed(admin: Admin) -> None:
    before = (await send(admin, "GET", "/apis")).json()["items"]

    answers = [await send(admin, "DELETE", f"/apis/{own['id']}") for own in before]

    assert {one["audience"].rpartition("/")[2] for one in before} == {"api", "scim"}
    assert [answer.status_code for answer in answers] == [409, 409]
    assert (await send(admin, "GET", "/apis")).json()["items"] == before


async def test_a_document_is_planned_and_applied(admin: Admin) -> None:
    document = (
        "version: 1\ngroups:\n  staff: { roles: [cook] }\nusers:\n  anna: { groups: [staff], password: { env: P } }\n"
    )
    planned = (
        await send(admin, "POST", "/config/plan", {"document": document, "secrets": {"P": "a long password"}})
    ).json()

    body = {"document": document, "secrets": {"P": "a long password"}, "digest": planned["digest"]}
    applied = await send(admin, "POST", "/config/apply", body)
    again = await send(admin, "POST", "/config/apply", body)
    exported = await send(admin, "GET", "/config/export")

    assert [change["name"] for change in planned["changes"]] == ["staff", "anna"]
    assert (applied.status_code, again.status_code) == (200, 409)
    assert "anna:" in exported.text
    assert "a long password" not in applied.text + exported.text
    async with admin.database.read() as session:
        assert await find_user(session, "nobody") is None


async def test_a_document_over_http_reads_no_file_and_no_environment(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAK", "a long enough password")
    document = "version: 1\nusers:\n  a1: { password: { env: LEAK } }\n  a2: { password: { file: /etc/hostname } }\n"

    answer = await admin.http.post(
        "/api/config/apply", headers={**admin.write, "content-type": "application/yaml"}, content=document
    )

    assert answer.status_code == 422
    assert [one["where"] for one in answer.json()["problems"]] == [
        "document:3:19 users.a1.password",
        "document:4:19 users.a2.password",
    ]


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("POST", "/users", b'{"username": "a\\u0000b"}'),
        ("POST", "/users", b'{"username": "\\ud800"}'),
        ("POST", "/users", b'{"username": ' + b"9" * 5000 + b"}"),
        ("POST", "/users", b"[" * 50_000),
        ("POST", "/users", b"\xff\xfe"),
        ("POST", "/users", b""),
        ("GET", "/users?after=%00", b""),
        ("GET", "/users?search=%c3%28", b""),
        ("GET", "/events?after=99999999999999999999999", b""),
        ("GET", "/users/%00", b""),
        ("GET", "/clients/" + "x" * 5000, b""),
        ("POST", "/config/plan", b"\x00"),
        ("POST", "/config/plan", b"a: &a [*a]"),
        ("DELETE", "/users", b""),
    ],
)
async def test_bad_input_is_a_problem_and_never_a_bug(admin: Admin, method: str, path: str, content: bytes) -> None:
    headers = {**admin.write, "content-type": "application/json"}

    answer = await admin.http.request(method, f"/api{path}", headers=headers, content=content)

    if answer.status_code != 200:  # a name that nobody has is an empty list
        assert 400 <= answer.status_code < 500
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_that_is_too_large_is_refused(admin: Admin) -> None:
    answer = await send(admin, "POST", "/users", {"username": "x" * (1 << 20)})

    assert answer.status_code == 413
