"""The certificate that a caller proved to hold in TLS, as the server or a trusted proxy saw it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CERTIFICATES: Final = "client_certificates"
"""Where in an ASGI scope they stand: DER, the caller's own first, then what it sent along. Absent without any."""


def certificates_of(scope: Mapping[str, object]) -> tuple[bytes, ...]:
    """The certificates of a request; empty when the caller showed none."""
    found = scope.get(CERTIFICATES, ())
    return found if isinstance(found, tuple) else ()
