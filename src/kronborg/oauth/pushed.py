"""The pushed authorization request endpoint (RFC 9126): the client says what it wants before a browser is involved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kronborg.clients.model import Client
from kronborg.core.addresses import network_of
from kronborg.core.json import JsonObject
from kronborg.core.pace import Pace
from kronborg.oauth import kept_requests
from kronborg.oauth.asking import understand
from kronborg.oauth.authorize_errors import NoRedirect
from kronborg.oauth.authorize_request import collect
from kronborg.oauth.back_off import Gate
from kronborg.oauth.call import Call
from kronborg.oauth.checks import KnownCase, after_redirect, before_redirect
from kronborg.oauth.client_auth import authenticate
from kronborg.oauth.confirmation import request_key
from kronborg.oauth.errors import InvalidRequest
from kronborg.oauth.opening import Came, open_request
from kronborg.oauth.requests import Form
from kronborg.tokens.engine import Engine

PUSHES = 600
"""What clients that prove nothing may push from one address in ten minutes."""


async def push(engine: Engine, gate: Gate, pace: Pace, call: Call) -> JsonObject:
    """The answer of the endpoint. Raises `OAuthError`, `TooMany`, `Overloaded`.

    `pace` bounds what an address may have kept in the name of clients that prove nothing.
    """
    client = await authenticate(engine, gate, call)
    if client.auth_method == "none":
        pace.check(network_of(call.address), now=call.now)
    # RFC 9126 §2.1: a reference inside could lead anywhere, also back here.
    if call.form.get("request_uri") is not None:
        raise InvalidRequest("request_uri does not belong into a pushed request")
    case = await _opened(engine, client, call)
    # RFC 9126 §2.1: checked as the authorization endpoint would; what is wrong is told here, not to a browser.
    after_redirect(case)
    await understand(engine, case, now=call.now)
    named = case.request.dpop_jkt
    # RFC 9101 §6.3: with a request object only what stands in it counts, and `dpop_jkt` may.
    form = Form({} if named is None else {"dpop_jkt": named})
    jkt = await request_key(engine, client, replace(call, form=form))
    signed = case.came.signed
    reference = await kept_requests.keep(
        engine, client, case.request, origin="pushed", signed=signed, jkt=jkt, now=call.now
    )
    return {"request_uri": reference, "expires_in": int(kept_requests.lifetime_of(client).total_seconds())}


async def _opened(engine: Engine, client: Client, call: Call) -> KnownCase:
    """The request, its client and redirect URI known. Raises `OAuthError`."""
    sent = collect(_pairs(call.form))
    opened = await open_request(engine, sent, client, None, now=call.now)
    if opened.refusal is not None:
        raise opened.refusal
    # RFC 9126 §2.1: required, and that of the authentication; a client that proved itself has said who it is.
    if opened.request.client_id not in (None, client.id):
        raise InvalidRequest("client_id is not that of the authenticated client")
    request = replace(opened.request, client_id=client.id)
    try:
        return before_redirect(request, client, Came(pushed=True, signed=opened.came.signed))
    except NoRedirect as refusal:
        # RFC 9126 §2.3: there is no browser to show a page to.
        raise InvalidRequest(refusal.detail) from None


def _pairs(form: Form) -> Iterator[tuple[str, str]]:
    for name, value in form.values.items():
        for one in form.several.get(name, (value,)):
            yield name, one
