"""Secrets at rest."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.core.crypto import KeyProblem, Vault


@given(st.binary(max_size=500), st.text(max_size=30))
def test_what_is_sealed_opens_in_its_own_context_only(plaintext: bytes, context: str) -> None:
    vault = Vault(bytes(32))

    sealed = vault.seal(plaintext, context=context)

    assert vault.open(sealed, context=context) == plaintext
    for other, wrong in ((vault, context + "x"), (Vault(b"\1" * 32), context)):
        with pytest.raises(KeyProblem):
            other.open(sealed, context=wrong)


def test_an_altered_seal_is_refused(vault: Vault) -> None:
    sealed = vault.seal(b"secret", context="c")
    altered = sealed[:-5] + ("A" if sealed[-5] != "A" else "B") + sealed[-4:]

    with pytest.raises(KeyProblem):
        vault.open(altered, context="c")


def test_the_first_start_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "data" / "master.key"

    sealed = Vault.load(path).seal(b"secret", context="c")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Vault.load(path).open(sealed, context="c") == b"secret"


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    Vault.load(path)
    path.chmod(0o644)

    with pytest.raises(KeyProblem, match="chmod 600"):
        Vault.load(path)


@pytest.mark.parametrize("value", ["short", "!!!", "A" * 44])
def test_a_malformed_key_is_named(tmp_path: Path, value: str) -> None:
    with pytest.raises(KeyProblem):
        Vault.load(tmp_path / "k", value)


def test_digests_differ_by_context(vault: Vault) -> None:
    assert vault.digest("s", context="a") != vault.digest("s", context="b")
    assert len(vault.digest("s", context="a")) == 32
