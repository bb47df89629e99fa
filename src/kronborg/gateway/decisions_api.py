"""`/access/v1/evaluation` and `/access/v1/evaluations` (OpenID AuthZEN Authorization API 1.0), and their metadata.

Asked by resource servers: clients that prove who they are as at introspection, by Basic or a certificate, about the
APIs they speak for. A question asked wrongly is an HTTP error; a "no" is an answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.clients.model import Client
from kronborg.core import clock
from kronborg.core.client_certificate import CERTIFICATES, certificates_of
from kronborg.core.errors import TooMany
from kronborg.core.json import JsonObject, NotJson, read_object
from kronborg.gateway.decisions import Asked, Wrong, evaluate, read_one, read_several, stops
from kronborg.gateway.model import Snapshot
from kronborg.gateway.simulate import prepare
from kronborg.gateway.simulate_way import Ready
from kronborg.gateway.store import latest_published, latest_version
from kronborg.oauth.back_off import Gate
from kronborg.oauth.call import Call
from kronborg.oauth.client_auth import authenticate
from kronborg.oauth.errors import InvalidClient, OAuthError
from kronborg.oauth.requests import parse_form
from kronborg.tokens.engine import Engine

ONE, SEVERAL = "/access/v1/evaluation", "/access/v1/evaluations"
METADATA = "/.well-known/authzen-configuration"
LARGEST = 64 * 1024


def routes(engine: Engine) -> list[Route]:
    """Both endpoints and the metadata. One set for each process."""
    gate, newest = Gate(), Newest(engine)

    async def one(request: Request) -> Response:
        return await _answer(request, newest, gate, several=False)

    async def several(request: Request) -> Response:
        return await _answer(request, newest, gate, several=True)

    async def metadata(_: Request) -> Response:
        # Section 9.1: the identifier of the decision point, and absolute addresses.
        told = {
            "policy_decision_point": engine.issuer,
            "access_evaluation_endpoint": engine.issuer + ONE,
            "access_evaluations_endpoint": engine.issuer + SEVERAL,
        }
        return Response(orjson.dumps(told), media_type="application/json", headers={"cache-control": "max-age=300"})

    return [
        Route(ONE, one, methods=["POST"]),
        Route(SEVERAL, several, methods=["POST"]),
        Route(METADATA, metadata, methods=["GET"]),
    ]


@dataclass(slots=True)
class Newest:
    """The newest version, made ready once and not for each question: it may be thousands of routes."""

    engine: Engine
    _known: tuple[int, Ready] | None = field(default=None, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def ready(self) -> Ready:
        """What questions are asked of at this moment."""
        async with self._lock:
            version = await latest_version(self.engine.database)
            if self._known is None or self._known[0] != version:
                async with self.engine.database.read() as session:
                    published = await latest_published(session)
                snapshot = Snapshot(self.engine.issuer) if published is None else published.snapshot
                self._known = version, await asyncio.to_thread(prepare, snapshot)
            return self._known[1]


async def _answer(request: Request, newest: Newest, gate: Gate, *, several: bool) -> Response:
    now, engine = clock.now(), newest.engine
    try:
        asker = await _asker(request, engine, gate, now=now)
        body = await _body(request)
        ready = await newest.ready()
        batch = read_several(body) if several else None
        if batch is None:
            return _json(await evaluate(engine, ready, asker, read_one(body), now=now))
        answers: list[JsonObject] = []
        for asked in batch[0]:
            answers.append(await _one(engine, ready, asker, asked, now=now))
            if stops(batch[1], decision=answers[-1]["decision"] is True):
                break
        return _json({"evaluations": answers})
    except Wrong as wrong:
        return _json(str(wrong), 400)
    except TooMany as refusal:
        wait = str(max(1, round(refusal.retry_after.total_seconds())))
        return _json(refusal.detail, 429, {"retry-after": wait})
    except OAuthError as refusal:
        unknown = isinstance(refusal, InvalidClient)
        challenge = {"www-authenticate": 'Basic realm="kronborg", charset="UTF-8"'} if unknown else {}
        return _json(refusal.detail, 401 if unknown else refusal.status, challenge)


async def _one(engine: Engine, ready: Ready, asker: Client, asked: Asked | str, *, now: datetime) -> JsonObject:
    if isinstance(asked, str):
        # Section 7.2.1: an error inside a batch denies that part only.
        return {"decision": False, "context": {"error": {"status": 400, "message": asked}}}
    return await evaluate(engine, ready, asker, asked, now=now)


async def _asker(request: Request, engine: Engine, gate: Gate, *, now: datetime) -> Client:
    scope = request.scope
    certificates = certificates_of(scope) if CERTIFICATES in scope else ()
    address = "" if request.client is None else request.client.host
    url = engine.issuer + scope["path"]
    call = Call(parse_form(b""), scope["headers"], address, now, url, certificates)
    return await authenticate(engine, gate, call, confidential=True)


async def _body(request: Request) -> JsonObject:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Wrong("the body must be application/json")
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > LARGEST:
            raise Wrong("the body is larger than 64 KiB")
    try:
        return read_object(content)
    except (NotJson, RecursionError):
        raise Wrong("the body is no JSON object") from None


def _json(answer: JsonObject | str, status: int = 200, more: dict[str, str] | None = None) -> Response:
    headers = {"cache-control": "no-store", **(more or {})}
    return Response(orjson.dumps(answer), status, headers, "application/json")
