"""Bearer credentials on the wire: reading them from a request and answering without them (RFC 6750).

Pure functions over headers and plain values, shared by the ASGI middleware and the FastAPI dependency.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from kronborg_sdk.errors import (
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    KeysUnavailable,
    MissingToken,
    SdkError,
)
from kronborg_sdk.principal import Principal

Headers = Iterable[tuple[bytes, bytes]]

# RFC 6750 §2.1: b64token.
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_REQUEST_ID = re.compile(r"[A-Za-z0-9\-_.]{1,128}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def read_token(headers: Headers) -> str:
    """The access token of a request. Raises `MissingToken`, `InvalidRequest`, `InvalidToken`.

    Only the Authorization header counts: tokens in queries and bodies end up in logs (RFC 9700 §4.3.2).
    """
    values = [value for name, value in headers if name.lower() == b"authorization"]
    if not values:
        raise MissingToken
    # RFC 6750 §2: one way per request; two headers would let two readers see two callers.
    if len(values) > 1:
        raise InvalidRequest("more than one Authorization header")
    scheme, _, token = values[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        raise MissingToken
    token = token.strip(" ")
    if not _TOKEN.fullmatch(token):
        raise InvalidToken("the token is malformed")
    return token


def require(principal: Principal, scopes: tuple[str, ...], role: str | None = None) -> None:
    """Check what a caller may do. Raises `InsufficientScope`."""
    if principal.missing(scopes):
        raise InsufficientScope("the token lacks a required scope", scopes=scopes)
    if role is not None and role not in principal.roles:
        raise InsufficientScope("the caller lacks a required role", scopes=scopes)


def refuse(error: SdkError, *, realm: str, headers: Headers = ()) -> Answer:
    """The answer to `error`: a problem (RFC 9457) with the challenge RFC 6750 §3 asks for."""
    status, title, code = _describe(error)
    problem: dict[str, object] = {
        "type": "about:blank" if code is None else f"urn:ietf:params:oauth:error:{code}",
        "title": title,
        "status": status,
        "detail": error.detail,
    }
    request_id = _request_id(headers)
    if request_id is not None:
        problem["request_id"] = request_id
    fields = [("content-type", "application/problem+json"), ("cache-control", "no-store")]
    if status in (400, 401, 403):
        fields.append(("www-authenticate", _challenge(error, realm, code)))
    if status == 503:
        fields.append(("retry-after", "5"))
    return Answer(status, tuple(fields), json.dumps(problem).encode())


def _describe(error: SdkError) -> tuple[int, str, str | None]:
    match error:
        case MissingToken():
            # RFC 6750 §3.1: without credentials the challenge carries no error code.
            return 401, "Authentication required", None
        case InvalidToken():
            return 401, "Invalid access token", "invalid_token"
        case InvalidRequest():
            return 400, "Invalid request", "invalid_request"
        case InsufficientScope():
            return 403, "Not allowed", "insufficient_scope"
        case KeysUnavailable():
            return 503, "Temporarily unavailable", None
        case _:
            return 500, "Internal error", None


def _challenge(error: SdkError, realm: str, code: str | None) -> str:
    parts = [f'realm="{_quotable(realm)}"']
    if code is not None:
        parts += [f'error="{code}"', f'error_description="{_quotable(error.detail)}"']
    if isinstance(error, InsufficientScope) and error.scopes:
        parts.append(f'scope="{_quotable(" ".join(error.scopes))}"')
    return "Bearer " + ", ".join(parts)


def _quotable(text: str) -> str:
    return re.sub(r'[^\x20-\x7e]|["\\]', "", text)


def _request_id(headers: Headers) -> str | None:
    for name, value in headers:
        if name.lower() == b"x-request-id":
            text = value.decode("latin-1")
            return text if _REQUEST_ID.fullmatch(text) else None
    return None
