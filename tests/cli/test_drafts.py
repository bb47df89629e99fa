"""`kronborg draft`, `version` and `simulate`, from a file to the way back."""

from __future__ import annotations

import json

from cli.shell import Shell

FILE = """
version: 1
apis:
  shop: { audience: "https://shop.example/api", name: Shop, scopes: { "shop:read": Look } }
services:
  shop: { url: "http://127.0.0.1:9001" }
routes:
  shop: { prefix: /shop, service: shop, audience: shop, scopes: ["shop:read"] }
"""
DRAFT = """
version: 1
routes:
  shop: { prefix: /shop, service: shop, public: true }
  news: { path: /news, service: shop, public: true, methods: [GET] }
  mine: { path: /mine, service: shop, audience: shop }
"""


def test_a_draft_goes_from_a_file_to_a_version_and_back(shell: Shell) -> None:
    (shell.folder / "kronborg.yaml").write_text(FILE)
    (shell.folder / "draft.yaml").write_text(DRAFT)

    shell.run("apply", "--comment", "first")
    shell.run("draft", "create", "open", "--comment", "open it")
    shell.run("draft", "put", "open", "draft.yaml")
    told = shell.run("draft", "show", "open")
    listed = shell.json("draft", "list")
    planned = shell.run("plan", "--draft", "open")
    before = shell.attempt("simulate", "request", "GET", "/shop/1")
    drafted = shell.run("simulate", "request", "GET", "/shop/1", "--draft", "open")
    shell.run("draft", "publish", "open")
    versions = shell.json("version", "list")
    differs = shell.json("version", "diff", "2")
    shell.run("version", "rollback", "1", "--yes")
    after = shell.attempt("simulate", "request", "GET", "/news")
    again = shell.run("plan")

    assert "opens: route shop becomes public" in told
    assert "It can be published." in told
    assert [one["changes"] for one in listed] == [3]
    assert "public: yes → no" in planned
    assert (before.returncode, "401 missing_token" in before.stdout) == (3, True)
    assert "the service shop answers" in drafted
    assert [(one["number"], one["comment"]) for one in versions] == [(2, "open it"), (1, "first")]
    assert {one["name"] for one in differs["changes"]} == {"shop", "news", "mine"}
    assert (after.returncode, "404 no_route" in after.stdout) == (3, True)
    assert "Nothing to change." in again


def test_changes_are_taken_out_removed_and_discarded(shell: Shell) -> None:
    (shell.folder / "kronborg.yaml").write_text(FILE)
    (shell.folder / "draft.yaml").write_text(DRAFT)
    shell.run("apply")
    shell.run("draft", "create", "open")
    shell.run("draft", "put", "open", "draft.yaml")

    shell.run("draft", "undo", "open", "route", "news")
    shell.run("draft", "remove", "open", "service", "shop")
    shown = shell.json("draft", "show", "open")
    refused = shell.attempt("draft", "publish", "open")
    shell.run("draft", "rebase", "open")
    odd = shell.attempt("draft", "remove", "open", "planet", "x")
    shell.run("draft", "discard", "open", "--yes")

    assert (shown["ready"], [one["where"] for one in shown["problems"]]) == (
        False,
        ["routes.shop.service", "routes.mine.service"],
    )
    assert (refused.returncode, "routes.shop.service" in refused.stderr) == (1, True)
    assert (odd.returncode, shell.json("draft", "list")) == (1, [])


def test_who_may_call_and_what_claims_would_get(shell: Shell) -> None:
    (shell.folder / "kronborg.yaml").write_text(
        FILE
        + 'clients:\n  batch: { name: Batch, kind: confidential, grants: [client_credentials], scopes: ["shop:read"],'
        " auth_method: client_secret_basic, secret: { env: BATCH } }\n"
    )
    assert shell.attempt("apply", BATCH="a-secret-of-enough-letters-to-be-one-123").returncode == 0
    of_api = ("--audience", "https://shop.example/api")

    callers = shell.json("simulate", "callers", "shop")
    by_path = shell.run("simulate", "callers", "/shop/7")
    fine = shell.json("simulate", "request", "GET", "/shop/1", *of_api, "--scope", "shop:read")
    short = shell.attempt("simulate", "request", "GET", "/shop/1", *of_api, "--json")
    none = shell.attempt("simulate", "request", "GET", "/shop/1", "--token", "-", stdin="nonsense")
    wrong = shell.attempt("simulate", "request", "GET", "/shop/1", "--address", "here")

    assert [(one["id"], one["alone"]) for one in callers["clients"]] == [("batch", True)]
    assert "batch" in by_path
    assert fine["ending"] == "service"
    assert json.loads(short.stdout)["reason"] == "missing_scope"
    assert "invalid_token" in none.stdout
    assert (wrong.returncode, "is no IP address" in wrong.stderr) == (1, True)
