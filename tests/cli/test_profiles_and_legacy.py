"""What the command line says of profiles and of legacy: refusals with clause and place, warnings that end nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.shell import Shell

FILE = """\
version: 1
server:
  issuer: http://localhost:1{port}
{server}
clients:
  old-till:
    name: Old till
    kind: confidential
    grants: [{grant}]
    scopes: [openid]
    secret: {{env: OLD_SECRET}}
{settings}
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def write(shell: Shell, *, server: str = "", grant: str = "client_credentials", settings: str = "") -> None:
    text = FILE.format(port=8081, server=server, grant=grant, settings=settings)
    (shell.folder / "kronborg.yaml").write_text(text, encoding="utf-8")


def test_a_plan_notes_what_the_file_allows_for_old_systems(shell: Shell) -> None:
    write(shell, grant="password")

    plan = shell.attempt("plan", OLD_SECRET="x" * 40)
    applied = shell.attempt("apply", OLD_SECRET="x" * 40)
    listed = shell.attempt("client", "list")
    shown = shell.attempt("client", "show", "old-till")

    assert "note: client old-till: the password grant" in plan.stdout
    assert "RFC 9700 §2.4" in plan.stdout
    assert applied.returncode == 0
    for told in (listed, shown):
        assert "warning: client old-till: the password grant" in told.stderr


@pytest.mark.spec("FAPI 2.0 SP §5.3.2.1")
@pytest.mark.parametrize(
    ("server", "settings"),
    [("  profile: fapi2-security", ""), ("", "    settings: {profile: fapi2-security}")],
    ids=["installation", "client"],
)
def test_what_contradicts_a_profile_is_refused_with_its_clause_and_its_line(
    shell: Shell, server: str, settings: str
) -> None:
    write(shell, server=server, settings=settings)

    plan = shell.attempt("plan", OLD_SECRET="x" * 40)

    assert plan.returncode == 1
    assert "fapi2-security requires private_key_jwt or mTLS (FAPI 2.0 SP §5.3.2.1 (6))" in plan.stderr
    assert plan.stderr.startswith("kronborg.yaml:")
    assert "clients.old-till" in plan.stderr


def test_an_unknown_profile_is_named_with_the_known_ones(shell: Shell) -> None:
    write(shell, server="  profile: fapi3")

    plan = shell.attempt("plan", OLD_SECRET="x" * 40)

    assert plan.returncode == 1
    assert "server.profile" in plan.stderr


def test_a_client_shows_what_its_profile_switches_on(shell: Shell) -> None:
    write(shell, server="  profile: oauth21")
    shell.attempt("apply", OLD_SECRET="x" * 40)

    shown = shell.json("client", "show", "old-till")
    refused = shell.attempt("client", "create", "other", "--grant", "password")

    assert shown["demanded_by_profile"] == {"require_pkce": True}
    assert (refused.returncode, "RFC 9700 §2.4" in refused.stderr) == (1, True)
