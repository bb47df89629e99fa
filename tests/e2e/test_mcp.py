"""MCP clients and the conformance suite of the protocol find their way to the shop's tools, which know no OAuth."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.node import CLIENTS, allowed, node
from e2e.published import Published
from e2e.stack import Stack
from ports import free_port

CALLS = [
    {"name": "search_products", "arguments": {"words": "klit vase"}},
    {"name": "stock", "arguments": {"product_id": "klit-vase"}},
    {"name": "add_to_cart", "arguments": {"product_id": "klit-vase", "quantity": 2}},
    {"name": "show_cart", "arguments": {}},
    {"name": "stock", "arguments": {"product_id": "no-such-thing"}},
]


def connect(stack: Stack, person: str = "mads", port: int | None = None, **wanted: object) -> dict[str, Any]:
    """What an MCP client that knows only the URL of the tools got done."""
    redirect = f"http://127.0.0.1:{port or free_port()}/callback"
    with node("mcp_client", {"server": stack.mcp, "redirect_uri": redirect, **wanted}) as client:
        client.tell(allowed(stack.identity, client.said()["authorize"], person, stack.passwords[person]))
        result: dict[str, Any] = client.said()["result"]
        return result


@pytest.mark.spec("RFC 9728 §5")
def test_a_client_that_knows_only_the_url_calls_the_tools_in_the_name_of_a_person(stack: Stack) -> None:
    result = connect(stack, client_id="assistant", calls=CALLS)

    assert result["asked"][:3] == [
        "POST /mcp",
        "GET /.well-known/oauth-protected-resource/mcp",
        "GET /.well-known/oauth-authorization-server",
    ]
    assert set(result["tools"]) == {"search_products", "stock", "show_cart", "add_to_cart"}
    search, stock, added, cart, unknown = result["calls"]
    assert search["structuredContent"]["items"][0]["id"] == "klit-vase"
    assert stock["structuredContent"]["available"] >= 0
    line = {"product_id": "klit-vase"}
    assert [item for item in added["structuredContent"]["items"] if line.items() <= item.items()]
    assert cart["structuredContent"] == added["structuredContent"]
    assert (unknown["isError"], "no such product" in unknown["content"][0]["text"]) == (True, True)
    assert result["renewed"]
    assert result["state"] == "a-state-of-the-client"


def test_what_an_assistant_put_into_a_cart_lies_in_that_cart_only(stack: Stack) -> None:
    calls = [{"name": "add_to_cart", "arguments": {"product_id": "tang-rug"}}, {"name": "show_cart", "arguments": {}}]

    connect(stack, "mads", client_id="assistant", calls=calls)
    hers = connect(stack, "freja", client_id="assistant", calls=calls[1:])

    ids = [item["product_id"] for item in hers["calls"][0]["structuredContent"]["items"]]
    assert "tang-rug" not in ids


@pytest.mark.spec("RFC 7591 §3")
def test_rfc7591_3__a_client_that_nobody_registered_registers_itself(stack: Stack) -> None:
    result = connect(stack, calls=CALLS[:1])

    assert "POST /oauth/register" in result["asked"]
    assert result["client"]["client_id"] != "assistant"
    assert result["calls"][0]["structuredContent"]["total"] >= 1
    assert result["renewed"]


@pytest.mark.spec("draft-ietf-oauth-client-id-metadata-document §3")
def test_a_client_whose_id_is_the_url_of_a_document_needs_no_registration(stack: Stack, published: Published) -> None:
    port = free_port()
    url = published.client("helper", f"http://127.0.0.1:{port}/callback")

    result = connect(stack, port=port, metadata_url=url, calls=CALLS[:1])

    assert result["client"]["client_id"] == url
    assert "POST /oauth/register" not in result["asked"]
    assert "/helper.json" in published.asked
    assert result["calls"][0]["structuredContent"]["total"] >= 1
    assert result["renewed"]


@pytest.mark.spec("draft-ietf-oauth-client-id-metadata-document §3")
def test_a_client_without_a_port_in_its_document_may_listen_on_any(stack: Stack, published: Published) -> None:
    url = published.client("native", "http://127.0.0.1/callback")

    assert connect(stack, metadata_url=url)["client"]["client_id"] == url


@pytest.mark.spec("RFC 9728 §3.3")
def test_rfc9728_3_3__the_metadata_name_exactly_the_url_that_a_client_asked(stack: Stack) -> None:
    port = free_port()
    wanted = {"server": stack.mcp, "redirect_uri": f"http://127.0.0.1:{port}/callback", "client_id": "assistant"}
    with node("mcp_client", {**wanted, "show": True}) as client:
        client.tell(allowed(stack.identity, client.said()["authorize"], "mads", stack.passwords["mads"]))
        token = client.said()["result"]["token"]

    with node("protected_resource", {"resource": stack.mcp, "token": token}) as program:
        result = program.said()["result"]

    assert result["resource"]["resource"] == stack.mcp
    assert (result["claims"]["aud"], result["claims"]["scope"]) == (stack.mcp, "shop:assist")
    assert result["challenge"]["scheme"] == "bearer"
    assert result["challenge"]["parameters"] == {
        "realm": "kronborg",
        "error": "invalid_token",
        "scope": "shop:assist",
        "resource_metadata": f"{stack.gateway}/.well-known/oauth-protected-resource/mcp",
    }


@pytest.mark.spec("RFC 8707 §2.2")
def test_rfc8707_2_2__the_token_is_for_the_tools_alone(stack: Stack) -> None:
    other = stack.token("shop-batch", scope="inventory:read")

    there = httpx.post(stack.mcp, headers={"authorization": f"Bearer {other}"}, json={}, trust_env=False)

    assert there.status_code == 401
    assert 'error="invalid_token"' in there.headers["www-authenticate"]


def conformance(stack: Stack, results: Path, *scenario: str) -> dict[str, list[dict[str, Any]]]:
    """Run the suite's tests of authorization servers; its checks by scenario."""
    port = free_port()
    suite = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    given = ["--url", stack.identity, "--client-id", "assistant", "--resource", stack.mcp, "--port", str(port)]
    process = subprocess.Popen(
        ["node", "--import", "./old_node.mjs", suite, "authorization", *given, "--output-dir", str(results), *scenario],
        cwd=CLIENTS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith(f"{stack.identity}/oauth/authorize?"):
                back = allowed(stack.identity, line.strip(), "mads", stack.passwords["mads"])
                assert httpx.get(back, trust_env=False).is_success
        assert process.wait(timeout=30) == 0, "".join(said)
    finally:
        process.kill()
        process.communicate()
    return {path.parent.name: json.loads(path.read_text()) for path in results.rglob("checks.json")}


def test_the_conformance_suite_finds_nothing_against_the_authorization_server(stack: Stack, tmp_path: Path) -> None:
    found = conformance(stack, tmp_path)

    checks = {check["id"]: check for scenario in found.values() for check in scenario}
    assert {name: check["status"] for name, check in checks.items()} == {
        "authorization-server-metadata": "SUCCESS",
        "authorization-server-metadata-cimd": "SUCCESS",
        "authorization-code-grant": "SUCCESS",
    }
