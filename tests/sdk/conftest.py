"""A fake issuer and a verifier that trusts it."""

import pytest

from kronborg_sdk import Verifier
from kronborg_sdk.testing import FakeIssuer

AUDIENCE = "https://shop.example/catalogue"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
def verifier(issuer: FakeIssuer) -> Verifier:
    return issuer.verifier(AUDIENCE)
