"""Who a request comes from when it comes through a proxy of ours: believed from named proxies only.

`X-Forwarded-For` tells the address: without it everybody behind a TLS proxy has one, and one guesser throttles all the
others. A header of the proxy's may tell the certificate that the caller proved to hold.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from kronborg.core.client_certificate import CERTIFICATES
from kronborg.core.forwarded_certificate import CertificateHeader, forwarded_certificates

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MOST_HOPS = 20


class Forwarded:
    """Puts the nearest address that is not a trusted proxy's into `scope["client"]`, and the caller's certificates."""

    def __init__(self, app: ASGIApp, trusted: Sequence[str], *, certificates: CertificateHeader | None = None) -> None:
        self._app, self._certificates = app, certificates
        self._trusted: tuple[Network, ...] = tuple(ipaddress.ip_network(one) for one in trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("client"):
            if self._certificates is not None and self._is_ours(str(scope["client"][0])):
                # The certificate of the connection, if there is one, is the proxy's own.
                scope.pop(CERTIFICATES, None)
                found = forwarded_certificates(self._certificates, scope["headers"])
                if found:
                    scope[CERTIFICATES] = found
            scope["client"] = (self._caller(scope), scope["client"][1])
        await self._app(scope, receive, send)

    def _caller(self, scope: Scope) -> str:
        """Each proxy writes the address it saw at the end, so the list is read backwards while who wrote is trusted."""
        found = str(scope["client"][0])
        lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
        for hop in reversed(",".join(lines).split(",")[-_MOST_HOPS:]):
            if not self._is_ours(found):
                break
            try:
                found = str(ipaddress.ip_address(hop.strip()))
            except ValueError:
                break
        return found

    def _is_ours(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)
