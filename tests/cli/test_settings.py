"""Settings: from a file, over to the children, and refused when they cannot stand."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kronborg.config import child_environment, load_settings, resolved
from kronborg.core.errors import Invalid

TEXT = "version: 1\nserver:\n  trusted_proxies: ['{proxy}']\n  session: {{idle: 30m}}\n"


def test_what_the_file_says_reaches_the_children(tmp_path: Path) -> None:
    file = tmp_path / "kronborg.yaml"
    file.write_text(TEXT.format(proxy="10.0.0.0/8"))

    settings = load_settings(file, tmp_path, {})
    child = load_settings(environ=resolved(settings))

    assert settings.trusted_proxies == ("10.0.0.0/8",)
    assert child == settings


def test_a_proxy_that_is_no_address_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kronborg.yaml"
    file.write_text(TEXT.format(proxy="front.example"))

    with pytest.raises(Invalid) as refused:
        load_settings(file, tmp_path, {})

    assert [problem.where for problem in refused.value.problems] == ["server.trusted_proxies"]


@pytest.mark.parametrize(
    ("server", "where", "mend"),
    [
        ("identity: {host: 0.0.0.0}", "server.identity.host", "allow_plain_http"),
        ("gateway: {host: 192.0.2.1}", "server.gateway.host", "allow_plain_http"),
        ("issuer: http://id.example.com", "server.issuer", "allow_plain_http"),
        ("issuer: https://id.example.com/", "server.issuer", "cut it off"),
        ("control: {host: 0.0.0.0}\n  allow_plain_http: true", "server.control.host", "127.0.0.1"),
        ("worker: {port: 8080}", "server", "its own"),
        ("fetch: {allow: [inside.example]}", "server.fetch.allow", "10.1.0.0/16"),
        ("fetch: {ca_file: missing.pem}", "server.fetch.ca_file", "PEM"),
    ],
)
def test_what_would_be_unsafe_is_refused(tmp_path: Path, server: str, where: str, mend: str) -> None:
    file = tmp_path / "kronborg.yaml"
    file.write_text(f"version: 1\nserver:\n  {server}\n")

    with pytest.raises(Invalid) as refused:
        load_settings(file, tmp_path, {})

    [problem] = refused.value.problems
    assert problem.where.endswith(where)
    assert mend in problem.mend


def test_plain_http_beyond_this_machine_can_be_asked_for_by_name(tmp_path: Path) -> None:
    file = tmp_path / "kronborg.yaml"
    file.write_text("version: 1\nserver:\n  allow_plain_http: true\n  identity: {host: 0.0.0.0}\n")

    assert load_settings(file, tmp_path, {}).identity.host == "0.0.0.0"


def test_the_environment_goes_before_the_file_and_a_bad_level_is_named(tmp_path: Path) -> None:
    file = tmp_path / "kronborg.yaml"
    file.write_text("version: 1\nserver:\n  log_level: WARNING\n  database: sqlite:///elsewhere.db\n")
    environment = {"KRONBORG_FILE": str(file), "KRONBORG_DATA": str(tmp_path), "KRONBORG_DATABASE": "sqlite:///here.db"}

    settings = load_settings(environ=environment)

    assert (settings.log_level, settings.database_url) == ("WARNING", "sqlite:///here.db")
    with pytest.raises(Invalid):
        load_settings(environ={**environment, "KRONBORG_LOG_LEVEL": "chatty"})


def test_who_may_come_by_itself_is_said_in_the_file_and_reaches_the_children(tmp_path: Path) -> None:
    file = tmp_path / "kronborg.yaml"
    (tmp_path / "ca.pem").write_text("")
    file.write_text(
        "version: 1\nserver:\n"
        "  fetch: {allow: [10.1.0.0/16, '::1/128'], ca_file: ca.pem}\n"
        "  registration: {open: true, scopes: [openid], redirect_hosts: ['*.shop.example'], unused: 7d}\n"
        "  client_id_metadata_documents: {enabled: true, deny: ['*.bad.example'], max_clients: 50}\n"
    )

    settings = load_settings(file, tmp_path, {})

    assert load_settings(environ=resolved(settings)) == settings
    assert settings.fetch_allow == ("10.1.0.0/16", "::1/128")
    assert settings.fetch_ca_file == tmp_path / "ca.pem"
    policy, admission = settings.admission.open_policy, settings.admission
    assert policy is not None
    assert (policy.scopes, policy.redirect_hosts, policy.unused) == (
        ("openid",),
        ("*.shop.example",),
        timedelta(days=7),
    )
    assert (admission.documents, admission.document_denied) == (True, ("*.bad.example",))
    assert admission.document_policy.max_clients == 50


@pytest.mark.parametrize(
    ("server", "taken"),
    [
        ("log_level: INFO", False),
        ("profile: mcp", True),
        ("profile: oauth21", False),
        ("profile: mcp\n  client_id_metadata_documents: {enabled: false}", False),
        ("client_id_metadata_documents: {enabled: true}", True),
    ],
)
def test_metadata_documents_are_taken_under_the_mcp_profile_or_by_name(
    tmp_path: Path, server: str, taken: bool
) -> None:
    file = tmp_path / "kronborg.yaml"
    file.write_text(f"version: 1\nserver:\n  {server}\n")

    admission = load_settings(file, tmp_path, {}).admission

    assert admission.documents is taken
    assert admission.open_policy is None


def test_only_our_own_processes_inherit_our_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KRONBORG_MASTER_KEY", "A" * 43)
    monkeypatch.setenv("PGPASSWORD", "elsinore")
    settings = load_settings(data=tmp_path)

    ours, shop = child_environment(resolved(settings)), child_environment({"SHOP_DATA": "x"})

    assert "A" * 43 not in resolved(settings)["KRONBORG_RESOLVED_SETTINGS"]
    assert ours["KRONBORG_MASTER_KEY"] == "A" * 43
    assert not {"KRONBORG_MASTER_KEY", "PGPASSWORD"} & set(shop)
    assert shop["SHOP_DATA"] == "x"


HELD = """version: 1
server:
  keys:
    pkcs11: {{module: /usr/lib/softhsm/libsofthsm2.so, token: kronborg, pin: {{{pin}}}, algorithms: [ES256]}}
"""


def test_a_pkcs11_token_is_named_with_its_pin_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "kronborg.yaml"
    (tmp_path / "pin.txt").write_text("from-the-file\n")
    monkeypatch.setenv("KRONBORG_PIN_OF_TEST", "from-the-environment")

    found = []
    for pin in ("env: KRONBORG_PIN_OF_TEST", "file: pin.txt"):
        file.write_text(HELD.format(pin=pin))
        settings = load_settings(file, tmp_path, {})
        child = load_settings(environ=resolved(settings))
        assert child == settings
        assert "from-the" not in str(resolved(settings))
        found.append(settings.vault().held)

    assert [None if held is None else held.pin for held in found] == ["from-the-environment", "from-the-file"]
    assert all(held is not None and held.algorithms == ("ES256",) for held in found)
    assert "from-the" not in repr(found)


@pytest.mark.parametrize("pin", ["env: KRONBORG_PIN_THAT_IS_NOT_SET", "file: missing.txt"])
def test_a_pin_that_cannot_be_read_is_refused(tmp_path: Path, pin: str) -> None:
    file = tmp_path / "kronborg.yaml"
    file.write_text(HELD.format(pin=pin))

    with pytest.raises(Invalid) as refused:
        load_settings(file, tmp_path, {}).vault()

    assert refused.value.problems[0].where.startswith("server.keys.pkcs11.pin")


def test_a_pin_never_stands_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "kronborg.yaml"
    file.write_text("version: 1\nserver: {keys: {pkcs11: {module: /m.so, token: t, pin: '1234'}}}\n")

    with pytest.raises(Invalid) as refused:
        load_settings(file, tmp_path, {})

    assert "in the clear" in refused.value.problems[0].detail
    assert "1234" not in str(refused.value)
