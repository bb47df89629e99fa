"""The demo as a newcomer meets it: start, restart, reset, a port in use, Ctrl-C, a dead child."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from e2e.stack import PORTS, Stack, demo_command, running_demo
from ports import free_ports

pytestmark = pytest.mark.timeout(240)  # several demos start one after another, and the machine may be busy


@dataclass
class Lives:
    """Of one demo that is ended by Ctrl-C, started again, ended by a child that dies, reset, and killed."""

    passwords: list[str | None] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    codes: list[int | None] = field(default_factory=list)
    outlived: list[list[psutil.Process]] = field(default_factory=list)
    errors: str = ""

    def saw(self, demo: Stack) -> list[psutil.Process]:
        """Its processes; what it says is kept, and that it works is seen."""
        self.passwords.append(demo.passwords["freja"])
        self.secrets.append(demo.secret("shop-batch"))
        assert demo.token("shop-batch", scope="inventory:read")
        return psutil.Process(demo.process.pid).children(recursive=True)

    def over(self, demo: Stack, children: list[psutil.Process]) -> None:
        """How it ended, and which of its processes did not."""
        self.codes.append(demo.process.wait(timeout=30))
        self.outlived.append(psutil.wait_procs(children, timeout=20)[1])


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Lives:
    base, data, seen = free_ports(PORTS)[0], tmp_path_factory.mktemp("lives") / "data", Lives()
    with running_demo(data, port_base=base) as first:
        children = seen.saw(first)
    seen.over(first, children)
    with running_demo(data, port_base=base) as second:
        children = seen.saw(second)
        [pricing] = [child for child in children if "kronborg_shop.pricing" in " ".join(child.cmdline())]
        os.kill(pricing.pid, signal.SIGKILL)
        _, seen.errors = second.process.communicate(timeout=30)
        seen.over(second, children)
    with running_demo(data, more=("--reset",), port_base=base) as third:
        children = seen.saw(third)
        third.process.kill()
        seen.over(third, children)
    return seen


def test_everything_answers_and_nothing_is_open_by_omission(stack: Stack) -> None:
    assert httpx.get(f"{stack.identity}/readyz").status_code == 200
    assert httpx.get(stack.shop).status_code == 200
    assert httpx.get(f"{stack.gateway}/catalogue/products").status_code == 401
    assert httpx.get(f"{stack.gateway}/no/such/route").status_code == 404


def test_the_processes_bind_to_loopback_only(stack: Stack) -> None:
    children = psutil.Process(stack.process.pid).children(recursive=True)

    listening = {
        connection.laddr.ip
        for child in children
        for connection in child.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


def test_a_machine_reaches_a_service_through_the_gateway(stack: Stack) -> None:
    token = stack.token("shop-batch", scope="inventory:read")

    answer = httpx.get(f"{stack.gateway}/inventory/stock", headers={"authorization": f"Bearer {token}"})

    assert answer.status_code == 200, answer.text


def test_a_second_start_continues_and_a_reset_begins_anew(lives: Lives) -> None:
    first, second, third = lives.passwords

    assert first is not None
    assert second is None
    assert third not in (None, first)
    assert lives.secrets[0] == lives.secrets[1]


def test_ctrl_c_ends_everything(lives: Lives) -> None:
    assert lives.codes[0] == 0
    assert lives.outlived[0] == []


def test_a_dead_child_ends_the_demo_with_its_name(lives: Lives) -> None:
    assert lives.codes[1] == 1
    assert "pricing stopped (killed by SIGKILL)" in lives.errors
    assert lives.outlived[1] == []


def test_children_do_not_outlive_a_killed_demo(lives: Lives) -> None:
    assert lives.codes[2] == -signal.SIGKILL
    assert lives.outlived[2] == []


def test_a_folder_that_is_not_ours_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    result = subprocess.run(
        demo_command(tmp_path, free_ports(PORTS)[0], "--reset"), capture_output=True, text=True, check=False
    )

    assert result.returncode == 1
    assert "nothing was removed" in result.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    base = free_ports(PORTS)[0]
    with socket.create_server(("127.0.0.1", base + 1)):
        result = subprocess.run(
            demo_command(tmp_path / "data", base), capture_output=True, text=True, check=False, timeout=60
        )

    assert result.returncode == 1
    assert f"127.0.0.1:{base + 1} (identity) is in use; change --port-base" in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_running_demo_is_not_reset_and_its_ports_stay(stack: Stack) -> None:
    elsewhere = free_ports(PORTS)[0]

    reset = subprocess.run(
        demo_command(stack.data, elsewhere, "--reset"), capture_output=True, text=True, check=False, timeout=60
    )
    moved = subprocess.run(demo_command(stack.data, elsewhere), capture_output=True, text=True, check=False, timeout=60)

    assert (reset.returncode, moved.returncode) == (1, 1)
    assert "Is Kronborg running already?" in reset.stderr
    assert "not --port-base" in moved.stderr
    assert httpx.get(stack.shop).status_code == 200
