"""Which addresses the SDK is willing to talk to."""

import ipaddress
from urllib.parse import urlsplit


def require_safe(url: str, *, plain_http: bool = False) -> str:
    """Give `url` back when it is https, or http on this machine. Raises `ValueError` otherwise.

    Keys and secrets must not cross a network in the clear (RFC 6749 §3.2, RFC 8414 §6.1).
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in ("https", "http") or parts.fragment or parts.username:
        raise ValueError("an absolute http(s) URL without user name and fragment is needed")
    if parts.scheme == "http" and not plain_http and not _is_loopback(parts.hostname):
        raise ValueError("plain http is allowed for this machine only; say plain_http=True to allow it")
    return url


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
