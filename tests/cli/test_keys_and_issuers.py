"""`kronborg api-key …` and `kronborg token-issuer …`: from a file to the end of both."""

from __future__ import annotations

import json

from joserfc.jwk import ECKey

from cli.shell import Shell

API = "https://shop.example/catalogue"
TEXT = f"""
version: 1
apis:
  catalogue: {{ audience: {API}, name: Catalogue, scopes: {{ "catalogue:read": Read }} }}
clients:
  importer:
    name: Importer
    kind: confidential
    grants: [client_credentials]
    scopes: ["catalogue:read"]
"""


def test_a_key_on_the_command_line(shell: Shell) -> None:
    (shell.folder / "kronborg.yaml").write_text(TEXT)
    shell.run("apply")
    wanted = ("importer", "nightly", "--audience", API, "--scope", "catalogue:read")

    made = shell.json("api-key", "create", *wanted, "--address", "192.0.2.0/24", "--lifetime", "30d")
    wrong = shell.attempt("api-key", "create", *wanted, "--address", "everywhere")
    rotated = shell.json("api-key", "rotate", made["id"])
    listed = shell.json("api-key", "list", "--client", "importer")
    again = shell.attempt("api-key", "rotate", made["id"])
    shell.run("api-key", "revoke", made["id"], "--yes")
    left = shell.json("api-key", "list")

    assert made["key"].startswith("kro_key_")
    assert rotated["key"] != made["key"]
    assert wrong.returncode != 0
    assert "holds something that is no address or network" in wrong.stderr + wrong.stdout
    assert {one["id"] for one in listed} == {made["id"], rotated["id"]}
    assert made["key"] not in str(listed) + str(left)
    assert again.returncode != 0
    assert [one["id"] for one in left] == [rotated["id"]]


def test_an_issuer_on_the_command_line(shell: Shell) -> None:
    (shell.folder / "kronborg.yaml").write_text(TEXT)
    shell.run("apply")
    jwks = {"keys": [ECKey.generate_key("P-256", {"kid": "a"}).as_dict(private=False)]}
    (shell.folder / "jwks.json").write_text(json.dumps(jwks))
    wanted = ("acme", "https://login.acme.example", "--audience", f"{API}=api://catalogue", "--algorithm", "ES256")

    made = shell.json("token-issuer", "set", *wanted, "--jwks", "jwks.json")
    wrong = shell.attempt("token-issuer", "set", *wanted, "--jwks-uri", "http://login.acme.example/jwks")
    listed = shell.json("token-issuer", "list")
    shell.run("token-issuer", "remove", "acme", "--yes")

    assert (made["name"], made["audiences"]) == ("acme", [f"{API}=api://catalogue"])
    assert wrong.returncode != 0
    assert [one["name"] for one in listed] == ["acme"]
    assert shell.json("token-issuer", "list") == []
