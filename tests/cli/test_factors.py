"""`kronborg user reset-mfa`."""

from __future__ import annotations

from cli.shell import Shell


def test_second_factors_are_taken_away_by_name(shell: Shell) -> None:
    shell.run("init")
    shell.run("apply")
    shell.run("user", "create", "hamlet")

    done = shell.run("user", "reset-mfa", "hamlet", "--yes")
    nobody = shell.attempt("user", "reset-mfa", "nobody", "--yes")

    assert done == "Removed 0 factors.\n"
    assert nobody.returncode != 0
