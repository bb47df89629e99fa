"""What a caller proves to hold and is bound to: a DPoP key (RFC 9449), a certificate (RFC 8705)."""

from __future__ import annotations

from dataclasses import replace

from kronborg.clients.model import Client
from kronborg.oauth.call import Call, Confirmation
from kronborg.oauth.dpop import (
    Proof,
    check_algorithm,
    check_nonce,
    current_nonce,
    is_thumbprint,
    read_proof,
    sent_proof,
)
from kronborg.oauth.errors import InvalidDpopProof, InvalidGrant, InvalidRequest
from kronborg.oauth.mtls import addresses, thumbprint
from kronborg.tokens.engine import Engine
from kronborg.tokens.model import Code, Grant, GrantDetails


async def confirm(engine: Engine, client: Client, call: Call) -> Call:
    """The call with what its sender proved. Raises `OAuthError` when a proof is wrong, or one is missing.

    The DPoP proof is not used up yet: whoever stores the tokens runs `confirmed.spend` in the same unit.
    """
    proof, x5t = _proof(engine, client, call), None
    if client.settings.tls_client_certificate_bound_access_tokens:
        # RFC 8705 §3.4: without a certificate such a client gets nothing.
        if not call.certificates:
            raise InvalidRequest("the tokens of this client are bound to a certificate: one is needed")
        x5t = thumbprint(call.certificates[0])
    if proof is not None:
        nonce = current_nonce(engine.vault, now=call.now) if proof.nonce is not None else None
        return replace(call, confirmed=Confirmation(proof.jkt, x5t, proof.spend, nonce))
    # RFC 9449 §5.2: nor one that always uses DPoP without a proof.
    if client.settings.dpop_bound_access_tokens:
        raise InvalidDpopProof("the tokens of this client are bound to a key: a DPoP proof is needed")
    return call if x5t is None else replace(call, confirmed=Confirmation(x5t=x5t))


async def request_key(engine: Engine, client: Client, call: Call) -> str | None:
    """The key that a pushed authorization request binds its code to (RFC 9449 §10.1); None for no binding.

    It is named by `dpop_jkt`, by a proof for the pushed request itself, or by both if they agree.
    """
    named = call.form.get("dpop_jkt")
    if named is not None and not is_thumbprint(named):
        raise InvalidRequest("dpop_jkt is not the thumbprint of a key")
    proof = _proof(engine, client, call)
    if proof is None:
        return named
    # RFC 9449 §10.1: reject the request if they differ.
    if named not in (None, proof.jkt):
        raise InvalidDpopProof("the DPoP proof is by another key than dpop_jkt names")
    await engine.database.writer.run(proof.spend)
    return proof.jkt


def check_code(code: Code, call: Call) -> None:
    """Raise `InvalidGrant` when the code is bound to a key that the caller did not prove to hold (RFC 9449 §10)."""
    if code.jkt is not None and code.jkt != call.confirmed.jkt:
        raise InvalidGrant("the code is bound to another DPoP key")


def check_grant(grant: Grant, call: Call) -> None:
    """Raise `InvalidGrant` when the refresh tokens of a grant are bound to what the caller did not prove to hold."""
    details = grant.details
    # RFC 9449 §5: the client must present a proof for the same key.
    if details.jkt is not None and details.jkt != call.confirmed.jkt:
        raise InvalidGrant("the refresh token is bound to another DPoP key")
    # RFC 8705 §4: the same certificate.
    if details.x5t is not None and details.x5t != call.confirmed.x5t:
        raise InvalidGrant("the refresh token is bound to another certificate")


def bound(client: Client, call: Call, details: GrantDetails) -> GrantDetails:
    """The details of a grant, bound to what the caller proved if its refresh tokens need that.

    RFC 9449 §5, RFC 8705 §4: those of public clients. A confidential client proves itself, and may change its keys.
    """
    confirmed = call.confirmed
    if client.kind != "public" or (confirmed.jkt is None and confirmed.x5t is None):
        return details
    return replace(details, jkt=confirmed.jkt, x5t=confirmed.x5t)


def _proof(engine: Engine, client: Client, call: Call) -> Proof | None:
    """The DPoP proof of a call; None when it has none."""
    sent = sent_proof(call.headers)
    if sent is None:
        return None
    proof = read_proof(sent, method="POST", urls=addresses(engine, call.url), now=call.now)
    check_algorithm(client, proof)
    required = engine.require_dpop_nonce or client.settings.require_dpop_nonce
    check_nonce(engine.vault, proof, required=required, now=call.now)
    return proof
