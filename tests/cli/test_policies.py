"""`kronborg policy …`: a file of Cedar, the routes that use it, and the way out."""

from __future__ import annotations

from cli.shell import Shell

FILE = """
version: 1
apis:
  shop: { audience: "https://shop.example/api", name: Shop }
policies:
  sales: permit (principal, action, resource);
services:
  shop: { url: "http://127.0.0.1:9001" }
routes:
  shop: { prefix: /shop, service: shop, audience: shop, policies: [sales] }
"""
DRAFT = """
version: 1
policies:
  night: forbid (principal, action, resource);
"""


def test_a_policy_on_the_command_line(shell: Shell) -> None:
    (shell.folder / "kronborg.yaml").write_text(FILE)
    (shell.folder / "draft.yaml").write_text(DRAFT)
    (shell.folder / "sales.cedar").write_text("forbid (principal, action, resource);\n")
    (shell.folder / "wrong.cedar").write_text("permit (principal,\naction resource);\n")
    shell.run("apply")

    made = shell.json("policy", "set", "sales", "sales.cedar")
    wrong = shell.attempt("policy", "set", "sales", "wrong.cedar")
    listed, one = shell.json("policy", "list"), shell.json("policy", "show", "sales")
    kept = shell.attempt("policy", "remove", "sales", "--yes")
    shell.run("draft", "create", "autumn")
    shell.run("draft", "put", "autumn", "draft.yaml")
    told = shell.run("draft", "show", "autumn")
    shell.run("draft", "publish", "autumn")
    shell.run("draft", "create", "away")
    shell.run("draft", "remove", "away", "policy", "night")
    version = shell.json("version", "show", "3")
    shell.run("policy", "remove", "night", "--yes")
    left = shell.json("policy", "list")

    assert made == {"name": "sales", "snapshot": 2}
    assert wrong.returncode != 0
    assert "line 2: unexpected token `resource`" in wrong.stdout + wrong.stderr
    assert [(row["name"], row["routes"]) for row in listed] == [("sales", ["shop"])]
    assert one["text"] == "forbid (principal, action, resource);\n"
    assert kept.returncode != 0
    assert "routes need this policy" in kept.stdout + kept.stderr
    assert "+ policy night" in told
    assert set(version["policies"]) == {"sales", "night"}
    assert [row["name"] for row in left] == ["sales"]
