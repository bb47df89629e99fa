"""From what a browser brought to what the client asks: its parameters, a request object, or a request kept here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from kronborg.clients.model import Client
from kronborg.core.fetch import Unreachable
from kronborg.oauth import kept_requests
from kronborg.oauth.asked import asked_at
from kronborg.oauth.authorize_errors import InvalidRequestUri, RequestUriNotSupported
from kronborg.oauth.authorize_request import AuthorizeRequest, kept
from kronborg.oauth.errors import InvalidRequest, OAuthError
from kronborg.oauth.request_object import TYPE, read_object
from kronborg.tokens.engine import Engine

_MEDIA_TYPES = (f"application/{TYPE}", "application/jwt")


@dataclass(frozen=True, slots=True)
class Came:
    """How a request came: pushed by the client itself, signed by it, kept here under `digest`.

    `jkt` is the DPoP key that was proved when it was pushed (RFC 9449 §10.1).
    """

    pushed: bool = False
    signed: bool = False
    digest: bytes | None = None
    jkt: str | None = None


AS_SENT = Came()


@dataclass(frozen=True, slots=True)
class Opened:
    """A request, and the query with which a browser comes back to it, our marks apart.

    With a `refusal`, `request` says no more than where the answer goes, if that is known at all.
    """

    request: AuthorizeRequest
    back: str
    came: Came = AS_SENT
    refusal: OAuthError | None = None


async def open_request(
    engine: Engine, sent: AuthorizeRequest, client: Client | None, browser: str | None, *, now: datetime
) -> Opened:
    """What the request says. `browser` is what marks are bound to; None for a request that came in another way."""
    uri = sent.request_uri
    if client is not None and sent.request is None and uri is not None and kept_requests.is_reference(uri):
        return await _kept(engine, sent, client, uri, browser, now=now)
    back = sent.query()
    if client is None or (sent.request is None and uri is None):
        return Opened(sent, back)
    try:
        # RFC 9101 §5: not both.
        if sent.request is not None and sent.request_uri is not None:
            raise InvalidRequest("request and request_uri do not go together")
        if sent.request is not None:
            # What was in time when its user was first asked is not late because they took theirs.
            begun = asked_at(engine.vault, back, sent.mark, browser, now=now) or now
            return await _signed(engine, sent, client, sent.request, back, now=begun)
        return await _fetched(engine, sent, client, uri or "", now=now)
    except OAuthError as refusal:
        return Opened(replace(sent, request=None, request_uri=None), back, refusal=refusal)


async def _signed(
    engine: Engine, sent: AuthorizeRequest, client: Client, text: str, back: str, *, now: datetime
) -> Opened:
    strict = client.settings.require_signed_request_object
    found = await read_object(engine, client, text, strict=strict, now=now)
    # RFC 9101 §6.3: only the parameters inside count.
    request = replace(found.request, mark=sent.mark, allowed=sent.allowed)
    return Opened(request, back, Came(signed=True), found.refusal)


async def _kept(
    engine: Engine, sent: AuthorizeRequest, client: Client, uri: str, browser: str | None, *, now: datetime
) -> Opened:
    found = await kept_requests.find(engine, client, uri)
    if found is None:
        # Whatever else was sent is not this request: there is no telling where an answer should go.
        nowhere = AuthorizeRequest(client_id=client.id, malformed=frozenset({"redirect_uri"}))
        unknown = InvalidRequestUri("the request_uri is unknown, too old, or of another client")
        return Opened(nowhere, nowhere.query(), refusal=unknown)
    back = AuthorizeRequest(client_id=client.id, request_uri=uri).query()
    request = replace(kept(found.parameters), mark=sent.mark, allowed=sent.allowed)
    came = Came(found.origin == "pushed", found.signed, found.digest, found.jkt)
    refusal: InvalidRequestUri | None = None
    if found.used_at is not None:
        refusal = InvalidRequestUri("the request_uri was already used")
    # It has to be begun in time; whoever is being asked because of it has the time that takes.
    elif found.expires_at <= now and asked_at(engine.vault, back, sent.mark, browser, now=now) is None:
        refusal = InvalidRequestUri("the request_uri has expired")
    return Opened(request, back, came, refusal)


async def _fetched(engine: Engine, sent: AuthorizeRequest, client: Client, uri: str, *, now: datetime) -> Opened:
    """RFC 9101 §5.2: only what the client registered is fetched, and once: from then on it is kept here."""
    if not client.settings.request_uris:
        raise RequestUriNotSupported("the client has registered no request_uris")
    # RFC 9101 §10.4.1: compared exactly; whatever else would let anybody choose what we call.
    if uri not in client.settings.request_uris:
        raise InvalidRequestUri("the request_uri is not registered for the client")
    try:
        answer = await engine.fetcher.get(uri.partition("#")[0], accept=_MEDIA_TYPES)
    except Unreachable as error:
        raise InvalidRequestUri("the request_uri could not be fetched") from error
    try:
        text = answer.body.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise InvalidRequestUri("the request_uri does not lead to a request object") from error
    opened = await _signed(engine, sent, client, text, sent.query(), now=now)
    if opened.refusal is not None:
        return opened
    reference = await kept_requests.keep(engine, client, opened.request, origin="fetched", signed=True, now=now)
    back = AuthorizeRequest(client_id=client.id, request_uri=reference).query()
    return replace(opened, back=back, came=Came(signed=True, digest=kept_requests.digest_of(engine, reference)))
