"""ASGI middleware that lets verified callers in and answers everybody else. Works with any ASGI framework."""

from collections.abc import Awaitable, Callable, MutableMapping

from kronborg_sdk import bearer
from kronborg_sdk.errors import SdkError
from kronborg_sdk.principal import Principal
from kronborg_sdk.verify import Verifier

# ASGI's own shapes: its messages are open dictionaries by specification.
Scope = MutableMapping[str, object]
Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PRINCIPAL = "kronborg.principal"


class ProtectMiddleware:
    """Every path needs a valid token, except the `public` ones.

    A public entry is an exact path, or a prefix when it ends in `/*`. The application finds the caller in
    `scope["kronborg.principal"]` (see `principal_of`). `scopes` are asked of every protected path.
    """

    def __init__(
        self,
        app: App,
        verifier: Verifier,
        public: tuple[str, ...] = ("/healthz",),
        scopes: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._exact = frozenset(path for path in public if not path.endswith("/*"))
        self._prefixes = tuple(path[:-1] for path in public if path.endswith("/*"))
        self._scopes = scopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self._is_public(str(scope["path"])):
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope)
        try:
            principal = await self._verifier.verify(bearer.read_token(headers))
            bearer.require(principal, self._scopes)
        except SdkError as error:
            answer = bearer.refuse(error, realm=self._verifier.audience, headers=headers)
            await _send(answer, scope, receive, send)
            return
        await self._app({**scope, PRINCIPAL: principal}, receive, send)

    def _is_public(self, path: str) -> bool:
        if path in self._exact:
            return True
        # A path with dot segments may mean another path to the application behind.
        return path.startswith(self._prefixes) and "/." not in path if self._prefixes else False


def principal_of(scope: Scope) -> Principal | None:
    """The verified caller of a request, if `ProtectMiddleware` let one in."""
    principal = scope.get(PRINCIPAL)
    return principal if isinstance(principal, Principal) else None


def headers_of(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The raw headers of a connection."""
    headers = scope["headers"]
    return [(bytes(name), bytes(value)) for name, value in headers]  # type: ignore[attr-defined]


async def _send(answer: bearer.Answer, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(name.encode(), value.encode()) for name, value in answer.headers]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if scope.get("method") == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})
