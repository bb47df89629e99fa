"""The filter that inspects: whatever goes wrong inside it, the request does not pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path as FilePath

import pytest

from gateway.live import API, Live, running
from kronborg.gateway.envoy.filters import inspect
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.model import Path, Route, Snapshot
from kronborg.gateway.reasons import REASONS

ROUTE = Route("read", Path("prefix", "/read"), "echo", audience=API)
OPEN = Route("open", Path("prefix", "/open"), "echo", public=True)

ERRORS = {
    "error": 'error("planted")',
    "nil": "local x = nil; return x.y",
    "type": "return 1 + {}",
    "table": "error({})",
    "deep": "local function f() return 1 + f() end; return f()",
    "unknown": 'return "a reason that nobody knows"',
    "number": "return 7",
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A gateway in whose script an error was planted, one for each name of a token."""
    with running(tmp_path_factory.mktemp("broken")) as live:
        live.publish(ROUTE, OPEN)
        listeners = live.proxy.folder / "lds.json"
        found = json.loads(listeners.read_text())
        planted = "".join(f'if claims.jti == "{name}" then {code} end\n' for name, code in ERRORS.items())
        for one in found["resources"][0]["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]:
            if one["name"] == inspect.NAME:
                source = one["typed_config"]["default_source_code"]
                before = "local function is_revoked(book, token)\n  local claims = token.claims\n"
                assert before in source["inline_string"]
                source["inline_string"] = source["inline_string"].replace(
                    "local function standing_of(token, settings, now_ms)\n",
                    f"local function standing_of(token, settings, now_ms)\nlocal claims = token.claims\n{planted}",
                )
        listeners.write_text(json.dumps(found))
        live.kill()
        live.start()
        yield live


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_in_the_script_ends_in_503_and_never_passes(broken: Live, name: str) -> None:
    answer = broken.get("/read", token=broken.token(jti=name))

    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert broken.get("/read", token=broken.token()).status == 200


@pytest.fixture(scope="module")
def live(gateway: Live) -> Live:
    gateway.publish(ROUTE, OPEN)
    return gateway


@pytest.mark.parametrize(
    "extra",
    [
        {"nested": {"a": [1, -2.5e3, True, False, None, "x"], "b": {}}, "list": []},
        {"text": 'quotes " backslash \\ slash / tab \t line \n ø € 😀 \u0000'},
        {"long": "x" * 5000},
        {"number": 12345678901234567890, "small": 1e-9},
    ],
)
def test_claims_of_any_shape_are_read(live: Live, extra: dict[str, object]) -> None:
    assert live.get("/read", token=live.token(**extra)).status == 200  # type: ignore[arg-type]


def test_claims_that_are_too_deep_to_read_are_refused(live: Live) -> None:
    deep: object = 1
    for _ in range(40):
        deep = [deep]

    assert live.get("/read", token=live.token(deep=deep)).status in (401, 503)


def test_a_public_route_is_not_inspected_whatever_comes_along(live: Live) -> None:
    assert live.get("/open", token="not.a.token").status == 200


def test_text_in_the_script_cannot_end_its_string(tmp_path: FilePath) -> None:
    hostile = 'https://a.example/"; os.exit() --\n\\'
    script = inspect.script(Snapshot(issuer=hostile), Proxy(tmp_path))

    assert hostile not in script
    assert "os.exit" not in script
    assert "@" not in "".join(line for line in script.splitlines() if line.startswith("local ") and " = @" in line)


def test_every_reason_that_a_part_gives_has_an_answer(tmp_path: FilePath) -> None:
    script = inspect.script(Snapshot(issuer="http://localhost:8081"), Proxy(tmp_path))

    for one in REASONS.values():
        if one.stage in ("revocation", "binding", "step_up"):
            assert f"  {one.name} = {{ status" in script
