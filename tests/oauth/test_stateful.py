"""Whatever is sent in whatever order: nothing is good twice, nothing grows, nothing serves another."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from oauth.history import History
from postgres_server import PostgresDatabase

HURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.mark.timeout(400)
@pytest.mark.spec("RFC 6749 §4.1.2")
@pytest.mark.spec("RFC 6749 §10.5")
@pytest.mark.spec("RFC 6749 §6")
@pytest.mark.spec("RFC 9700 §4.14.2")
@pytest.mark.spec("RFC 8693 §2.1")
def test_no_history_of_requests_gives_more_than_was_given(sqlite_template: Path, tmp_path: Path) -> None:
    def history() -> History:
        file = tmp_path / f"{uuid.uuid4().hex}.db"
        file.write_bytes(sqlite_template.read_bytes())
        return History(f"sqlite:///{file}")

    limits = settings(max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=HURRIED)
    run_state_machine_as_test(history, settings=limits, _min_steps=limits.stateful_step_count)  # type: ignore[arg-type]  # a factory will do


@pytest.mark.timeout(400)
def test_nor_on_postgresql(postgres_database: PostgresDatabase) -> None:
    def history() -> History:
        postgres_database.sweep()
        return History(postgres_database.url)

    limits = settings(max_examples=4, stateful_step_count=25, deadline=None, suppress_health_check=HURRIED)
    run_state_machine_as_test(history, settings=limits, _min_steps=limits.stateful_step_count)  # type: ignore[arg-type]  # a factory will do
