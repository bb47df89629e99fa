"""What callers see of the ASGI middleware and the FastAPI dependency."""

from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.types import ASGIApp

from kronborg_sdk import Principal, Verifier
from kronborg_sdk.asgi import ProtectMiddleware
from kronborg_sdk.fastapi import protect, requires
from kronborg_sdk.testing import FakeIssuer

pytestmark = pytest.mark.anyio
AUDIENCE = "https://shop.example/catalogue"


def with_dependency(verifier: Verifier) -> ASGIApp:
    app = FastAPI()
    protect(app, verifier)

    @app.get("/healthz")
    async def healthz() -> str:
        return "ok"

    @app.get("/who")
    async def who(caller: Annotated[Principal, Depends(requires("catalogue:read"))]) -> str:
        return caller.subject

    @app.get("/clerk")
    async def clerk(caller: Annotated[Principal, Depends(requires("catalogue:read", role="clerk"))]) -> str:
        return caller.subject

    return app


def with_middleware(verifier: Verifier) -> ASGIApp:
    app = with_dependency(verifier)
    return ProtectMiddleware(app, verifier, public=("/healthz", "/open/*"))


@pytest.fixture(params=[with_dependency, with_middleware])
def http(request: pytest.FixtureRequest, verifier: Verifier) -> httpx.AsyncClient:
    app = request.param(verifier)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://catalogue")


@pytest.mark.spec("RFC 6750 §3.1")
async def test_without_a_token_the_challenge_has_no_error_code(http: httpx.AsyncClient) -> None:
    answer = await http.get("/who", headers={"x-request-id": "r-1"})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Bearer realm="{AUDIENCE}"'
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["status"] == 401
    assert answer.json()["request_id"] == "r-1"


@pytest.mark.spec("RFC 6750 §3.1")
async def test_a_bad_token_is_invalid_token(http: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    for token in ("x", "a.b.c", "x y", issuer.token(audience="https://shop.example/cart")):
        answer = await http.get("/who", headers={"Authorization": f"Bearer {token}"})

        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert token not in answer.text or len(token) < 4


@pytest.mark.spec("RFC 6750 §3.1")
async def test_a_missing_scope_is_insufficient_scope(http: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    answer = await http.get("/who", headers=issuer.headers(audience=AUDIENCE, scopes=["cart:read"]))

    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="catalogue:read"' in answer.headers["www-authenticate"]


async def test_a_missing_role_is_forbidden(http: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    scopes = ["catalogue:read"]
    plain = await http.get("/clerk", headers=issuer.headers(audience=AUDIENCE, scopes=scopes))
    token = issuer.token(audience=AUDIENCE, scopes=scopes, roles=["clerk"])
    clerk = await http.get("/clerk", headers={"Authorization": f"bearer {token}"})

    assert (plain.status_code, clerk.status_code) == (403, 200)


@pytest.mark.spec("RFC 6750 §2")
async def test_two_authorization_headers_are_an_invalid_request(http: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    token = issuer.token(audience=AUDIENCE, scopes=["catalogue:read"])
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer other")]

    answer = await http.get("/who", headers=twice)

    assert answer.status_code == 400
    assert 'error="invalid_request"' in answer.headers["www-authenticate"]


@pytest.mark.spec("RFC 6750 §2.3")
async def test_a_token_in_the_query_does_not_count(http: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    token = issuer.token(audience=AUDIENCE, scopes=["catalogue:read"])

    answer = await http.get("/who", params={"access_token": token})

    assert answer.status_code == 401


async def test_a_good_token_reaches_the_handler(http: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    headers = issuer.headers(audience=AUDIENCE, scopes=["catalogue:read"], subject="astrid")

    answer = await http.get("/who", headers=headers)

    assert (answer.status_code, answer.json()) == (200, "astrid")


async def test_without_keys_the_answer_is_503(http: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    issuer.down = True

    answer = await http.get("/who", headers=issuer.headers(audience=AUDIENCE))

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"


async def test_public_paths_need_no_token(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).status_code == 200


async def test_a_public_prefix_is_not_left_by_dot_segments(verifier: Verifier) -> None:
    transport = httpx.ASGITransport(with_middleware(verifier))
    async with httpx.AsyncClient(transport=transport, base_url="http://catalogue") as http:
        for path in ("/open/%2e%2e/who", "/openwho", "/healthz/", "/HEALTHZ"):
            assert (await http.get(path)).status_code == 401

        assert (await http.get("/open/anything")).status_code == 404


def test_the_openapi_document_names_scheme_and_scopes(verifier: Verifier) -> None:
    app = with_dependency(verifier)
    assert isinstance(app, FastAPI)

    document = app.openapi()

    assert document["components"]["securitySchemes"]["kronborg"]["scheme"] == "bearer"
    assert document["paths"]["/who"]["get"]["security"] == [{"kronborg": ["catalogue:read"]}]
