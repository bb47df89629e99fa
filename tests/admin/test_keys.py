"""Keys in the admin API: brought from elsewhere, rotated for one algorithm, revoked one at a time."""

from typing import Any

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey, OKPKey

from admin.conftest import Admin

pytestmark = pytest.mark.anyio


async def call(admin: Admin, method: str, path: str, body: object = None) -> httpx.Response:
    return await admin.http.request(method, f"/api{path}", json=body, headers=admin.write)


async def keys(admin: Admin, line: str) -> dict[str, str]:
    """The id of each key of a line, by its state."""
    items = (await call(admin, "GET", "/keys")).json()["items"]
    return {one["state"]: one["id"] for one in items if one["alg"] == line}


async def events(admin: Admin, name: str) -> list[tuple[Any, ...]]:
    return await admin.database.lookup.all("SELECT subject, actor FROM core_events WHERE name = ?", (name,))


def rsa_pem(bits: int) -> str:
    key = generate_private_key(65537, bits)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


async def test_a_key_is_brought_as_pem_published_and_signs_after_a_rotation(admin: Admin) -> None:
    brought = await call(admin, "POST", "/keys/import", {"alg": "RS256", "key": rsa_pem(2048)})
    published = (await admin.http.get("/oauth/jwks")).json()["keys"]
    await call(admin, "POST", "/keys/rotate", {"alg": "RS256"})

    assert (brought.status_code, brought.json()["state"]) == (200, "next")
    assert "d" not in brought.json()["public_jwk"]
    assert brought.json()["id"] in [key["kid"] for key in published]
    assert (await keys(admin, "RS256"))["active"] == brought.json()["id"]


async def test_a_key_brought_as_jwk_keeps_its_name(admin: Admin) -> None:
    jwk = {**OKPKey.generate_key("Ed25519").as_dict(private=True), "kid": "2019-key"}

    brought = await call(admin, "POST", "/keys/import", {"alg": "Ed25519", "key": orjson.dumps(jwk).decode()})
    again = await call(admin, "POST", "/keys/import", {"alg": "Ed25519", "key": orjson.dumps(jwk).decode()})

    assert brought.json()["id"] == "2019-key"
    assert again.status_code == 409


async def test_what_is_no_fitting_private_key_is_refused(admin: Admin) -> None:
    public = orjson.dumps(ECKey.generate_key("P-256").as_dict(private=False)).decode()
    elsewhere = orjson.dumps(ECKey.generate_key("P-384").as_dict(private=True)).decode()
    attempts = (
        ("RS256", rsa_pem(1024)),
        ("ES256", rsa_pem(2048)),
        ("ES256", public),
        ("ES256", elsewhere),
        ("ES256", "{}"),
        ("ES256", '{"kty":"oct","k":"AAAA"}'),
        ("RS256", '{"kty":"RSA","n":"AAAA","e":"AQAB","d":"AAAA"}'),
        ("ES256", "no key at all"),
        ("HS256", public),
    )

    answers = [await call(admin, "POST", "/keys/import", {"alg": alg, "key": key}) for alg, key in attempts]

    assert [answer.status_code for answer in answers] == [422] * len(attempts)
    assert all("AAAA" not in answer.text for answer in answers)


async def test_a_private_key_is_sealed_at_rest(admin: Admin) -> None:
    jwk = ECKey.generate_key("P-256").as_dict(private=True)
    brought = (await call(admin, "POST", "/keys/import", {"alg": "ES256", "key": orjson.dumps(jwk).decode()})).json()

    rows = await admin.database.lookup.all("SELECT * FROM tokens_keys WHERE id = ?", (brought["id"],))

    assert str(jwk["d"]) not in str(rows)


@pytest.mark.parametrize("state", ["next", "active", "retiring"])
async def test_one_key_is_revoked_whatever_its_state_and_the_feed_tells(admin: Admin, state: str) -> None:
    await call(admin, "POST", "/keys/rotate", {"alg": "ES256"})
    before = await keys(admin, "ES256")
    await admin.http.get("/oauth/jwks")

    # The token that is used here was signed by the key that is retiring.
    answer = await call(admin, "POST", f"/keys/{before[state]}/revoke")

    assert answer.status_code == 200
    left = {one["id"]: one["state"] for one in answer.json()["items"] if one["alg"] == "ES256"}
    assert before[state] not in left
    assert {"next", "active"} <= set(left.values())
    published = [key["kid"] for key in (await admin.http.get("/oauth/jwks")).json()["keys"]]
    assert before[state] not in published
    [(subject, actor)] = await events(admin, "key.revoked")
    assert (subject, actor) == (before[state], "client:operator")
    rows = await admin.database.lookup.all("SELECT kind, subject FROM tokens_feed ORDER BY seq")
    assert rows == [("key", before[state])]


async def test_an_unknown_key_cannot_be_revoked(admin: Admin) -> None:
    assert (await call(admin, "POST", "/keys/nothing/revoke")).status_code == 404


async def test_keys_are_changed_only_by_who_may_write(admin: Admin) -> None:
    for path in ("/keys/import", "/keys/rotate", "/keys/x/revoke"):
        answer = await admin.http.post(f"/api{path}", json={"alg": "ES256", "key": "x"}, headers=admin.read)

        assert answer.status_code == 403
