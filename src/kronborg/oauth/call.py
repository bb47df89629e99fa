"""One request to a protocol endpoint, as every verb of this slice is given it. Pure values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from kronborg.core.group_writer import Execute
from kronborg.core.json import JsonObject, JsonValue
from kronborg.oauth.requests import Form, Headers


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the caller proved to hold: a DPoP key (`jkt`, RFC 9449 §6) and a certificate (`x5t`, RFC 8705 §3.1).

    Both are base64url SHA-256 thumbprints; None where there was no proof, or none is wanted. `spend` uses the proof up:
    the first thing in the unit that stores what it buys. `nonce` is one for the next proof (RFC 9449 §8.2).
    """

    jkt: str | None = None
    x5t: str | None = None
    spend: Callable[[Execute], None] | None = None
    nonce: str | None = None

    @property
    def cnf(self) -> JsonObject:
        """The `cnf` claim as a member of a token; empty when nothing was proved."""
        members: dict[str, JsonValue] = {}
        if self.jkt is not None:
            members["jkt"] = self.jkt
        if self.x5t is not None:
            members["x5t#S256"] = self.x5t
        return {"cnf": members} if members else {}


NOTHING_PROVED = Confirmation()


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `address` is the caller's, for the gate; `url` is that of the endpoint, without a query.

    `certificates` are the client's in DER, its own first, from our TLS or a trusted proxy; `confirmed` is set by the
    token endpoint once the client is known.
    """

    form: Form
    headers: Headers
    address: str
    now: datetime
    url: str = ""
    certificates: tuple[bytes, ...] = ()
    confirmed: Confirmation = NOTHING_PROVED
