"""The nouns of who may pass: rules by method, claims, step-up, addresses, kinds of credentials, other issuers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal

from kronborg.core.addresses import network as plain_network
from kronborg.core.durations import Span

EDGE = {"extra": "forbid", "strict": False, "hide_input_in_errors": True, "use_attribute_docstrings": True}
"""How the HTTP and config edges read these values: unknown names are errors."""

Credential = Literal["token", "api_key", "personal_token"]
CREDENTIALS: tuple[Credential, ...] = ("token", "api_key", "personal_token")
"""What a request may prove itself with: an access token, the key of a client, the token of a person."""

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
ALGORITHMS: tuple[Algorithm, ...] = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Signatures with a public key. Symmetric ones would let whoever checks a token write one (RFC 8725 section 3.1)."""

_MAPPED = 96
_ESCAPE = re.compile(r"~(?![01])")


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """A claim that the token must have with one of some values; of a list, one of its members is enough."""

    __pydantic_config__ = EDGE

    claim: str
    """Its name, or a JSON Pointer (RFC 6901) to one inside others: `/address/country`."""
    values: tuple[str, ...]
    """The values of which one must be there; `true`, `false` and numbers stand for themselves too."""

    @property
    def path(self) -> tuple[str, ...]:
        """The names that lead to it, outermost first."""
        return claim_path(self.claim)


@dataclass(frozen=True, slots=True)
class StepUp:
    """How a person must have signed in. A token that does not say so is answered with a challenge (RFC 9470)."""

    __pydantic_config__ = EDGE

    acr: tuple[str, ...] = ()
    """The authentication context classes of which the token must name one, the wanted first."""
    max_age: Span | None = None
    """How long ago the sign-in may be, by `auth_time`."""


@dataclass(frozen=True, slots=True)
class AccessRule:
    """What requests by some methods must have besides what the route asks of all."""

    __pydantic_config__ = EDGE

    methods: tuple[str, ...] = ()
    """The methods it is for; all when absent. One for GET is for HEAD too."""
    scopes: tuple[str, ...] = ()
    """Scopes that the token must have, all of them."""
    roles: tuple[str, ...] = ()
    """Roles of which the person must have at least one."""
    claims: tuple[ClaimRule, ...] = ()
    """Claims that the token must have, all of them."""
    step_up: StepUp | None = None
    """How the person must have signed in."""

    @property
    def covered(self) -> tuple[str, ...]:
        """The methods it is for, sorted; empty for all. RFC 9110 section 9.3.2: HEAD asks what GET would answer, and
        services find the answer in the same way."""
        return tuple(sorted({*self.methods, "HEAD"} if "GET" in self.methods else self.methods))


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where requests may come from. An allowed address opens nothing: a token is asked for all the same."""

    __pydantic_config__ = EDGE

    allow: tuple[str, ...] = ()
    """The only networks or addresses that may call; any when absent."""
    deny: tuple[str, ...] = ()
    """Networks or addresses that may not call, whatever is allowed."""


@dataclass(frozen=True, slots=True)
class AudienceMapping:
    """What another issuer calls an API of ours."""

    __pydantic_config__ = EDGE

    api: str
    """Our API: its short name, or its audience URI."""
    audience: str
    """The `aud` of the issuer's tokens for it."""


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Another issuer whose tokens some APIs take. `jwks` is the JWK Set as JSON text; empty, nothing passes."""

    name: str
    issuer: str
    audiences: tuple[AudienceMapping, ...]
    jwks_uri: str | None = None
    jwks: str = ""
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256")
    client_claim: str = "client_id"
    subject_claim: str = "sub"
    scope_claim: str = "scope"
    roles_claim: str = "roles"
    any_type: bool = False


@dataclass(frozen=True, slots=True)
class KeysState:
    """What was fetched of an issuer's keys: `keys` as JSON text, when, and what went wrong since; "" when nothing."""

    keys: str = ""
    fetched_at: datetime | None = None
    failed_at: datetime | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A Cedar policy that routes share by its name."""

    name: str
    text: str


def claim_path(claim: str) -> tuple[str, ...]:
    """The names that lead to a claim: its own, or those of a JSON Pointer."""
    if not claim.startswith("/"):
        return (claim,)
    # RFC 6901 section 4: first ~1, then ~0.
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in claim[1:].split("/"))


def claim_is_valid(claim: str) -> bool:
    """A name, or a JSON Pointer whose names are not empty; at most 8 deep."""
    path = claim_path(claim)
    escaped = not claim.startswith("/") or _ESCAPE.search(claim) is None
    return 0 < len(claim) <= 200 and len(path) <= 8 and all(path) and escaped


def networks_of(texts: Iterable[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks, each IPv4 one in both spellings: an address may come as `::ffff:192.0.2.1` (RFC 4291 §2.5.5.2).

    Raises `ValueError` for what is neither a network nor an address.
    """
    found: list[IPv4Network | IPv6Network] = []
    for text in texts:
        network = plain_network(text)
        mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
        if mapped is not None and network.prefixlen >= _MAPPED:
            network = ip_network((mapped, network.prefixlen - _MAPPED))
        found.append(network)
        if isinstance(network, IPv4Network):
            found.append(IPv6Network((f"::ffff:{network.network_address}", network.prefixlen + _MAPPED)))
    return tuple(found)
