"""`kronborg directory …`: from a file to a switched-off and deleted directory; what does not answer is said."""

from __future__ import annotations

from cli.shell import Shell
from ports import free_port

TEXT = """
version: 1
directories:
  corp:
    name: Corp
    servers: ["ldap://127.0.0.1:{port}"]
    start_tls: false
    base: dc=corp,dc=example
    bind_dn: cn=admin,dc=corp,dc=example
    bind_password: {{ env: BIND }}
"""


def test_a_directory_on_the_command_line(shell: Shell) -> None:
    (shell.folder / "kronborg.yaml").write_text(TEXT.format(port=free_port()))
    applied = shell.attempt("apply", BIND="the password")
    listed = shell.json("directory", "list")
    shell.run("directory", "disable", "corp")
    shown = shell.json("directory", "show", "corp")
    shell.run("directory", "enable", "corp")
    tried = shell.run("directory", "test", "corp", code=1)
    synced = shell.run("directory", "sync", "corp", code=1)
    shell.run("directory", "delete", "corp", "--accounts", "everything", "--yes", code=2)
    shell.run("directory", "delete", "corp", "--accounts", "disable", "--yes")

    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert [one["key"] for one in listed] == ["corp"]
    assert (shown["disabled"], shown["has_bind_password"]) == (True, True)
    assert "the password" not in str(listed) + str(shown) + applied.stdout
    assert "refused" in tried
    assert "refused" in synced
    assert shell.json("directory", "list") == []
