"""The nouns: a certificate with the names it is good for, and the ACME server that makes some of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

Source = Literal["uploaded", "acme"]

RENEW_AT = 2 / 3
"""The part of a certificate's life after which it is renewed."""
TRY_AGAIN = timedelta(hours=1)
"""After a failure; certificate authorities count failures too."""
CHALLENGE_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as everybody may know it: the private key is not part of it.

    `chain` is PEM, the certificate first; empty while an ACME server has not made it yet. `failure` is why the last
    try failed, in words for the operator.
    """

    name: str
    hosts: tuple[str, ...]
    source: Source
    chain: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    fingerprint: str = ""
    failure: str = ""
    tried_at: datetime | None = None
    updated_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether an ACME server should be asked for this one now."""
        if self.source != "acme" or (self.failure and self.tried_at and now < self.tried_at + TRY_AGAIN):
            return False
        if self.not_before is None or self.not_after is None:
            return True
        return now >= self.not_before + (self.not_after - self.not_before) * RENEW_AT


@dataclass(frozen=True, slots=True)
class AcmeSettings:
    """The ACME server (RFC 8555) that certificates come from."""

    directory: str
    contact: tuple[str, ...] = ()
    terms_agreed: bool = False
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """Our account at an ACME server: the private key in PEM, and what the server said of the account, as JSON."""

    directory: str
    key: str
    registration: str
