"""The SCIM 2.0 server, mounted at `/scim/v2` behind a guard: requests in, resources and SCIM's own errors out."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Literal

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.errors import Overloaded, Refusal
from kronborg.core.json import JsonObject, JsonValue, NotJson, read_object
from kronborg.core.parts import Parts, parts_of
from kronborg.core.whole import whole
from kronborg.provisioning import scim
from kronborg.provisioning.bulk import error_body, run_bulk
from kronborg.provisioning.model import LIST, SEARCH, Resource, ScimError, gone
from kronborg.provisioning.reading import names_in
from kronborg.provisioning.schemas import config_document, schema_documents, type_documents
from kronborg.provisioning.scim import PAGE, Query, Shape
from kronborg.provisioning.scim_store import Kind
from kronborg.provisioning.scim_users import Client

TYPE = "application/scim+json"
PREFIX = "/scim/v2"
_NUMBER = re.compile(r"-?\d{1,9}")

Handler = Callable[[Request], Awaitable[Response]]


def scim_app(parts: Parts) -> Starlette:
    """The app; `scope["state"]["scim_client"]` is the id of the client whose token the guard has checked."""
    app = Starlette(
        routes=[
            Route("/ServiceProviderConfig", _config, methods=["GET"]),
            Route("/Schemas", _schemas, methods=["GET"]),
            Route("/Schemas/{schema_id}", _schemas, methods=["GET"]),
            Route("/ResourceTypes", _types, methods=["GET"]),
            Route("/ResourceTypes/{type_id}", _types, methods=["GET"]),
            Route("/Bulk", _bulk, methods=["POST"]),
            Route("/.search", _everywhere, methods=["POST"]),
            Route("/Me", _me, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            *_resource_routes("User"),
            *_resource_routes("Group"),
        ],
        exception_handlers={ScimError: _refused, HTTPException: _no_route, Refusal: _other},
    )
    app.state.parts = parts
    app.router.redirect_slashes = False
    return app


def answer_refusal(refusal: ScimError) -> Response:
    """A refusal in SCIM's words (RFC 7644 §3.12)."""
    return _json(error_body(refusal), status=refusal.status)


def _resource_routes(kind: Kind) -> list[Route]:
    async def search(request: Request) -> Response:
        client = client_of(request)
        query = _from_body(await _body(request)) if request.method == "POST" else _from_address(request)
        async with parts_of(request).database.read() as session:
            return _json(await scim.find(session, client, kind, query))

    async def make(request: Request) -> Response:
        sent, shape = await _body(request), _shape(request)
        async with whole(parts_of(request).database) as session:
            made = await scim.make(session, client_of(request), kind, sent, shape, now=clock.now())
        return _resource(made, kind, client_of(request), status=201)

    async def one(request: Request) -> Response:
        resource_id = str(request.path_params["resource_id"])
        return await _one(request, kind, resource_id)

    # The path with .search is listed before that of an id.
    return [
        Route(f"/{kind}s", search, methods=["GET"]),
        Route(f"/{kind}s", make, methods=["POST"]),
        Route(f"/{kind}s/.search", search, methods=["POST"]),
        Route(f"/{kind}s/{{resource_id}}", one, methods=["GET", "PUT", "PATCH", "DELETE"]),
    ]


async def _one(request: Request, kind: Kind, resource_id: str) -> Response:
    """Read, replace, change or remove one resource."""
    database, client, now = parts_of(request).database, client_of(request), clock.now()
    shape, match = _shape(request), request.headers.get("if-match")
    if request.method in ("GET", "HEAD"):
        async with database.read() as session:
            found = await scim.read(session, client, kind, resource_id, shape)
            # The version goes with every resource, also when `meta` was not asked for.
            etag = await scim.version_of(session, client, kind, resource_id)
        if etag in {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}:
            return Response(status_code=304, headers={"etag": etag})
        return _resource(found, kind, client, etag=etag)
    sent = await _body(request) if request.method != "DELETE" else {}
    async with whole(database) as session:
        if request.method == "DELETE":
            await scim.remove(session, client, kind, resource_id, match=match, now=now)
            return Response(status_code=204)
        verb = scim.replace if request.method == "PUT" else scim.change
        found = await verb(session, client, kind, resource_id, sent, shape, match=match, now=now)
        etag = await scim.version_of(session, client, kind, resource_id)
    return _resource(found, kind, client, etag=etag)


async def _config(request: Request) -> Response:
    _no_filter(request)
    return _json(config_document(client_of(request).base))


async def _schemas(request: Request) -> Response:
    return _documents(request, schema_documents(client_of(request).base), request.path_params.get("schema_id"))


async def _types(request: Request) -> Response:
    return _documents(request, type_documents(client_of(request).base), request.path_params.get("type_id"))


def _documents(request: Request, documents: list[JsonObject], wanted: str | None) -> Response:
    _no_filter(request)
    if wanted is not None:
        found = next((one for one in documents if one["id"] == wanted), None)
        if found is None:
            raise gone()
        return _json(found)
    count = len(documents)
    return _json(
        {"schemas": [LIST], "totalResults": count, "startIndex": 1, "itemsPerPage": count, "Resources": documents}
    )


def _no_filter(request: Request) -> None:
    """RFC 7644 §4: what describes the server cannot be filtered."""
    if "filter" in request.query_params:
        raise ScimError(403, "what describes the server cannot be filtered")


async def _bulk(request: Request) -> Response:
    return _json(await run_bulk(parts_of(request).database, client_of(request), await _body(request), now=clock.now()))


async def _everywhere(request: Request) -> Response:
    query = _from_body(await _body(request))
    async with parts_of(request).database.read() as session:
        return _json(await scim.find_everywhere(session, client_of(request), query))


async def _me(_request: Request) -> Response:
    # RFC 7644 §3.11: only machines come here, and a machine is no user.
    raise ScimError(501, "/Me is not served")


def client_of(request: Request) -> Client:
    """Whose token came with the request."""
    return Client(str(request.scope["state"]["scim_client"]), parts_of(request).issuer + PREFIX)


async def _body(request: Request) -> JsonObject:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (TYPE, "application/json"):
        raise ScimError(415, "the body is application/scim+json")
    try:
        return read_object(await request.body())
    except NotJson:
        raise ScimError(400, "the body is not a JSON object", "invalidSyntax") from None


def _shape(request: Request) -> Shape:
    only, but = request.query_params.get("attributes"), request.query_params.get("excludedAttributes")
    return Shape(names_in(only), names_in(but))


def _from_address(request: Request) -> Query:
    asked = request.query_params
    return Query(
        asked.get("filter", ""),
        _number(asked.get("startIndex"), 1),
        _number(asked.get("count"), PAGE),
        _cursor(asked.get("cursor")),
        _shape(request),
    )


def _from_body(sent: JsonObject) -> Query:
    """RFC 7644 §3.4.3."""
    schemas, text = sent.get("schemas"), sent.get("filter", "")
    if not isinstance(schemas, list) or SEARCH not in schemas or not isinstance(text, str):
        raise ScimError(400, "the request is no SearchRequest", "invalidSyntax")
    start, count, cursor = sent.get("startIndex"), sent.get("count"), sent.get("cursor")
    return Query(
        text,
        _number(start, 1),
        _number(count, PAGE),
        _cursor(cursor),
        Shape(_names(sent.get("attributes")), _names(sent.get("excludedAttributes"))),
    )


def _names(value: JsonValue) -> tuple[str, ...]:
    return names_in(",".join(str(one) for one in value)) if isinstance(value, list) else ()


def _number(value: JsonValue, usual: int) -> int:
    if value is None:
        return usual
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    raise ScimError(400, "startIndex and count are numbers", "invalidValue")


def _cursor(value: JsonValue) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9A-Za-z-]{0,64}", value):
        return value
    # RFC 9865 §2.1.
    raise ScimError(400, "the cursor is not one of ours", "invalidCursor")


def _resource(found: Resource, kind: Kind, client: Client, *, status: int = 200, etag: str = "") -> Response:
    headers = {"location": f"{client.base}/{kind}s/{found['id']}"}
    meta = found.get("meta")
    version = etag or (meta.get("version") if isinstance(meta, dict) else None)
    return _json(found, status=status, headers={**headers, "etag": str(version)} if version else headers)


def _json(body: JsonObject, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type=TYPE, headers=headers)


def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ScimError):
        raise error
    return answer_refusal(error)


def _no_route(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status: Literal[404, 405] | int = error.status_code
    detail = {404: "there is nothing at this path", 405: "this path does not know this method"}
    response = answer_refusal(ScimError(status, detail.get(status, "the request was refused")))
    response.headers.update(error.headers or {})
    return response


def _other(_request: Request, error: Exception) -> Response:
    if isinstance(error, Overloaded):
        return answer_refusal(ScimError(503, "too busy: try again"))
    if not isinstance(error, Refusal):
        raise error
    return answer_refusal(ScimError(400, error.detail, "invalidValue"))
