"""Keys: fetched once, refreshed, rotated, and kept while the issuer is away."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from kronborg_sdk import InvalidToken, KeySource, KeysUnavailable, Verifier
from kronborg_sdk.testing import FakeIssuer

pytestmark = pytest.mark.anyio
AUDIENCE = "https://shop.example/catalogue"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patient(issuer: FakeIssuer, clock: Clock) -> Verifier:
    """A verifier whose clock for key ages stands still unless the test moves it."""
    http = httpx.AsyncClient(transport=issuer.transport())
    keys = KeySource(issuer.issuer, http=http, max_stale=timedelta(hours=1), monotonic=clock)
    return Verifier(issuer.issuer, AUDIENCE, keys=keys)


async def test_a_thousand_first_requests_share_one_fetch(issuer: FakeIssuer, verifier: Verifier) -> None:
    tokens = [issuer.token(audience=AUDIENCE, subject=f"user-{n}") for n in range(1000)]

    callers = await asyncio.gather(*(verifier.verify(token) for token in tokens))

    assert len({caller.subject for caller in callers}) == 1000
    assert issuer.fetches == 1


async def test_a_caller_that_gives_up_does_not_take_the_fetch_along(issuer: FakeIssuer) -> None:
    gate = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        await gate.wait()
        return httpx.Response(200, json=issuer.jwks())

    http = httpx.AsyncClient(transport=httpx.MockTransport(slow))
    verifier = Verifier(issuer.issuer, AUDIENCE, issuer.jwks_uri, http)
    first = asyncio.create_task(verifier.verify(issuer.token(audience=AUDIENCE)))
    second = asyncio.create_task(verifier.verify(issuer.token(audience=AUDIENCE)))
    await asyncio.sleep(0)

    first.cancel()
    gate.set()

    assert (await second).client_id == "test-client"


async def test_a_new_key_is_found_with_one_fetch(issuer: FakeIssuer, patient: Verifier, clock: Clock) -> None:
    await patient.verify(issuer.token(audience=AUDIENCE))
    clock.now += 10
    issuer.rotate()

    tokens = [issuer.token(audience=AUDIENCE) for _ in range(50)]
    await asyncio.gather(*(patient.verify(token) for token in tokens))

    assert issuer.fetches == 2


async def test_invented_key_ids_cannot_hammer_the_issuer(issuer: FakeIssuer, patient: Verifier, clock: Clock) -> None:
    await patient.keys.ready()

    for n in range(100):
        clock.now += 0.1
        with pytest.raises(InvalidToken):
            await patient.verify(issuer.token(audience=AUDIENCE, header={"kid": f"k{n}"}))

    assert issuer.fetches <= 3


async def test_keys_stay_good_while_identity_is_down(issuer: FakeIssuer, patient: Verifier, clock: Clock) -> None:
    await patient.keys.ready()
    issuer.down = True
    clock.now += 1800

    for _ in range(3):
        await patient.verify(issuer.token(audience=AUDIENCE))
        await patient.keys.refresh()

    clock.now += 1801
    with pytest.raises(KeysUnavailable):
        await patient.verify(issuer.token(audience=AUDIENCE))
    issuer.down = False
    clock.now += 10
    await patient.verify(issuer.token(audience=AUDIENCE))


async def test_old_keys_are_refreshed_in_the_background(issuer: FakeIssuer, patient: Verifier, clock: Clock) -> None:
    await patient.keys.ready()
    clock.now += 301

    await patient.verify(issuer.token(audience=AUDIENCE))
    await patient.keys.refresh()  # joins the refresh already under way

    assert issuer.fetches == 2


async def test_without_any_keys_nothing_can_be_decided(issuer: FakeIssuer, patient: Verifier, clock: Clock) -> None:
    issuer.down = True

    with pytest.raises(KeysUnavailable):
        await patient.verify(issuer.token(audience=AUDIENCE))

    issuer.down = False
    with pytest.raises(KeysUnavailable):
        await patient.verify(issuer.token(audience=AUDIENCE))  # too soon to ask again
    clock.now += 6
    await patient.verify(issuer.token(audience=AUDIENCE))


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(302, headers={"location": "https://evil.example/jwks"}),
        httpx.Response(200, text="not json"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"keys": "none"}),
        httpx.Response(200, json={"keys": []}),
        httpx.Response(200, json={"keys": [1, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}),
        httpx.Response(200, json={"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}),
        httpx.Response(200, content=b"[" * 10_000),
        httpx.Response(200, content=b" " * (300 * 1024)),
    ],
)
async def test_a_useless_jwks_is_no_keys(answer: httpx.Response, issuer: FakeIssuer) -> None:
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer), follow_redirects=True)
    verifier = Verifier(issuer.issuer, AUDIENCE, issuer.jwks_uri, http)

    with pytest.raises(KeysUnavailable):
        await verifier.verify(issuer.token(audience=AUDIENCE))


@pytest.mark.spec("OpenID Connect Discovery 1.0 §4.3")
async def test_metadata_of_another_issuer_is_not_used(issuer: FakeIssuer) -> None:
    document = {"issuer": "https://evil.example", "jwks_uri": issuer.jwks_uri}
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=document)))
    verifier = Verifier(issuer.issuer, AUDIENCE, http=http)

    with pytest.raises(KeysUnavailable):
        await verifier.verify(issuer.token(audience=AUDIENCE))


@pytest.mark.spec("RFC 7515 §4.1.4")
async def test_without_a_kid_the_only_fitting_key_is_used(issuer: FakeIssuer, verifier: Verifier) -> None:
    await verifier.verify(issuer.token(audience=AUDIENCE, header={"kid": None}))

    issuer.rotate()
    await verifier.keys.refresh()

    with pytest.raises(InvalidToken):
        await verifier.verify(issuer.token(audience=AUDIENCE, header={"kid": None}))
