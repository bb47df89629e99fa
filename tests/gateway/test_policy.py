"""Cedar policies of routes: what the proxy decides by itself is what the Cedar library decides."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.live import API, Live
from kronborg.gateway.model import Path, Route
from kronborg.gateway.policies import Facts, decide, formula_of, needs_decision
from kronborg.gateway.policy_formula import Malformed, Outside

CLAIMS: tuple[dict[str, Any], ...] = (
    {},
    {"department": "sales"},
    {"department": "it", "level": 3, "vip": True},
    {"department": ["sales", "it"], "level": "3", "vip": "true"},
    {"department": None, "vip": False, "groups": []},
    {"groups": ["buyers"], "address": {"country": "DK"}},
    {"groups": ["buyers", "sellers"], "address": {"country": 7}, "level": 4.5},
    {"groups": "buyers", "address": "DK", "level": 3.0},
    {"groups": {"buyers": True}, "department": "sales", "vip": 1},
    {"roles": ["clerk"], "scope": "catalogue:read catalogue:write"},
    {"roles": ["clerk", "boss"], "scope": "", "sub": "boss", "client_id": "till"},
    {"roles": [], "scope": "catalogue:write", "sub": "user-1", "department": "sales", "vip": True},
)
ATOMS = (
    "context.claims has department",
    'context.claims.department == "sales"',
    'context.claims.department != "sales"',
    'context.claims.address.country == "DK"',
    "context.claims.level == 3",
    "context.claims.vip == true",
    "context.claims.vip",
    'context.claims.groups.contains("buyers")',
    '(context.claims.groups.contains("buyers") || context.claims.groups.contains("sellers"))',
    'context.scopes.contains("catalogue:read")',
    'context.scopes.containsAny(["catalogue:write", "x"])',
    'context.roles.containsAll(["clerk", "boss"])',
    'context.client == "till"',
    'context.path like "*/deep/*"',
    '["sales", "law"].contains(context.claims.department)',
    'principal == Subject::"boss"',
    'principal in Role::"clerk"',
    'action == Action::"POST"',
    'action in [Action::"GET", Action::"HEAD"]',
    "true",
)


def expression(dice: random.Random, depth: int) -> str:
    if depth == 0:
        return dice.choice(ATOMS)
    match dice.randrange(4):
        case 0:
            return f"!({expression(dice, depth - 1)})"
        case 1:
            return f"({expression(dice, depth - 1)} && {expression(dice, depth - 1)})"
        case 2:
            return f"({expression(dice, depth - 1)} || {expression(dice, depth - 1)})"
        case _:
            return expression(dice, depth - 1)


def policies(dice: random.Random, count: int) -> list[str]:
    """Policies that the proxy can decide, about half of them with a `forbid`."""
    found = [f"permit(principal, action, resource) when {{ {atom} }};" for atom in ATOMS]
    while len(found) < count:
        verb = dice.choice(("when", "unless"))
        text = f"permit(principal, action, resource) {verb} {{ {expression(dice, dice.randrange(1, 4))} }};"
        if dice.random() < 0.5:
            text += f"forbid(principal, action, resource) when {{ {expression(dice, dice.randrange(3))} }};"
        if not needs_decision(text, "r"):
            found.append(text)
    return found


def test_the_proxy_decides_as_the_library_does(gateway: Live) -> None:
    chosen = policies(random.Random(20261123), 44)
    gateway.publish(
        *(Route(f"p{n}", Path("prefix", f"/p{n}"), "echo", audience=API, policy=text) for n, text in enumerate(chosen))
    )
    differing, allowed, asked = [], 0, 0

    for claims in CLAIMS:
        token, told = gateway.token(**claims), gateway.claims(**claims)
        roles, scope = claims.get("roles", ()), str(told["scope"])
        for n, text in enumerate(chosen):
            method, path = ("POST", f"/p{n}/deep/x") if n % 3 else ("GET", f"/p{n}")
            facts = Facts(
                subject=str(told["sub"]),
                client=str(told["client_id"]),
                method=method,
                route=f"p{n}",
                path=path,
                scopes=tuple(scope.split()),
                roles=tuple(roles) if isinstance(roles, (list, tuple)) else (),
                claims=told,  # type: ignore[arg-type]
            )
            wanted = decide(text, facts)
            status = gateway.request(method, path, token=token).status
            asked, allowed = asked + 1, allowed + wanted
            if status != (200 if wanted else 403):
                differing.append((text, claims, method, wanted, status))

    assert not differing, differing[:3]
    assert 0.2 < allowed / asked < 0.8


@pytest.mark.parametrize(
    "condition",
    [
        "context.claims.level > 3",
        'context.claims.groups.contains("a") || context.claims has x',
        '!context.claims.groups.contains("banned")',
        'if context.claims has a then true else context.claims.b == "c"',
        "context.claims.a == context.claims.b",
        'principal in Group::"x" && context.claims.a.b has c && !(context.claims.a has b)',
        'ip("192.0.2.1").isLoopback()',
        "context.unknown == 1",
        " || ".join(f'context.claims.a{n} == "{n}"' for n in range(60)),
    ],
)
def test_what_the_proxy_cannot_decide_is_said(condition: str) -> None:
    text = f"permit(principal, action, resource) when {{ {condition} }};"

    assert needs_decision(text, "r")


@pytest.mark.parametrize(
    "text", ["", "permit", "allow(principal);", "permit(principal == ?principal, action, resource);"]
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises((Malformed, Outside)):
        formula_of(text, "r")


def test_a_claim_cannot_pass_for_an_entity() -> None:
    claims = {"boss": {"__entity": {"type": "Role", "id": "admin"}}}
    facts = Facts("u", "c", "GET", "r", "/r", claims=claims)

    assert not decide('permit(principal, action, resource) when { context.claims.boss == Role::"admin" };', facts)


def test_a_policy_names_its_route() -> None:
    text = 'permit(principal, action, resource == Route::"orders");'

    assert decide(text, Facts("u", "c", "GET", "orders", "/o")) is True
    assert formula_of(text, "orders") != formula_of(text, "other")
