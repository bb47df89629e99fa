"""A gateway on another machine, from its invitation to its removal, with real processes on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fleet.house import MODES, At, House, house
from gateway.live import Live
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.fleet.nodes import remove
from kronborg.traffic.opened import open_traffic
from kronborg.traffic.search_model import Search, Span


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("fleet")) as made:
        yield made


def records_of(settings: Settings, path: str) -> list[str]:
    """The ids of what the gateway elsewhere saw at a path, as the control plane has them."""
    store = open_traffic("database", settings.database_url, settings.data.absolute())
    try:
        rows = store.search(Search(Span(clock.now() - timedelta(hours=1), clock.now()), limit=500))
    finally:
        store.close()
    return [str(row[1]) for row in rows if row[2] == "berlin" and row[6] == path]


def ask(here: At, token: str | None) -> int:
    return Live.request(here, "GET", "/catalogue", token=token).status  # type: ignore[arg-type]


async def take_out(settings: Settings) -> None:
    database = await Database.open(settings.database_url)
    try:
        await remove(database, "berlin", actor="test", now=clock.now())
    finally:
        await database.close()


def quotas_hold(fleet: House, jwt: str) -> None:
    """They are asked for through the node; answers that nobody waits for are left on its disk, and nowhere else."""
    outcome = {mode: [fleet.get(f"/{mode}", jwt) for _ in range(45)] for mode in MODES}
    for answers in outcome.values():
        assert [one.status for one in answers] == [200] * 40 + [429] * 5
        assert answers[0].headers["x-ratelimit-limit"] == "40"
    fleet.wait(lambda: fleet.status("/counted", jwt) == 429 and [one.used for one in fleet.used("counted")] == [40])
    assert [(one.node, one.who) for one in fleet.used("counted")] == [("berlin", "batch")]
    assert not list((fleet.settings.data / "gateway" / "quota").iterdir())


def goes_on_alone(fleet: House, jwt: str, cached: str, unseen: str) -> None:
    """While the control plane and its database are away, and over a restart of the gateway itself."""
    fleet.start_local()
    here = At(fleet.settings.gateway.port)
    alone = [ask(here, token) for token in (jwt, None, jwt[:-6] + "AAAAAA")]
    during = [fleet.status("/catalogue/away", jwt) for _ in range(20)]
    reference = (fleet.status("/cart", cached), fleet.status("/cart", unseen))
    fleet.processes["gateway"].terminate()
    fleet.processes.pop("gateway").wait(timeout=20)
    fleet.start_gateway()
    fleet.wait(lambda: fleet.status("/catalogue/away", jwt) == 200)

    assert alone == [200, 401, 401]
    assert during == [200] * 20
    assert reference == (200, 503)


def test_a_gateway_joins_survives_the_control_plane_catches_up_and_is_removed(fleet: House) -> None:
    jwt, cached, unseen = fleet.furnish()
    token = fleet.invite()

    joined = fleet.join(token)
    fleet.start_gateway()

    assert joined.returncode == 0, joined.stderr
    assert "Joined as berlin, with version 1" in joined.stdout
    fleet.wait(lambda: (fleet.status("/catalogue", jwt), fleet.status("/cart", cached)) == (200, 200))
    assert fleet.status("/catalogue") == 401
    # Nothing of the installation's secrets lies on the other machine.
    assert {path.name for path in (fleet.edge / "edge").iterdir()} >= {"identity.pem", "authority.pem", "edge.json"}
    assert not (fleet.edge / "master.key").exists()

    quotas_hold(fleet, jwt)

    # The control plane and its database go away.
    fleet.kill("control")
    database = fleet.settings.data / "kronborg.db"
    database.rename(database.with_suffix(".away"))
    goes_on_alone(fleet, jwt, cached, unseen)

    # They come back: the gateway takes what was published, and what it saw is told, once.
    database.with_suffix(".away").rename(database)
    fleet.start_control()
    version = fleet.publish("news")
    fleet.wait(lambda: fleet.status("/news") == 200)
    fleet.wait(lambda: fleet.status("/cart", unseen) == 200)
    fleet.wait(lambda: len(records_of(fleet.settings, "/catalogue/away")) >= 21)
    ids = records_of(fleet.settings, "/catalogue/away")
    fleet.wait(lambda: fleet.version_of("berlin") == version)
    fleet.wait(lambda: fleet.fleet()["berlin"]["revocation_ms"] is not None)
    told = fleet.fleet()["berlin"]

    assert len(ids) == len(set(ids))
    assert (told["state"], told["took"], told["envoy"], told["skewed"]) == ("serving", "acked", "1.40.0", False)
    assert told["certificate_expires_at"] is not None
    assert 0 <= told["revocation_ms"] < 10_000

    # Taken out of the fleet, it hears nothing any more, from the next request on.
    asyncio.run(take_out(fleet.settings))
    fleet.publish("secret")
    fleet.wait(lambda: "403" in Path(fleet.edge / "logs" / "edge.log").read_text())

    assert fleet.status("/secret") == 404
    assert fleet.status("/catalogue", jwt) == 200
