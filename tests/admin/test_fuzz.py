"""A short run of `bench/fuzz.py` against a real identity process: bad input never makes a 5xx."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.fuzz import Tally, fuzz_api, fuzz_protocol, installation

from ports import free_ports


@pytest.mark.timeout(240)
def test_bad_input_never_makes_a_server_error(tmp_path: Path) -> None:
    tally = Tally()
    ports = free_ports(4)

    with installation(tmp_path, (ports[0], ports[1], ports[2], ports[3])) as (url, token):
        fuzz_protocol(url, requests=300, seed_=7, tally=tally)
        fuzz_api(url, token, requests=300, seed_=7, tally=tally)

    assert tally.bugs == []
    assert sum(tally.statuses.values()) > 400
    assert tally.statuses[422] > 20
