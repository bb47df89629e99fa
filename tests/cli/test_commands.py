"""The command line as a person or a script runs it, on a store of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cli.shell import Shell
from kronborg.cli.demo import tell
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.gateway.model import Delivery
from kronborg.gateway.store import record_delivery
from ports import free_ports

PROGRAM = "from kronborg.cli import main; main()"


def in_a_process_of_its_own(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=100)


def test_a_command_works_in_a_process_of_its_own(shell: Shell) -> None:
    shell.run("init")

    applied = in_a_process_of_its_own(shell.folder, "apply", "--json")
    clean = in_a_process_of_its_own(shell.folder, "plan", "--exit-code", "--json")

    assert (applied.returncode, applied.stderr) == (0, "")
    assert json.loads(applied.stdout)["snapshot"] == 1
    assert (clean.returncode, json.loads(clean.stdout)["changes"]) == (0, [])


def test_run_becomes_the_process_and_ends_when_it_is_told_to(shell: Shell) -> None:
    ports = dict(zip(("gateway", "identity", "control", "worker"), free_ports(4), strict=True))
    listening = "".join(f"  {name}: {{port: {port}}}\n" for name, port in ports.items())
    issuer = f"http://localhost:{ports['identity']}"
    (shell.folder / "own.yaml").write_text(f"version: 1\nserver:\n  issuer: {issuer}\n{listening}")
    argv = [sys.executable, "-c", PROGRAM, "run", "worker", "--file", "own.yaml"]

    with subprocess.Popen(argv, cwd=shell.folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        started = next(line for line in process.stderr if "Uvicorn running" in line)
        ready = httpx.get(f"http://127.0.0.1:{ports['worker']}/readyz", trust_env=False)
        process.terminate()

    assert json.loads(started)["process"] == "worker"
    assert (ready.status_code, process.returncode) == (200, 0)


def test_from_init_to_an_empty_plan(shell: Shell) -> None:
    shell.run("init")
    refused = shell.attempt("init")

    pending = shell.run("plan", "--exit-code", code=3)
    applied = shell.run("apply")
    clean = shell.run("plan", "--exit-code")
    exported = shell.run("export")
    (shell.folder / "kronborg.yaml").write_text(exported)
    again = shell.json("plan")

    assert refused.returncode == 1
    assert "6 to create" in pending
    assert "snapshot 1" in applied
    assert "Nothing to change." in clean
    assert again["changes"] == []


def test_a_mistake_in_the_file_is_exit_code_1_with_its_place(shell: Shell) -> None:
    (shell.folder / "kronborg.yaml").write_text("version: 1\nclientz: {}\nusers:\n  anna: {password: hunter2}\n")

    done = shell.attempt("plan")

    assert done.returncode == 1
    assert "kronborg.yaml:2:1 clientz: is not a known key" in done.stderr
    assert "did you mean clients?" in done.stderr
    assert "kronborg.yaml:4:20 users.anna.password: stands in the clear" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


def test_an_apply_tells_what_the_gateway_said(shell: Shell) -> None:
    shell.run("init")
    nobody = shell.run("apply")
    database = f"sqlite:///{shell.folder / '.kronborg' / 'kronborg.db'}"

    asyncio.run(say(database, Delivery("gateway-1", 1, "rejected", "unable to bind")))
    refused = shell.attempt("apply")
    as_json = shell.attempt("apply", "--json")
    asyncio.run(say(database, Delivery("gateway-1", 1, "acked")))
    taken = shell.run("apply")

    assert "no gateway has taken it yet" in nobody
    assert (refused.returncode, "unable to bind" in refused.stderr) == (1, True)
    assert json.loads(as_json.stdout)["delivery"] == {"status": "rejected", "reason": "unable to bind"}
    assert "the gateway runs version 1" in taken


async def say(database_url: str, delivery: Delivery) -> None:
    """Put down what a proxy said."""
    database = await Database.open(database_url)
    async with database.write() as session:
        await record_delivery(session, delivery, now=clock.now())
    await database.close()


def test_another_issuer_than_the_first_is_told_as_such(shell: Shell) -> None:
    shell.run("init")
    shell.run("apply")
    file = shell.folder / "kronborg.yaml"
    file.write_text(file.read_text().replace("issuer: http://localhost:8081", "issuer: http://localhost:9999"))

    refused = shell.attempt("plan")

    assert refused.returncode == 1
    assert "server.issuer: is not the one this installation was founded with" in refused.stderr
    assert "issuer: http://localhost:8081" in refused.stderr


def test_a_process_of_another_issuer_says_what_is_wrong_and_ends(shell: Shell) -> None:
    shell.run("init")
    shell.run("apply")
    (shell.folder / "kronborg.yaml").write_text("version: 1\nserver:\n  issuer: http://localhost:9999\n")
    argv = [sys.executable, "-m", "kronborg.run", "worker", "--file", "kronborg.yaml", "--data", ".kronborg"]

    ended = subprocess.run(argv, cwd=shell.folder, capture_output=True, text=True, timeout=100)

    assert ended.returncode == 2
    assert "server.issuer: is not the one this installation was founded with: write issuer: http" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_apply_with_the_digest_of_another_plan_is_refused(shell: Shell) -> None:
    shell.run("init")
    digest = shell.json("plan")["digest"]
    shell.run("user", "create", "somebody")

    stale = shell.attempt("apply", "--digest", digest)
    shell.run("apply", "--digest", shell.json("plan")["digest"])

    assert stale.returncode == 1
    assert "has changed since this plan" in stale.stderr


def test_a_person_is_made_given_a_password_disabled_and_removed(shell: Shell) -> None:
    shell.run("group", "create", "staff", "--role", "cook")
    made = shell.json("user", "create", "anna", "--email", "anna@example.com", "--group", "staff")
    shell.run("user", "password", "anna", "--stdin", stdin="four words are enough\n")
    given = shell.attempt("user", "password", "anna", "--from-env", "WORDS", WORDS="four other words here")
    weak = shell.attempt("user", "password", "anna", "--stdin", stdin="short\n")
    disabled = shell.json("user", "disable", made["id"])
    listed = shell.json("user", "list")
    unasked = shell.attempt("user", "delete", "anna")
    shell.run("user", "delete", "anna", "--yes")
    gone = shell.attempt("user", "show", "anna")

    assert (given.returncode, weak.returncode) == (0, 1)
    assert "too short" in weak.stderr
    assert (disabled["disabled"], [one["username"] for one in listed]) == (True, ["anna"])
    assert listed[0]["groups"] == ["staff"]
    assert unasked.returncode == 2
    assert (gone.returncode, gone.stderr) == (1, "there is no such user\n")
    names = [event["name"] for event in shell.json("events")]
    assert names.count("password.set") == 2
    assert "user.deleted" in names


def test_a_client_gets_its_secret_once(shell: Shell) -> None:
    shell.run("api", "create", "https://shop.example/cart", "--name", "Cart", "--scope", "cart:read=See your cart")
    made = shell.json("client", "create", "batch", "--grant", "client_credentials", "--scope", "cart:read")
    added = shell.json("client", "secret", "add", "batch", "--lifetime", "90d")
    shown = shell.json("client", "show", "batch")
    shell.run("client", "secret", "remove", "batch", added["id"])
    wrong = shell.attempt("client", "create", "web", "--public", "--scope", "nope")
    table = shell.run("client", "list")

    assert made["secret"].startswith("kro_cs_")
    assert made["secret"] not in json.dumps(shown)
    assert len(shown["secrets"]) == 2
    assert wrong.returncode == 1
    assert "there is no such scope" in wrong.stderr
    assert "redirect_uris" in wrong.stderr
    assert "batch" in table
    assert "web" not in table


def test_a_route_is_published_or_refused(shell: Shell) -> None:
    shell.run("service", "create", "cart", "--url", "http://127.0.0.1:8094")
    refused = shell.attempt("route", "create", "cart", "--service", "cart", "--prefix", "/cart/")
    opened = shell.json("route", "create", "cart", "--service", "cart", "--prefix", "/cart/", "--public")
    listed = shell.json("route", "list")
    needed = shell.attempt("service", "delete", "cart", "--yes")
    closed = shell.run("route", "delete", "cart", "--yes")

    assert refused.returncode == 1
    assert "names neither" in refused.stderr
    assert opened["snapshot"] == 2
    assert [(one["name"], one["public"]) for one in listed] == [("cart", True)]
    assert needed.returncode == 1
    assert "snapshot 3" in closed


def test_keys_are_listed_and_rotated(shell: Shell) -> None:
    shell.run("key", "rotate")
    before = _signing(shell.json("key", "list"))

    after = _signing(shell.json("key", "rotate", "--alg", "ES256"))

    assert after["active"] == before["next"]
    assert after["retiring"] == before["active"]


def test_a_key_is_brought_and_revoked(shell: Shell) -> None:
    shell.run("key", "rotate")
    pem = shell.folder / "signing.pem"
    pem.write_bytes(export_pem())
    (shell.folder / "other.txt").write_text("no key at all")

    brought = _signing(shell.json("key", "import", str(pem), "--alg", "ES256"))
    again = shell.attempt("key", "import", str(pem), "--alg", "ES256")
    misfit = shell.attempt("key", "import", str(pem), "--alg", "RS256")
    nothing = shell.attempt("key", "import", str(shell.folder / "other.txt"), "--alg", "ES256")
    unknown = shell.attempt("key", "import", str(pem), "--alg", "HS256")
    active = _signing(shell.json("key", "rotate", "--alg", "ES256"))["active"]
    left = shell.json("key", "revoke", active, "--yes")
    missing = shell.attempt("key", "revoke", "no-such-key", "--yes")

    assert active == brought["next"]
    assert active not in [one["id"] for one in left]
    assert [one.returncode for one in (again, misfit, nothing, unknown, missing)] == [1, 1, 1, 2, 1]
    assert "RSA key of 2048" in misfit.stderr


def _signing(rows: Any) -> dict[str, str]:
    """The id of each key that signs with ES256, by its state."""
    return {one["state"]: one["id"] for one in rows if one["algorithm"] == "ES256"}


def export_pem() -> bytes:
    """A new P-256 key, as `openssl ecparam -genkey` writes one."""
    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def test_tokens_are_taken_back(shell: Shell) -> None:
    shell.run("client", "create", "batch", "--grant", "client_credentials")
    everything = shell.json("token", "revoke", "--client", "batch", "--yes")
    nothing = shell.attempt("token", "revoke", "--grant", "no-such-grant")
    unreadable = shell.attempt("token", "revoke", "--token", "-", stdin="kro_rt_nothing\n")
    both = shell.attempt("token", "revoke", "--grant", "a", "--session", "b")

    assert everything == {"revoked": "client", "grants": 0}
    assert (nothing.returncode, unreadable.returncode, both.returncode) == (1, 1, 2)
    assert "nothing such" in nothing.stderr


def test_a_store_that_is_not_there_is_exit_code_4(shell: Shell) -> None:
    nowhere = shell.attempt("user", "list", "--data", "elsewhere")
    refused = shell.attempt("user", "list", KRONBORG_DATABASE="postgresql://nobody@127.0.0.1:1/none")

    assert (nowhere.returncode, refused.returncode) == (4, 4)
    assert "There is no installation" in nowhere.stderr
    assert "does not answer" in refused.stderr
    assert "Traceback" not in nowhere.stderr + refused.stderr


def test_what_stands_in_the_way_is_a_message_and_never_a_traceback(shell: Shell) -> None:
    shell.run("init")
    gone = "postgresql://nobody@127.0.0.1:1/none"

    away = shell.attempt("plan", KRONBORG_DATABASE=gone)
    unknown = shell.attempt("plan", KRONBORG_DATABASE="mysql://nobody@127.0.0.1/none")
    keyless = shell.attempt("user", "list", KRONBORG_MASTER_KEY_FILE="nowhere")
    unwritable = shell.attempt("export", "-o", "nowhere/kronborg.yaml")
    per = shell.attempt("route", "create", "r", "--service", "s", "--prefix", "/r", "--rate", "5ps", "--per", "planet")

    assert (away.returncode, "does not answer" in away.stderr) == (4, True)
    assert (unknown.returncode, "is not a database URL" in unknown.stderr) == (1, True)
    assert (keyless.returncode, "KRONBORG_MASTER_KEY_FILE: cannot be read" in keyless.stderr) == (1, True)
    assert (unwritable.returncode, "No such file" in unwritable.stderr) == (1, True)
    assert (per.returncode, "client, user, key, address, route" in per.stderr) == (2, True)


def test_the_database_is_private_even_in_a_folder_that_is_not(tmp_path: Path) -> None:
    data = tmp_path / "open"
    data.mkdir(mode=0o755)
    shell = Shell(tmp_path)
    shell.run("init")

    shell.run("apply", "--data", "open")

    files = {path.name: path.stat().st_mode & 0o777 for path in data.iterdir()}
    assert files["kronborg.db"] == files["master.key"] == 0o600


def test_the_table_of_the_demo_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(data=Path(".kronborg").absolute(), file=Path("kronborg.yaml"))

    tell(settings, {"freja": "aaaa-bbbb-cccc-dddd"})

    lines = capsys.readouterr().out.splitlines()
    paths = [line for line in lines if str(settings.data) in line]
    assert max(len(line) for line in lines if line not in paths) <= 80
    assert any(line.split() == ["user", "freja", "password:", "aaaa-bbbb-cccc-dddd"] for line in lines)


def test_wrong_usage_is_exit_code_2(shell: Shell) -> None:
    assert shell.attempt("user", "create").returncode == 2
    assert shell.attempt("nothing").returncode == 2
    assert shell.attempt("route", "create", "r", "--service", "s").returncode == 2
