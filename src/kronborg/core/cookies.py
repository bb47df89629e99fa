"""Our cookies: HttpOnly, `SameSite=Lax`, for this host alone.

With an https issuer a name carries the `__Host-` prefix, so that no sister domain and no plain-http answer can
set it (RFC 6265bis §4.1.3.2). Browsers refuse that prefix over http, so on loopback http names are plain.
"""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

SESSION = "kronborg_session"
BROWSER = "kronborg_browser"
DEVICE = "kronborg_device"
MAX_VALUE = 2048


def cookie_name(base: str, *, secure: bool) -> str:
    """The name of a cookie as browsers see it."""
    return f"__Host-{base}" if secure else base


def read_cookie(request: Request, base: str, *, secure: bool) -> str | None:
    """The value a browser sent, or None when it is missing, empty or too long to be ours."""
    value = request.cookies.get(cookie_name(base, secure=secure), "")
    return value if 0 < len(value) <= MAX_VALUE else None


def set_cookie(response: Response, base: str, value: str, *, secure: bool, lifetime: timedelta | None = None) -> None:
    """Set a cookie; without `lifetime` it ends with the browser."""
    response.set_cookie(
        cookie_name(base, secure=secure),
        value,
        max_age=None if lifetime is None else int(lifetime.total_seconds()),
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def drop_cookie(response: Response, base: str, *, secure: bool) -> None:
    """Take a cookie back."""
    response.delete_cookie(cookie_name(base, secure=secure), path="/", secure=secure, httponly=True, samesite="lax")
