"""`kronborg user import` as an administrator runs it."""

from __future__ import annotations

import json

from cli.shell import Shell


def test_people_are_imported_by_a_command_that_may_be_run_again(shell: Shell) -> None:
    shell.run("init")
    shell.run("apply")
    lines = [{"username": f"guard{n}"} for n in range(3)] + [{"username": "", "groups": ["nobody"]}]
    (shell.folder / "people.jsonl").write_text("\n".join(json.dumps(line) for line in lines))

    tried = shell.attempt("user", "import", "people.jsonl", "--dry-run")
    done = shell.attempt("user", "import", "people.jsonl")
    again = shell.attempt("user", "import", "people.jsonl", "--from-line", "2", "--json")
    unknown = shell.attempt("user", "import", "people.txt")

    assert "3 would be made, 0 there already, 1 of 4 lines wrong." in tried.stdout
    assert "line 4: username: this is not a possible username" in tried.stderr
    assert (tried.returncode, done.returncode, unknown.returncode) == (1, 1, 2)
    assert "3 made, 0 there already, 1 of 4 lines wrong." in done.stdout
    report = json.loads(again.stdout)
    assert (report["made"], report["there"], report["wrong_lines"][0]["line"]) == (0, 2, 4)
