"""Client credentials for httpx: one token for many, renewed in time, secrets kept."""

import asyncio
import base64
import logging
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from kronborg_sdk import ClientCredentials, TokenRequestFailed
from kronborg_sdk.testing import FakeIssuer

pytestmark = pytest.mark.anyio
RESOURCE = "https://shop.example/inventory"


class Service:
    """Answers 401 to the first `refusals` requests, then says which token it saw."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.seen: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request.headers["authorization"])
        if len(self.seen) <= self.refusals:
            return httpx.Response(401)
        return httpx.Response(200, content=request.content)


def caller(service: Service, auth: ClientCredentials) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(service), auth=auth, base_url="https://inventory.example")


@pytest.mark.spec("RFC 8707 §2")
async def test_many_requests_share_one_token_of_the_wanted_audience(issuer: FakeIssuer) -> None:
    service = Service()
    auth = issuer.client_credentials("cart", scope="inventory:write", resource=RESOURCE)

    async with caller(service, auth) as http:
        await asyncio.gather(*(http.get("/stock") for _ in range(100)))

    assert len(set(service.seen)) == 1
    assert [request["resource"] for request in issuer.token_requests] == [RESOURCE]
    assert issuer.token_requests[0]["scope"] == "inventory:write"


async def test_threads_share_one_token_too(issuer: FakeIssuer) -> None:
    auth = issuer.client_credentials("cart", resource=RESOURCE)

    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: auth.token_sync(), range(50)))

    assert len(tokens) == 1
    assert len(issuer.token_requests) == 1


async def test_a_refused_token_is_replaced_once(issuer: FakeIssuer) -> None:
    service = Service(refusals=1)

    async with caller(service, issuer.client_credentials("cart", resource=RESOURCE)) as http:
        answer = await http.post("/stock", json={"take": 1})

    assert (answer.status_code, answer.json()) == (200, {"take": 1})
    assert len(set(service.seen)) == 2


async def test_a_second_refusal_is_the_answer(issuer: FakeIssuer) -> None:
    service = Service(refusals=9)

    async with caller(service, issuer.client_credentials("cart", resource=RESOURCE)) as http:
        answer = await http.get("/stock")

    assert answer.status_code == 401
    assert len(service.seen) == 2


def test_synchronous_clients_work_alike(issuer: FakeIssuer) -> None:
    service = Service(refusals=1)
    auth = issuer.client_credentials("cart", resource=RESOURCE)

    with httpx.Client(transport=httpx.MockTransport(service), auth=auth) as http:
        answer = http.get("https://inventory.example/stock")

    assert answer.status_code == 200
    assert len(issuer.token_requests) == 2


async def test_a_token_is_renewed_before_it_expires_and_kept_when_that_fails(issuer: FakeIssuer) -> None:
    clock = [0.0]
    auth = ClientCredentials(
        issuer.token_url,
        "cart",
        "s",
        http=httpx.AsyncClient(transport=issuer.transport()),
        monotonic=lambda: clock[0],
    )
    first = await auth.token()
    clock[0] = 269
    assert await auth.token() == first

    clock[0] = 271
    issuer.down = True
    assert await auth.token() == first
    issuer.down = False
    second = await auth.token()

    assert second != first
    clock[0] = 700
    issuer.down = True
    with pytest.raises(TokenRequestFailed):
        await auth.token()


@pytest.mark.spec("RFC 6749 §2.3.1")
async def test_id_and_secret_are_form_encoded_before_base64() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={"access_token": "t", "token_type": "bearer", "expires_in": 60})

    auth = ClientCredentials(
        "https://identity.example/token",
        "shop:cart é",
        lambda: "p%s+ :/",
        http=httpx.AsyncClient(transport=httpx.MockTransport(answer)),
    )
    await auth.token()

    pair = base64.b64decode(seen[0].removeprefix("Basic ")).decode()
    assert pair == "shop%3Acart+%C3%A9:p%25s%2B+%3A%2F"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, json={"error": "invalid_client", "error_description": "secret-in-the-answer"}),
        httpx.Response(400, json={"error": "<script>"}),
        httpx.Response(200, json={"access_token": 7, "token_type": "Bearer"}),
        httpx.Response(200, json={"access_token": "t", "token_type": "DPoP"}),
        httpx.Response(200, json=[]),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"access_token": "t" * 70_000, "token_type": "Bearer"}),
        httpx.Response(302, headers={"location": "https://evil.example"}, json={}),
    ],
)
async def test_a_refused_token_request_says_so_without_secrets(
    answer: httpx.Response, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    auth = ClientCredentials(
        "https://identity.example/token",
        "cart",
        "hunter2-secret",
        http=httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer), follow_redirects=True),
    )

    with pytest.raises(TokenRequestFailed) as refusal:
        await auth.token()

    assert "secret" not in repr(auth) + str(refusal.value) + caplog.text
    assert "<" not in str(refusal.value)
