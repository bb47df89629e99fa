"""FastAPI dependency: the handler says what it needs and receives who calls.

protect(app, Verifier(issuer, "https://shop.example/catalogue"))

@app.get("/products")
async def products(caller: Annotated[Principal, Depends(requires("catalogue:read"))]) -> ...
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import FastAPI, Request, Response, Security
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase

from kronborg_sdk import bearer
from kronborg_sdk.asgi import PRINCIPAL, principal_of
from kronborg_sdk.errors import SdkError
from kronborg_sdk.principal import Principal
from kronborg_sdk.verify import Verifier

__all__ = ["Principal", "protect", "requires"]


class _AccessToken(SecurityBase):
    """The security scheme of the OpenAPI document; deciding is left to `requires`."""

    def __init__(self) -> None:
        self.model = HTTPBearerModel(
            bearerFormat="JWT", description="An access token of Kronborg for this service (RFC 9068)."
        )
        self.scheme_name = "kronborg"

    async def __call__(self, request: Request) -> None:
        return None


_scheme = _AccessToken()


def protect(app: FastAPI, verifier: Verifier) -> None:
    """Give `app` the verifier that `requires` asks, and answers for callers it turns away."""
    app.state.kronborg_verifier = verifier
    app.add_exception_handler(SdkError, _answer)


def requires(*scopes: str, role: str | None = None) -> Callable[..., Awaitable[Principal]]:
    """A dependency that admits callers with all of `scopes` (and `role`), and gives the `Principal`."""

    async def dependency(request: Request, _: Annotated[None, Security(_scheme, scopes=list(scopes))]) -> Principal:
        principal = principal_of(request.scope)
        if principal is None:
            verifier = _verifier_of(request)
            principal = await verifier.verify(bearer.read_token(request.headers.raw))
            request.scope[PRINCIPAL] = principal
        bearer.require(principal, scopes, role)
        return principal

    return dependency


def _verifier_of(request: Request) -> Verifier:
    verifier = getattr(request.app.state, "kronborg_verifier", None)
    if not isinstance(verifier, Verifier):
        raise TypeError("call kronborg_sdk.fastapi.protect(app, verifier) before serving requests")
    return verifier


async def _answer(request: Request, error: Exception) -> Response:
    if not isinstance(error, SdkError):
        raise error
    realm = _verifier_of(request).audience
    answer = bearer.refuse(error, realm=realm, headers=request.headers.raw)
    return Response(answer.body, answer.status, headers=dict(answer.headers))
