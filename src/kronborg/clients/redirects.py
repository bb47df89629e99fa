"""Redirect URIs, web origins and audiences: which may be registered."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

MAX_URI = 2000
MAX_DOCUMENT_ID = 200
_ALLOWED = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()+,;=%]+", re.ASCII)
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.ASCII)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_DOTS = re.compile(r"(?i)(^|/)(\.|%2e){1,2}(/|\Z)")


def redirect_problem(uri: str, *, public: bool) -> str | None:
    """Why this may not be a redirect URI; None when it may.

    Absolute and without fragment (RFC 6749 §3.1.2); https, except to the loopback, and a private-use scheme
    with a dot in it for a public client (RFC 8252 §7).
    """
    parts = _split(uri)
    if parts is None:
        return "not an absolute URI of at most 2000 ASCII characters"
    if "#" in uri:
        return "a redirect URI has no fragment"
    if parts.scheme in ("http", "https"):
        return _web_problem(parts)
    if "." in parts.scheme and public:
        return None if not parts.netloc and parts.path.startswith("/") else "write a private-use URI as scheme:/path"
    return "the scheme must be https (http on the loopback; one with a dot, like com.example.app, for a public client)"


def origin_problem(origin: str) -> str | None:
    """Why this is no web origin (RFC 6454): scheme, host and port, nothing after."""
    parts = _split(origin)
    if parts is None or parts.scheme not in ("http", "https") or parts.path or "?" in origin or "#" in origin:
        return "an origin is a scheme, a host and a port, like https://app.example, with nothing after"
    return _web_problem(parts)


def audience_problem(audience: str) -> str | None:
    """Why this is no resource indicator: an absolute URI without fragment (RFC 8707 §2)."""
    parts = _split(audience)
    if parts is None or "#" in audience or not (parts.netloc or parts.path):
        return "an audience is an absolute URI without fragment"
    return None


def url_problem(url: str) -> str | None:
    """Why this is no address of a web server: https (http for the loopback), without user name and fragment."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or "#" in url:
        return "not an absolute https URL of at most 2000 ASCII characters without fragment"
    return _web_problem(parts)


def document_problem(client_id: str) -> str | None:
    """Why this is no client id that is the URL of a metadata document (draft §3): https, a path, nothing hidden in it.

    At most 200 characters, so that it stands where other client ids do.
    """
    parts = _split(client_id) if len(client_id) <= MAX_DOCUMENT_ID else None
    if parts is None or parts.scheme != "https" or "#" in client_id or len(parts.path) < 2:
        return "not an https URL with a path, at most 200 characters, without fragment"
    return _web_problem(parts)


def _split(uri: str) -> SplitResult | None:
    """The parts of an absolute URI in plain ASCII; None when it is none."""
    if not 0 < len(uri) <= MAX_URI or not _ALLOWED.fullmatch(uri.replace("#", "")) or _PERCENT.search(uri):
        return None
    try:
        parts = urlsplit(uri)
        if parts.port == 0 or not parts.scheme or not uri.startswith(f"{parts.scheme}:"):
            return None
    except ValueError:
        return None
    return parts


def _web_problem(parts: SplitResult) -> str | None:
    host = parts.hostname or ""
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        return "no user name or password in the URI"
    if host != "::1" and not _HOST.fullmatch(host):
        return "the host must be a lower-case name or address (international names in their xn-- form)"
    if parts.netloc.split(":")[0] != host and host != "::1":
        return "the host must be in lower case"
    if parts.scheme == "http" and host not in _LOOPBACK:
        return "http only for the loopback: use https"
    if _DOTS.search(parts.path):
        return "no . or .. segments in the path"
    return None
