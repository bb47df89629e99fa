"""What the long-running processes load: memory and time of start that every installation pays."""

from __future__ import annotations

import subprocess
import sys

import pytest

LAZY = (
    *(
        "aiosmtplib",
        "alembic",
        "babel",
        "bonsai",
        "cbor2",
        "cedarpy",
        "duckdb",
        "fastapi",
        "httpcore",
        "httpx",
        "ijson",
        "jsonschema_rs",
        "pkcs11",
        "pydantic",
        "pyotp",
        "rich",
        "ruamel",
        "segno",
    ),
    *("defusedxml", "saml2", "typer", "valkey", "webauthn", "xmlschema", "zxcvbn"),
)
"""What only commands, the admin API, outbound calls and extras need, each from its first use on."""


@pytest.mark.parametrize("root", ["app", "control", "edge", "worker"])
def test_a_process_starts_without_what_it_may_never_need(root: str) -> None:
    program = f"import sys, kronborg.run, kronborg.{root}; print(*(name for name in {LAZY} if sys.modules.get(name)))"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert loaded.stdout.split() == []
