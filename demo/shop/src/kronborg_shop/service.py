"""What the five services have in common: problem answers, limits, health, and the rule for machine clients."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kronborg_sdk import InsufficientScope, Verifier
from kronborg_sdk.fastapi import Principal, protect, requires
from kronborg_shop.database import Database

MAX_BODY = 64 * 1024

ProductId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Body(BaseModel):
    """A request or answer body; unknown members of a request are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Line(Body):
    """So many pieces of a product."""

    product_id: ProductId
    quantity: int


class Problem(Exception):
    """An answer of RFC 9457, raised from anywhere in a service."""

    def __init__(self, status: int, title: str, detail: str, *, more: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.more = more or {}


class ProblemDocument(BaseModel):
    """How errors look (RFC 9457), for the OpenAPI document."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None


PROBLEM = {
    "model": ProblemDocument,
    "description": "Refused; the body says why",
    "content": {"application/problem+json": {}},
}


def new_service(
    name: str, title: str, description: str, verifier: Verifier, lifespan: Lifespan | None = None
) -> FastAPI:
    """An empty service mounted under `/<name>`, so that the path the gateway decides on is the path it sees."""
    app = FastAPI(
        title=title,
        description=description,
        version="1.0.0",
        openapi_url=f"/{name}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_closing(lifespan),
        responses={401: PROBLEM, 403: PROBLEM},
        servers=[{"url": "/", "description": "the gateway"}],
        redirect_slashes=False,
    )
    protect(app, verifier)
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_middleware(Limits)

    @app.get("/healthz", include_in_schema=False)
    @app.get(f"/{name}/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


def _closing(lifespan: Lifespan | None) -> Lifespan:
    """The service's own lifespan, and at its end the database is closed."""

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            database = getattr(app.state, "database", None)
            if isinstance(database, Database):
                stack.callback(database.close)
            if lifespan is not None:
                await stack.enter_async_context(lifespan(app))
            yield

    return living


def machine(*scopes: str) -> Callable[..., Awaitable[Principal]]:
    """As `requires`, but no user's token will do: only clients that act for themselves."""
    required = requires(*scopes)

    async def dependency(caller: Annotated[Principal, Depends(required)]) -> Principal:
        if not caller.is_machine:
            raise InsufficientScope("only a machine client may do this", scopes=scopes)
        return caller

    return dependency


class Limits:
    """Refuses bodies above `MAX_BODY` and keeps answers out of shared caches."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY:
                raise HTTPException(413)
            return message

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                extra = [(b"x-content-type-options", b"nosniff")]
                if b"cache-control" not in names:
                    extra.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self._app(scope, bounded, marked)


def problem_answer(
    status: int,
    title: str,
    detail: str | None = None,
    *,
    more: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A finished problem answer."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **(more or {})}
    return JSONResponse(
        {name: value for name, value in body.items() if value is not None},
        status,
        media_type="application/problem+json",
        headers=dict(headers or {}),
    )


async def _answer_problem(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, Problem):
        raise error
    headers = {"Retry-After": "5"} if error.status == 503 else {}
    return problem_answer(error.status, error.title, error.detail, more=error.more, headers=headers)


async def _answer_http_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    return problem_answer(error.status_code, error.detail, headers=error.headers)


async def _answer_invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    # Where and why, without the value: an answer never echoes its input.
    problems = [
        {"where": ".".join(str(part) for part in item["loc"])[:200], "detail": str(item["msg"])[:200]}
        for item in error.errors()[:20]
    ]
    return problem_answer(422, "Invalid request", "some values are not acceptable", more={"problems": problems})
