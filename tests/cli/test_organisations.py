"""`kronborg organisation …` and nested groups on the command line."""

from __future__ import annotations

from cli.shell import Shell


def test_an_organisation_on_the_command_line(shell: Shell) -> None:
    shell.run("user", "create", "anna", "--email", "anna@example.com")
    made = shell.run("organisation", "create", "acme", "--name", "Acme A/S", "--domain", "acme.example")
    before = shell.json("organisation", "show", "acme")
    shell.run("organisation", "confirm", "acme", "acme.example")
    shell.run("organisation", "update", "acme", "--domain", "acme.example", "--domain", "new.example")
    shell.run("organisation", "add", "acme", "anna@example.com", "--admin")
    members = shell.json("organisation", "members", "acme")
    after = shell.json("organisation", "list")
    shell.run("organisation", "remove", "acme", "anna")
    shell.run("organisation", "delete", "acme", "--yes")

    assert "kronborg-domain=" in made
    assert (before["domains"], before["pending_domains"]) == ([], ["acme.example"])
    assert (after[0]["domains"], after[0]["pending_domains"]) == (["acme.example"], ["new.example"])
    assert [(one["username"], one["role"]) for one in members] == [("anna", "admin")]
    assert shell.json("organisation", "list") == []


def test_groups_stand_in_groups_and_machines_have_accounts(shell: Shell) -> None:
    shell.run("group", "create", "staff", "--role", "clerk")
    shell.run("group", "create", "guard", "--parent", "staff")
    inside = shell.json("group", "show", "guard")
    shell.run("group", "update", "guard", "--parent", "", "--name", "night guard", "--role", "watch")
    outside = shell.json("group", "show", "night guard")
    robot = shell.json("user", "create", "robot", "--service", "--group", "night guard")

    assert inside["parent"] == "staff"
    assert (outside["parent"], outside["roles"]) == (None, ["watch"])
    assert robot["kind"] == "service"
