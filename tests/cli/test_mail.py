"""`kronborg mail test`, `kronborg user invite` and the settings of letters and people in `kronborg.yaml`."""

from __future__ import annotations

from pathlib import Path

from cli.shell import Shell
from kronborg.config import load_settings
from letter_box import read, text_of

FILE = """version: 1
server:
  issuer: https://id.kronborg.example
  mail:
    sender: Elsinore <no-reply@kronborg.example>
  people:
    registration: {open: true, domains: [kronborg.example], terms_url: "https://terms.example/"}
    attributes:
      - {name: team, label: Team, type: choice, choices: [red, blue], claim: team, required: true}
    delete_own_account: false
"""


def test_a_letter_is_tried(shell: Shell, tmp_path: Path) -> None:
    said = shell.run("mail", "test", "hamlet@kronborg.example")

    [path] = (tmp_path / ".kronborg" / "mail").iterdir()
    assert "Sent to" in said
    assert read(path.read_bytes())["to"] == "hamlet@kronborg.example"
    assert "http://localhost:8081/account" in text_of(read(path.read_bytes()))


def test_what_is_no_address_and_a_server_that_is_not_there_are_said(shell: Shell, tmp_path: Path) -> None:
    wrong = shell.attempt("mail", "test", "a@b.example, c@d.example")
    (tmp_path / "kronborg.yaml").write_text("version: 1\nserver: {mail: {host: 127.0.0.1, port: 9, security: none}}")
    away = shell.attempt("mail", "test", "a@b.example")

    assert (wrong.returncode, away.returncode) == (1, 1)
    assert "not well-formed" in wrong.stderr
    assert "Not sent" in away.stderr


def test_somebody_is_invited(shell: Shell) -> None:
    shell.run("user", "create", "yorick", "--email", "yorick@kronborg.example")
    shell.run("organisation", "create", "acme", "--name", "Acme")

    said = shell.run("user", "invite", "yorick", "--organisation", "acme")
    members = shell.json("organisation", "members", "acme")

    assert "yorick@kronborg.example" in said
    assert [one["username"] for one in members] == ["yorick"]


def test_the_file_says_who_may_register_and_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "kronborg.yaml"
    path.write_text(FILE)

    settings = load_settings(path, tmp_path, {})

    [team] = settings.people.attributes
    assert (team.kind, team.choices, team.claim, team.required) == ("choice", ("red", "blue"), "team", True)
    assert settings.people.registration.domains == ("kronborg.example",)
    assert settings.people.registration.open
    assert not settings.people.delete_own_account
    assert settings.post_office().domain == "id.kronborg.example"
    assert settings.post_office().folder == tmp_path / "mail"
