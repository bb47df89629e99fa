"""`kronborg traffic` and `kronborg draft what-if` over records on disk."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from cli.shell import Shell
from kronborg.core import clock
from kronborg.traffic.row_model import rows_of
from kronborg.traffic.sqlite_store import SqliteTraffic
from traffic.lines import NOON, line

FILE = """
version: 1
apis:
  shop: { audience: "https://shop.example/api", name: Shop, scopes: { "things:read": Look, "things:write": Change } }
services:
  things: { url: "http://127.0.0.1:9001" }
routes:
  things: { prefix: /things, host: shop.example, service: things, audience: shop, scopes: ["things:read"] }
"""
DRAFT = FILE.replace('scopes: ["things:read"]', 'scopes: ["things:write"]')
ODD = {"c": 403, "d": "rbac_access_denied_matched_policy[missing_scope]", "us": None, "uh": None}


@pytest.fixture
def recorded(shell: Shell) -> Shell:
    """A published route, and forty requests of the last minutes."""
    (shell.folder / "kronborg.yaml").write_text(FILE)
    (shell.folder / "draft.yaml").write_text(DRAFT)
    shell.run("apply")
    after = clock.now() - NOON + timedelta(seconds=1)
    made = [line(n, after=after + timedelta(milliseconds=n)) for n in range(40)]
    made.append(line(90, after=after + timedelta(milliseconds=90), k="cart", sc="other", p="/things/\x1b[2J", **ODD))
    store = SqliteTraffic(next(shell.folder.rglob("kronborg.db")).parent / "traffic")
    store.write(rows_of(made, "gateway-1")[0])
    store.close()
    return shell


def test_records_are_searched_counted_and_followed(recorded: Shell) -> None:
    found = recorded.json("traffic", "search", "client:cart", "status:4xx")
    some = recorded.json("traffic", "search", "--limit", "5")
    most = recorded.json("traffic", "top", "reason")
    tail = recorded.run("traffic", "tail", "--once", "reason:missing_scope")
    told = [json.loads(one) for one in recorded.run("traffic", "tail", "--once", "--json").splitlines()]
    odd = recorded.attempt("traffic", "search", "colour:red")
    span = recorded.attempt("traffic", "search", "--span", "1y")

    assert [(one["client"], one["reason"]) for one in found] == [("cart", "missing_scope")]
    assert len(some) == 5
    assert [(one["name"], one["requests"]) for one in most] == [("missing_scope", 1)]
    assert "\x1b" not in tail
    assert "/things/?[2J" in tail
    assert [one["at"] for one in told] == sorted(one["at"] for one in told)
    assert len(told) == 41
    assert odd.returncode != 0
    assert span.returncode == 2


def test_what_if_tells_what_would_fail_and_ends_with_3(recorded: Shell) -> None:
    recorded.run("draft", "create", "tight")
    same = recorded.run("draft", "what-if", "tight")
    recorded.run("draft", "put", "tight", "draft.yaml")
    text = recorded.attempt("draft", "what-if", "tight", "--since", "15m")
    told = json.loads(recorded.run("draft", "what-if", "tight", "--json", code=3))
    back = recorded.run("version", "what-if", "1")
    none = recorded.attempt("draft", "what-if", "loose")

    assert "41 requests replayed, 40 as before." in same
    assert text.returncode == 3
    assert "newly refused: missing_scope  route things, client shop-web" in text.stdout
    assert (told["replayed"], told["fails"], told["unjudged_requests"]) == (41, 40, 1)
    assert told["refused"][0]["reason"] == "missing_scope"
    assert len(told["refused"][0]["examples"]) == 5
    assert "40 as before" in back
    assert none.returncode not in (0, 3)
