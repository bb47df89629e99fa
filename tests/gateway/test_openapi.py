"""OpenAPI documents: what is taken, what is a bomb, and what they say of a request."""

from __future__ import annotations

import json
import time

import pytest

from gateway.guarding import compiled
from kronborg.core.errors import Invalid
from kronborg.gateway.content_model import JsonBounds
from kronborg.gateway.documents_check import Sent, check
from kronborg.gateway.documents_compile import Compiled
from kronborg.gateway.documents_read import read

SCHEMA = "#/components/schemas/"


def document(paths: object, schemas: object = None, **more: object) -> bytes:
    told = {"openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "paths": paths, **more}
    return json.dumps({**told, "components": {"schemas": schemas or {}}}).encode()


def posting(schema: object, schemas: object = None, **more: object) -> Compiled:
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return compiled(document({"/x": {"post": {"requestBody": body}}}, schemas, **more))


def asking(*parameters: object, path: str = "/x") -> Compiled:
    return compiled(document({path: {"get": {"parameters": list(parameters)}}}))


def sent(target: str = "/x", *, method: str = "GET", body: bytes = b"", **headers: str) -> Sent:
    path, _, query = target.partition("?")
    named = {name.replace("_", "-"): (value,) for name, value in headers.items()}
    return Sent(method, path, query, named, body)


def wrong(found: Compiled, request: Sent) -> list[tuple[str, str]]:
    return [(one.pointer, one.expected) for one in check(found, request, JsonBounds())]


def posted(found: Compiled, value: object) -> list[tuple[str, str]]:
    body = json.dumps(value).encode()
    return wrong(found, sent(method="POST", body=body, content_type="application/json"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"openapi": "2.0", "paths": {}}',
        document({}),
        document({"/x": {"get": {"$ref": "https://elsewhere.example/x.json"}}}),
        document({"/x": {"get": {"a": {"$ref": "other.json#/x"}}}}),
        document({"/x": {"get": {}}}, {"A": {"$ref": SCHEMA + "Missing"}}),
        document({"/x": {"get": {}}}, {"A": {"$id": "https://elsewhere.example/"}}),
        document({"/x": {"get": {}}}, {"A": {"$ref": SCHEMA + "A"}}),
        document({"/x": {"get": {}}}, {"A": {"allOf": [{"$ref": SCHEMA + "B"}]}, "B": {"not": {"$ref": SCHEMA + "A"}}}),
        b'{"openapi": "3.1.0", "openapi": "3.1.0", "paths": {}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"x: " + b"[" * 5_000,
        b" " * 1_048_577,
        b"openapi: 3.1.0\npaths: !!python/object:os.system {}\n",
        b"\xff\xfe",
    ],
)
def test_what_cannot_stand_is_refused(content: bytes) -> None:
    begun = time.monotonic()

    with pytest.raises(Invalid):
        read(content)

    assert time.monotonic() - begun < 5


def test_aliases_that_grow_are_refused() -> None:
    lines = ["openapi: 3.1.0", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(Invalid):
        read("\n".join(lines).encode())


def test_references_that_fan_out_are_refused() -> None:
    schemas = {f"S{n}": {"allOf": [{"$ref": f"{SCHEMA}S{n + 1}"}] * 2} for n in range(40)}

    with pytest.raises(Invalid):
        read(document({"/x": {"get": {}}}, {**schemas, "S40": {"type": "string"}}))


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(" * 5])
def test_patterns_that_need_backtracking_are_refused(pattern: str) -> None:
    with pytest.raises(Invalid):
        posting({"type": "string", "pattern": pattern})


def test_patterns_take_linear_time() -> None:
    found = posting({"type": "string", "pattern": "^(a+)+$"})
    begun = time.monotonic()

    told = posted(found, "a" * 30_000 + "!")

    assert told == [("", "pattern ^(a+)+$")]
    assert time.monotonic() - begun < 1


def test_a_tree_is_followed_into_its_branches() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": SCHEMA + "Tree"}, "size": {"type": "integer"}}}
    found = posting({"$ref": SCHEMA + "Tree"}, {"Tree": tree})

    assert posted(found, {"next": {"next": {"size": 1}}}) == []
    assert posted(found, {"next": {"next": {"size": "1"}}}) == [("/next/next/size", "type integer")]


def test_names_that_no_document_has_are_not_repeated() -> None:
    found = posting({"type": "object", "additionalProperties": {"type": "integer"}})

    assert posted(found, {"<script>": "x"}) == [("/*", "type integer")]


@pytest.mark.parametrize(
    ("schema", "fine", "bad"),
    [
        ({"type": "string", "nullable": True}, None, 1),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, 2, 1),
        ({"type": "string", "enum": ["a"], "nullable": True}, None, "b"),
    ],
)
def test_documents_of_3_0_are_read_as_such(schema: object, fine: object, bad: object) -> None:
    found = posting(schema, openapi="3.0.3")

    assert posted(found, fine) == []
    assert posted(found, bad) != []


@pytest.mark.parametrize(
    ("parameter", "fine", "bad"),
    [
        ({"in": "query", "schema": {"type": "integer", "minimum": 1}}, "/x?p=3", "/x?p=0"),
        ({"in": "query", "required": True, "schema": {"type": "string"}}, "/x?p=", "/x"),
        ({"in": "query", "schema": {"type": "boolean"}}, "/x?p=true", "/x?p=True"),
        ({"in": "query", "schema": {"enum": ["a", "b"]}}, "/x?p=a", "/x?p=c"),
        ({"in": "query", "schema": {"type": "string"}}, "/x?p=a", "/x?p=a&p=b"),
        ({"in": "query", "schema": {"type": "array", "items": {"type": "integer"}}}, "/x?p=1&p=2", "/x?p=1&p=b"),
        (
            {"in": "query", "explode": False, "schema": {"type": "array", "items": {"type": "integer"}}},
            "/x?p=1,2",
            "/x?p=1,b",
        ),
        (
            {"in": "query", "style": "pipeDelimited", "explode": False, "schema": {"type": "array", "maxItems": 2}},
            "/x?p=1|2",
            "/x?p=1|2|3",
        ),
        (
            {
                "in": "query",
                "style": "deepObject",
                "schema": {"type": "object", "properties": {"n": {"type": "integer"}}},
            },
            "/x?p[n]=1",
            "/x?p[n]=one",
        ),
        (
            {"in": "query", "content": {"application/json": {"schema": {"type": "object"}}}},
            "/x?p=%7B%7D",
            "/x?p=[[",
        ),
    ],
)
@pytest.mark.spec("OpenAPI 3.1 §4.8.12")
def test_parameters_of_the_query(parameter: dict[str, object], fine: str, bad: str) -> None:
    found = asking({"name": "p", **parameter})

    assert wrong(found, sent(fine)) == []
    assert wrong(found, sent(bad)) != []


def test_parameters_of_headers_cookies_and_paths() -> None:
    header = asking({"name": "X-Count", "in": "header", "required": True, "schema": {"type": "integer"}})
    cookie = asking({"name": "c", "in": "cookie", "schema": {"type": "integer"}})
    path = asking({"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}, path="/x/{id}")
    ignored = asking({"name": "Accept", "in": "header", "required": True, "schema": {"type": "integer"}})

    assert wrong(header, sent(x_count="3")) == []
    assert wrong(header, sent()) == [("X-Count", "is required")]
    assert wrong(cookie, sent(cookie="b=x; c=3")) == []
    assert wrong(cookie, sent(cookie="c=x")) != []
    assert wrong(path, sent("/x/12")) == []
    assert wrong(path, sent("/x/%61")) == [("id", "type integer")]
    assert wrong(ignored, sent()) == []


@pytest.mark.spec("OpenAPI 3.1 §4.8.8")
def test_concrete_paths_come_first_and_servers_have_paths() -> None:
    paths: dict[str, object] = {"/x/me": {"get": {}}, "/x/{id}": {"post": {}}}
    found = compiled(document(paths, servers=[{"url": "https://shop.example/v1"}]))

    assert wrong(found, sent("/x/me")) == []
    assert wrong(found, sent("/v1/x/me")) == []
    assert wrong(found, sent("/x/me", method="POST")) != []
    assert wrong(found, sent("/x/3", method="POST")) == []
    assert wrong(found, sent("/y")) != []
    assert wrong(found, sent("/x/me", method="HEAD")) == []


def test_forms_are_read_by_their_schema() -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "t": {"type": "array"}}}
    form = {"content": {"application/x-www-form-urlencoded": {"schema": schema}, "multipart/form-data": {}}}
    found = compiled(document({"/x": {"post": {"requestBody": form}}}))
    kind = "application/x-www-form-urlencoded"

    assert wrong(found, sent(method="POST", body=b"n=1&t=a&t=b", content_type=kind)) == []
    assert wrong(found, sent(method="POST", body=b"n=a", content_type=kind)) == [("/n", "type integer")]
    assert wrong(found, sent(method="POST", body=b"n=%ff", content_type=kind)) != []
    assert wrong(found, sent(method="POST", body=b"--x", content_type="multipart/form-data; boundary=x")) == []
    assert wrong(found, sent(method="POST", body=b"{}", content_type="application/json")) != []
