"""Settings: from a file, over to the children, and refused when they cannot stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from kronborg.config import load_settings, resolved
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
