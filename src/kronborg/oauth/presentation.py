"""How an access token is presented to a resource of ours: by the scheme it was issued for, by whom it is bound to.

RFC 6750 §2.1, RFC 9449 §7, RFC 8705 §3: a token that is bound to a key or a certificate is worth nothing without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kronborg.core.jose import ALGORITHMS
from kronborg.oauth.dpop import check_algorithm, check_nonce, current_nonce, read_proof, sent_proof
from kronborg.oauth.errors import InvalidDpopProof, InvalidRequest, OAuthError
from kronborg.oauth.mtls import addresses, thumbprint
from kronborg.oauth.requests import Headers
from kronborg.tokens.engine import Engine
from kronborg.tokens.model import Access

MAX_TOKEN = 8192
_CREDENTIALS = re.compile(rb"(?i:(bearer|dpop)) +([A-Za-z0-9._~+/-]+=*) *")
DPOP_ALGORITHMS = " ".join(ALGORITHMS)


class InvalidToken(OAuthError):
    """The access token is not one that opens this, is not any more, or belongs to somebody else (RFC 6750 §3.1)."""

    error = "invalid_token"
    status = 401


class InsufficientScope(OAuthError):
    """The access token is genuine, and was issued for less (RFC 6750 §3.1)."""

    error = "insufficient_scope"
    status = 403


@dataclass(frozen=True, slots=True)
class Presented:
    """An access token as it came. `dpop` says that the scheme was DPoP."""

    token: str
    dpop: bool


@dataclass(frozen=True, slots=True)
class Use:
    """The request that uses a token. `url` is the resource's; `certificates` the caller's in DER, its own first."""

    method: str
    url: str
    headers: Headers
    certificates: tuple[bytes, ...]
    now: datetime


def presented(headers: Headers) -> Presented | None:
    """The token in the Authorization header; None without one of these two schemes. Raises `InvalidRequest`."""
    found = [value for name, value in headers if name == b"authorization"]
    if len(found) > 1:
        raise InvalidRequest("there is more than one Authorization header")
    if not found or found[0].partition(b" ")[0].lower() not in (b"bearer", b"dpop"):
        return None
    match = _CREDENTIALS.fullmatch(found[0])
    if match is None or len(found[0]) > MAX_TOKEN:
        raise InvalidRequest("the Authorization header is malformed")
    return Presented(match[2].decode("ascii"), match[1].lower() == b"dpop")


async def check_holder(engine: Engine, access: Access, shown: Presented, use: Use) -> str | None:
    """See that a valid token comes from whom it is bound to; a nonce for the next proof, if proofs carry any.

    Raises `InvalidToken`, `InvalidDpopProof`, `UseDpopNonce`.
    """
    confirmation = access.claims.get("cnf")
    members: Mapping[str, object] = confirmation if isinstance(confirmation, Mapping) else {}
    bound_to = members.get("x5t#S256")
    # RFC 8705 §3: the certificate is compared at the resource, at each use.
    if bound_to is not None and (not use.certificates or thumbprint(use.certificates[0]) != bound_to):
        raise InvalidToken("the access token is bound to another certificate")
    jkt = members.get("jkt")
    if jkt is None:
        # RFC 9449 §7.1: only a bound token is presented with this scheme.
        if shown.dpop:
            raise InvalidToken("the access token is not bound to a DPoP key")
        return None
    # RFC 9449 §7.2: a bound token must not be taken as a bearer token.
    if not shown.dpop:
        raise InvalidToken("the access token is bound to a DPoP key")
    return await _check_proof(engine, access, shown, use, jkt)


def challenge(
    refusal: OAuthError | None, *, dpop: bool, realm: str, scope: str | None = None
) -> list[tuple[bytes, bytes]]:
    """The challenges of a refusal (RFC 6750 §3, RFC 9449 §7.1); without one, of a request without a token."""
    said = [] if refusal is None else [f'error="{refusal.error}"', f'error_description="{refusal.detail}"']
    said += [] if scope is None else [f'scope="{scope}"']
    bearer = ", ".join([f'realm="{realm}"', *([] if dpop else said)])
    by_key = ", ".join([*(said if dpop else ()), f'algs="{DPOP_ALGORITHMS}"'])
    both = [(b"www-authenticate", f"Bearer {bearer}".encode()), (b"www-authenticate", f"DPoP {by_key}".encode())]
    # What was tried, if anything, is answered first.
    return [*(both[::-1] if dpop else both), *(() if refusal is None else refusal.headers)]


async def _check_proof(engine: Engine, access: Access, shown: Presented, use: Use, jkt: object) -> str | None:
    sent = sent_proof(use.headers)
    if sent is None:
        raise InvalidDpopProof("a DPoP proof is needed")
    proof = read_proof(sent, method=use.method, urls=addresses(engine, use.url), now=use.now, access_token=shown.token)
    client = await engine.directory.client(access.client_id, now=use.now)
    if client is not None:
        check_algorithm(client, proof)
    required = engine.require_dpop_nonce or (client is not None and client.settings.require_dpop_nonce)
    check_nonce(engine.vault, proof, required=required, now=use.now)
    # RFC 9449 §4.3: the key of the proof is the one that the token is bound to.
    if proof.jkt != jkt:
        raise InvalidToken("the access token is bound to another DPoP key")
    await engine.database.writer.run(proof.spend)
    return None if proof.nonce is None else current_nonce(engine.vault, now=use.now)
