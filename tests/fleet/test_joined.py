"""A gateway on another machine, from its invitation to its removal, with real processes on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.house import House, house


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("fleet")) as made:
        yield made


def test_a_gateway_joins_serves_survives_and_is_removed(fleet: House) -> None:
    jwt, cached, unseen = fleet.furnish()
    token = fleet.invite()

    joined = fleet.join(token)
    again = fleet.join(token, fleet.folder / "thief")
    fleet.start_gateway()

    assert joined.returncode == 0, joined.stderr
    assert "Joined as berlin, with version 1" in joined.stdout
    assert again.returncode == 1
    assert "not accepted" in again.stderr
    fleet.wait(lambda: (fleet.status("/catalogue", jwt), fleet.status("/cart", cached)) == (200, 200))
    assert fleet.status("/catalogue") == 401
