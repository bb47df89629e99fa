"""`kronborg surface` and `kronborg alerts` over an installation on disk."""

from __future__ import annotations

import re

import orjson
import pytest

from cli.shell import Shell

FILE = """
version: 1
services:
  things: { url: "http://127.0.0.1:9001" }
routes:
  open: { prefix: /open, service: things, public: true }
"""


@pytest.fixture
def published(shell: Shell) -> Shell:
    (shell.folder / "kronborg.yaml").write_text(FILE)
    shell.run("apply")
    return shell


def test_nothing_published_has_no_surface(shell: Shell) -> None:
    done = shell.attempt("surface", "show")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_the_surface_is_shown_checked_and_acknowledged(published: Shell) -> None:
    told = published.run("surface", "show")
    findings = published.json("surface", "show")
    exposures = published.json("surface", "show", "--published")
    low = published.attempt("surface", "check", "--severity", "low", "--json")
    strict = published.attempt("surface", "check", "--score", "100")
    first = str(findings[0]["id"])
    published.run("surface", "acknowledge", first, "--reason", "meant so", "--days", "5")
    again = published.json("surface", "show")
    unknown = published.attempt("surface", "acknowledge", "none", "--reason", "meant so")
    diff = published.json("surface", "diff")

    assert re.search(r"Score \d+ of 100, version \d+\.", told)
    assert [one["path"] for one in exposures if one["route"] == "open"] != []
    assert low.returncode in (0, 2)
    assert {"score", "findings"} <= orjson.loads(low.stdout).keys()
    assert strict.returncode == 2
    assert first in {str(one["id"]) for one in again}
    assert unknown.returncode != 0
    assert "no such finding" in unknown.stderr
    assert isinstance(diff, list)


def test_alerts_are_listed_silenced_and_told_again(published: Shell) -> None:
    rules = published.json("alerts", "rules")
    name = str(rules[0]["name"])
    firing = published.json("alerts", "list")
    before = published.json("alerts", "list", "--history", "--limit", "5")
    silenced = published.run("alerts", "silence", name, "--reason", "a move", "--for", "2h")
    found = re.search(r"kronborg alerts end (\S+)", silenced)
    assert found is not None
    ended = published.run("alerts", "end", found[1])
    twice = published.attempt("alerts", "end", found[1])
    unknown = published.attempt("alerts", "silence", "no-such-rule", "--reason", "a move")
    odd = published.attempt("alerts", "silence", name, "--reason", "a move", "--for", "soon")
    long = published.attempt("alerts", "silence", name, "--reason", "a move", "--for", "400d")
    mute = published.attempt("alerts", "silence", name)

    assert (firing, before) == ([], [])
    assert "told again" in ended
    assert [one.returncode != 0 for one in (twice, unknown, odd, long, mute)] == [True] * 5
    assert not any("Traceback" in one.stderr for one in (twice, unknown, odd, long, mute))


def test_simulation_asks_the_addresses_of_the_settings(shell: Shell) -> None:
    settings = 'server: { gateway: { addresses: { allow: ["192.0.2.0/24"], deny: ["192.0.2.66"] } } }\n'
    (shell.folder / "kronborg.yaml").write_text(FILE + settings)
    shell.run("apply")

    told = [
        shell.attempt("simulate", "request", "GET", "/open", "--address", one, "--json").stdout
        for one in ("192.0.2.7", "192.0.2.66", "198.51.100.7")
    ]

    assert [orjson.loads(one)["reason"] for one in told] == ["", "address_refused", "address_refused"]
