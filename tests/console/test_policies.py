"""Who may do what: the policies themselves, those of an installation, and how a wrong one is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kronborg.core.policy import FOLDER, SCHEMA, Policies, Principal, Resource, policy_problems
from kronborg.core.rights import wish_of
from kronborg.sessions.visits import SECTIONS

ADMIN = Principal("u-1", ("kronborg:admin",))
SUPPORT = Principal("u-2", ("kronborg:support",))
AUDITOR = Principal("u-3", ("kronborg:auditor",))
OWNER = Principal("u-4", (), ("acme",))
NOBODY = Principal("u-5", ("shopkeeper",))
ACTIONS = sorted(set(re.findall(r'"([a-z-]+:[a-z-]+)"', SCHEMA.read_text(encoding="utf-8"))))
HELP = {"users:reset-mfa", "users:end-sessions"}
OWN = {"users:read", "users:write", *HELP, "organisations:read", "organisations:members"}


@pytest.mark.parametrize("action", ACTIONS)
def test_each_role_may_do_just_what_it_is_for(action: str) -> None:
    policies, reading = Policies(), action.endswith(":read")
    anything, own, others = (Resource("thing", "x", organisation) for organisation in ("", "acme", "globex"))

    may = {who.user_id: policies.allows(who, action, anything) for who in (ADMIN, SUPPORT, AUDITOR, OWNER, NOBODY)}

    assert may == {"u-1": True, "u-2": reading or action in HELP, "u-3": reading, "u-4": False, "u-5": False}
    assert policies.allows(OWNER, action, own) == (action in OWN)
    assert not policies.allows(OWNER, action, others)


def test_somebody_who_looks_at_themselves_is_judged_like_anybody() -> None:
    assert Policies().allows(SUPPORT, "users:read", Resource("user", SUPPORT.user_id))
    assert not Policies().allows(SUPPORT, "users:roles", Resource("user", SUPPORT.user_id))


def test_our_own_policies_hold_to_the_schema() -> None:
    assert policy_problems(FOLDER) == ()
    assert set(SECTIONS.values()) <= set(ACTIONS)


def test_every_action_that_a_page_asks_for_is_in_the_schema() -> None:
    asked = set()
    for path in FOLDER.parent.rglob("*.py"):
        asked.update(re.findall(r'"([a-z-]+:[a-z-]+)",\s*Resource\(', path.read_text(encoding="utf-8")))

    assert asked <= set(ACTIONS)


def test_an_installation_may_permit_and_forbid_more(tmp_path: Path) -> None:
    (tmp_path / "help-desk.cedar").write_text(
        'permit (principal in Role::"help-desk", action == Action::"users:read", resource);\n'
        'forbid (principal, action in Action::"delete", resource) when { resource.id == "kept" };\n',
        encoding="utf-8",
    )
    policies = Policies(tmp_path)

    assert policy_problems(tmp_path) == ()
    assert policies.allows(Principal("u", ("help-desk",)), "users:read", Resource("user"))
    assert not policies.allows(Principal("u", ("help-desk",)), "users:write", Resource("user"))
    assert policies.allows(ADMIN, "clients:delete", Resource("client", "other"))
    assert not policies.allows(ADMIN, "clients:delete", Resource("client", "kept"))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('permit (principal, action == Action::"users:reed", resource);', 1, "users:reed"),
        ('// a "comment;\n\n@id("a;b")\npermit (principal in Group::"x", action, resource);', 3, "Group"),
        ("permit (principal, action, resource);\nforbid (principal\n", 2, "unexpected"),
        (
            "permit (principal, action, resource);\npermit (principal, action, resource)\n"
            'when { resource.colour == "" };',
            2,
            "colour",
        ),
    ],
)
def test_a_wrong_policy_is_told_with_file_and_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "own.cedar"
    path.write_text(text, encoding="utf-8")

    problems = policy_problems(tmp_path)

    assert problems[0].where == f"{path}:{line}"
    assert said in problems[0].detail


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    [problem] = policy_problems(tmp_path / "nowhere")

    assert problem.where == "server.policies"


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/users", "users:read"),
        ("PATCH", "/users/x", "users:write"),
        ("DELETE", "/users/x", "users:delete"),
        ("DELETE", "/users/x/sessions", "users:end-sessions"),
        ("POST", "/config/plan", "config:read"),
        ("POST", "/config/apply", "config:write"),
        ("POST", "/tokens/revoke", "access:revoke"),
        ("GET", "/events", "audit:read"),
        ("POST", "/clients/x/secrets", "clients:secrets"),
        ("PUT", "/organisations/acme/members/x", "organisations:write"),
        ("DELETE", "/organisations/acme/members/x", "organisations:members"),
        ("POST", "/something/new", "something:write"),
        ("TRACE", "/", "api:write"),
    ],
)
def test_each_operation_of_the_admin_api_has_its_right(method: str, path: str, action: str) -> None:
    assert wish_of(method, path).action == action


@pytest.mark.parametrize(
    ("method", "path", "may"),
    [
        ("DELETE", "/organisations/acme/members/x", True),
        ("DELETE", "/organisations/globex/members/acme", False),
        ("PUT", "/organisations/acme/members/x", False),
        ("PATCH", "/users/u-4", False),
        ("GET", "/users", False),
    ],
)
def test_who_administers_an_organisation_reaches_no_further(method: str, path: str, may: bool) -> None:
    wish = wish_of(method, path)

    assert Policies().allows(OWNER, wish.action, wish.resource) == may


@pytest.mark.parametrize("action", sorted(HELP))
def test_support_does_not_weaken_the_account_of_an_administrator(action: str) -> None:
    policies, person, boss = Policies(), Resource("user", "p"), Resource("user", "b", privileged=True)

    assert policies.allows(SUPPORT, action, person)
    assert not policies.allows(SUPPORT, action, boss)
    assert policies.allows(ADMIN, action, boss)
