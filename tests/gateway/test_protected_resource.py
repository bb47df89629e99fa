"""Metadata of protected resources (RFC 9728): a client that knows nothing but a URL finds out where to get a token."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway.live import API, ISSUER, OTHER_API, SCOPES, Answer, Live
from kronborg.gateway.envoy.routes import route_table
from kronborg.gateway.model import WELL_KNOWN, Audience, Cors, Path, Route, Service, Snapshot
from kronborg.gateway.protected_resource import describe
from kronborg.gateway.validate import problems_of

URL = "http://localhost:8080"
MCP = f"{URL}/mcp"
READ = Route("read", Path("prefix", "/catalogue"), "echo", audience=API, scopes=("catalogue:read",))
WRITE = Route(
    "write", Path("prefix", "/catalogue/"), "echo", methods=("POST",), audience=API, scopes=("catalogue:write",)
)
CART = Route("cart", Path("prefix", "/cart"), "echo", audience=OTHER_API)
OPEN = Route("open", Path("prefix", "/open"), "echo", public=True)


def metadata(gateway: Live, path: str, **more: Any) -> Answer:
    return gateway.request("GET", WELL_KNOWN + path, **more)


def pointer_of(answer: Answer) -> str:
    """Read as a client reads it."""
    challenge: str = answer.headers["www-authenticate"]
    _, found, rest = challenge.partition('resource_metadata="')
    assert found
    return rest.split('"')[0]


@pytest.fixture
def described(gateway: Live) -> Live:
    gateway.publish(READ, CART, OPEN)
    return gateway


@pytest.mark.spec("RFC 9728 §5.1")
def test_rfc9728_5_1__a_refusal_leads_to_the_metadata_of_what_was_asked_for(described: Live) -> None:
    none = described.get("/catalogue/items/7")
    broken = described.get("/catalogue/items/7", token="not.a.token")
    short = described.get("/catalogue/items/7", token=described.token(scope="openid"))

    assert [answer.status for answer in (none, broken, short)] == [401, 401, 403]
    for answer in (none, broken, short):
        assert pointer_of(answer) == f"{URL}{WELL_KNOWN}/catalogue"
        assert 'scope="catalogue:read"' in answer.headers["www-authenticate"]


@pytest.mark.spec("RFC 9728 §3.2")
def test_rfc9728_3_2__the_document_says_who_issues_tokens_and_under_which_name_to_ask(described: Live) -> None:
    answer = metadata(described, "/catalogue")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {
        "resource": API,
        "authorization_servers": [ISSUER],
        "scopes_supported": sorted(SCOPES),
        "bearer_methods_supported": ["header"],
    }


@pytest.mark.spec("RFC 9728 §3.2")
def test_rfc9728_3_2__members_without_a_value_are_left_out(described: Live) -> None:
    document = metadata(described, "/cart").json()

    assert document["resource"] == OTHER_API
    assert set(document) == {"resource", "authorization_servers", "bearer_methods_supported"}


def test_any_page_may_read_it_and_nobody_may_do_more(described: Live) -> None:
    asked = {"Origin": "https://inspector.example", "Access-Control-Request-Method": "GET"}

    read = metadata(described, "/catalogue", headers={"Origin": "https://inspector.example"})
    first = described.request("OPTIONS", f"{WELL_KNOWN}/catalogue", headers=asked)
    head = described.request("HEAD", f"{WELL_KNOWN}/catalogue")
    post = described.request("POST", f"{WELL_KNOWN}/catalogue", body=b"x")

    assert read.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in read.headers
    assert (first.status, first.headers["access-control-allow-headers"]) == (204, "*")
    assert (head.status, head.body, head.headers["content-type"]) == (200, b"", "application/json")
    assert (post.status, post.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_a_client_in_a_browser_may_send_what_its_protocol_needs_and_read_where_to_go(gateway: Live) -> None:
    gateway.publish(replace(READ, cors=Cors(("https://inspector.example",))))
    origin = {"Origin": "https://inspector.example"}

    asked = gateway.request("OPTIONS", "/catalogue", headers={**origin, "Access-Control-Request-Method": "POST"})
    refused = gateway.request("POST", "/catalogue", headers=origin, body=b"{}")

    allowed = asked.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "mcp-protocol-version", "mcp-session-id", "last-event-id"} <= set(allowed)
    assert refused.status == 401
    assert refused.headers["access-control-allow-origin"] == "https://inspector.example"
    assert {"www-authenticate", "mcp-session-id"} <= set(refused.headers["access-control-expose-headers"].split(", "))


def test_what_is_open_or_not_there_has_no_document(described: Live) -> None:
    answers = [metadata(described, path) for path in ("", "/open", "/catalogue/items", "/catalogues", "/")]

    assert {answer.status for answer in answers} == {404}


def test_a_service_at_the_root_does_not_answer_in_our_place(gateway: Live) -> None:
    gateway.publish(replace(READ, path=Path("prefix", "/"), public=False), replace(CART, path=Path("exact", "/cart")))

    root, cart = metadata(gateway, ""), metadata(gateway, "/cart")
    service = gateway.get("/.well-known/something-else", token=gateway.token())

    assert (root.json()["resource"], cart.json()["resource"]) == (API, OTHER_API)
    assert service.json()["path"] == "/.well-known/something-else"


def test_many_scopes_fit(gateway: Live) -> None:
    scopes = tuple(f"catalogue:{'long' * 20}-{number}" for number in range(200))
    crowded = replace(gateway.snapshot(READ), audiences=(Audience(API, (*SCOPES, *scopes)),))

    gateway.deliver(crowded)

    assert len(metadata(gateway, "/catalogue").json()["scopes_supported"]) == 202


def served(*routes: Route, audiences: tuple[Audience, ...], **more: Any) -> Snapshot:
    service = Service("echo", ("http://127.0.0.1:9000",))
    return Snapshot(ISSUER, (service,), routes, audiences, **more)


@pytest.mark.spec("RFC 9728 §3.1")
@pytest.mark.parametrize(
    ("audience", "place"),
    [
        (MCP, f"{URL}{WELL_KNOWN}/mcp"),
        (f"{URL}/tools/mcp", f"{URL}{WELL_KNOWN}/tools/mcp"),
        (URL, f"{URL}{WELL_KNOWN}"),
        (f"{URL}/", f"{URL}{WELL_KNOWN}"),
        (f"{URL}/mcp/", f"{URL}{WELL_KNOWN}/mcp/"),
        # Not of this gateway: the path of the route stands for it.
        ("https://mcp.example/elsewhere", f"{URL}{WELL_KNOWN}/mcp"),
        ("http://localhost:9999/elsewhere", f"{URL}{WELL_KNOWN}/mcp"),
        (f"{URL}/elsewhere?tenant=1", f"{URL}{WELL_KNOWN}/mcp"),
        (f"{URL}/else%20where", f"{URL}{WELL_KNOWN}/mcp"),
        ("urn:example:mcp", f"{URL}{WELL_KNOWN}/mcp"),
    ],
)
def test_rfc9728_3_1__an_audience_that_is_a_url_here_has_its_document_where_the_url_says(
    audience: str, place: str
) -> None:
    route = Route("mcp", Path("prefix", "/mcp"), "echo", audience=audience)

    described = describe([route], served(route, audiences=(Audience(audience),)))

    assert described.pointers == {"mcp": place}
    assert described.documents[httpx.URL(place).path]["resource"] == audience


def test_a_route_of_another_host_points_to_that_host() -> None:
    routes = (
        Route("near", Path("prefix", "/mcp"), "echo", host="mcp.example", audience="https://mcp.example/mcp"),
        Route("far", Path("prefix", "/far"), "echo", host="mcp.example", audience=API),
    )
    snapshot = served(
        *routes, audiences=(Audience("https://mcp.example/mcp"), Audience(API)), url="https://api.example:8443"
    )

    described = describe(routes, snapshot)

    assert described.pointers == {
        "near": f"https://mcp.example{WELL_KNOWN}/mcp",
        "far": f"https://mcp.example:8443{WELL_KNOWN}/far",
    }


def test_two_apis_on_one_path_are_not_taken_for_one_another() -> None:
    routes = (replace(READ, methods=("GET",)), replace(WRITE, audience=OTHER_API, scopes=()))

    described = describe(routes, served(*routes, audiences=(Audience(API), Audience(OTHER_API))))

    resources = {path: document["resource"] for path, document in described.documents.items()}
    assert {name: resources[httpx.URL(url).path] for name, url in described.pointers.items()} == {
        "read": API,
        "write": OTHER_API,
    }


def test_what_the_api_understands_is_told() -> None:
    audience = Audience(API, name="Catalogue", details_types=("order", "address"))

    [document] = describe([READ], served(READ, audiences=(audience,))).documents.values()

    assert document["resource_name"] == "Catalogue"
    assert document["authorization_details_types_supported"] == ["address", "order"]


def test_the_gateway_keeps_the_place_for_itself() -> None:
    for path in (Path("exact", f"{WELL_KNOWN}/mcp"), Path("prefix", WELL_KNOWN), Path("prefix", f"{WELL_KNOWN}/")):
        route = Route("mine", path, "echo", public=True)

        [problem] = problems_of(served(route, audiences=()))

        assert (problem.where, problem.detail) == ("routes.mine.path", "is answered by the gateway itself")


def test_documents_stand_behind_the_routes_so_that_calls_do_not_pay_for_them() -> None:
    table = json.dumps(route_table(served(READ, audiences=(Audience(API, SCOPES),))))

    assert 0 < table.index('"name": "read"') < table.index(f'{WELL_KNOWN}/catalogue",')
