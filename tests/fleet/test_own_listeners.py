"""A joined gateway's own listeners and certificates: read from its disk, never sent to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from certificates import certificate
from kronborg.core.errors import Invalid
from kronborg.fleet.link import read_listeners
from kronborg.gateway.listener_model import Listener, ListenerTls
from kronborg.gateway.secret_files import Shown, from_folder


def test_listeners_are_read_and_checked(tmp_path: Path) -> None:
    (tmp_path / "edge").mkdir()
    file = tmp_path / "edge" / "listeners.json"
    told = {"name": "external", "host": "0.0.0.0", "port": 443, "tls": {"certificates": ["public"], "hsts": 60}}

    nothing = read_listeners(tmp_path)
    file.write_text(json.dumps([told]))
    found = read_listeners(tmp_path)
    file.write_text(json.dumps([{**told, "tls": None}]))
    with pytest.raises(Invalid) as refused:
        read_listeners(tmp_path)

    tls = ListenerTls(("public",), hsts=timedelta(minutes=1))
    assert nothing == ()
    assert found == (Listener("external", "0.0.0.0", 443, tls=tls),)
    assert "would serve plain HTTP beyond this machine" in str(refused.value.problems)


def test_certificates_are_taken_from_files_once_they_belong_together(tmp_path: Path) -> None:
    _, chain = certificate(tmp_path, "api.kronborg.example")
    (tmp_path / "public.pem").write_text(chain.read_text())

    before = asyncio.run(_read(tmp_path))
    (tmp_path / "public.key").write_text((tmp_path / "key.pem").read_text())
    after = asyncio.run(_read(tmp_path))

    assert before == {}
    assert list(after) == ["public"]
    assert "PRIVATE KEY" not in repr(after)


async def _read(folder: Path) -> Mapping[str, Shown]:
    return await from_folder(folder)(("public", "other"))
