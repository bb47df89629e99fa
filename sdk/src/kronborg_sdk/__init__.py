"""Verify Kronborg's access tokens in a Python service, and call other services with tokens of your own.

`Verifier` checks a token and gives a `Principal`; `kronborg_sdk.asgi` and `kronborg_sdk.fastapi` do so for every
request; `ClientCredentials` gets tokens for httpx; `kronborg_sdk.testing` is a fake issuer for your tests.
"""

from kronborg_sdk.client import ClientCredentials
from kronborg_sdk.errors import (
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    KeysUnavailable,
    MissingToken,
    SdkError,
    TokenRequestFailed,
)
from kronborg_sdk.jwks import KeySource
from kronborg_sdk.principal import Principal
from kronborg_sdk.verify import Verifier

__all__ = [
    "ClientCredentials",
    "InsufficientScope",
    "InvalidRequest",
    "InvalidToken",
    "KeySource",
    "KeysUnavailable",
    "MissingToken",
    "Principal",
    "SdkError",
    "TokenRequestFailed",
    "Verifier",
]
