"""The batch job against running services: what it does, says and exits with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kronborg_shop import batch
from shop.stage import Stage, stage


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as running:
        yield running


def run(scene: Stage, *more: str, issuer: str | None = None) -> int:
    flags = ["--issuer", issuer or scene.settings.issuer, "--gateway-url", scene.shop, "--client-id", "shop-batch"]
    return batch.main([*flags, "--client-secret-file", str(scene.settings.client_secret_file), *more])


def test_low_products_are_restocked_once(scene: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scene, "--below", "5", "--up-to", "20") == batch.OK
    first = capsys.readouterr().out
    assert "Tang rug" in first
    assert "2 restocked, 0 failed" in first

    assert run(scene, "--below", "5") == batch.OK
    assert capsys.readouterr().out == "Nothing runs low.\n"


def test_each_trouble_has_its_exit_code(scene: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scene, issuer="http://localhost:9") == batch.NO_TOKEN
    assert run(scene, "--below", "9", "--up-to", "3") == batch.USAGE
    scene.door.closed["inventory"] = (403, {})
    assert run(scene) == batch.NO_GATEWAY

    complaints = capsys.readouterr().err
    assert "s3cret" not in complaints
    assert complaints.count("\n") == 3
