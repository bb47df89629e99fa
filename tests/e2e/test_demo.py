"""The demo as a newcomer meets it: start, restart, reset, a port in use, Ctrl-C, a dead child."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import psutil

from e2e.stack import PORTS, Stack, demo_command, running_demo
from ports import free_ports


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


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


def test_a_second_start_continues_and_a_reset_begins_anew(tmp_path: Path) -> None:
    base = free_ports(PORTS)[0]
    data = tmp_path / "data"
    with running_demo(data, port_base=base) as first:
        children = psutil.Process(first.process.pid).children(recursive=True)
        secret = first.secret("shop-batch")
    assert first.process.returncode == 0
    assert [child for child in children if not ended(child)] == []
    assert first.passwords["freja"]

    with running_demo(data, port_base=base) as second:
        assert second.passwords["freja"] is None
        assert second.secret("shop-batch") == secret
        assert second.token("shop-batch", scope="inventory:read")

    with running_demo(data, more=("--reset",), port_base=base) as third:
        assert third.passwords["freja"] not in (None, first.passwords["freja"])


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


def test_a_dead_child_ends_the_demo_with_its_name(tmp_path: Path) -> None:
    with running_demo(tmp_path / "data") as demo:
        children = psutil.Process(demo.process.pid).children()
        [pricing] = [child for child in children if "kronborg_shop.pricing" in " ".join(child.cmdline())]
        os.kill(pricing.pid, signal.SIGKILL)
        _, errors = demo.process.communicate(timeout=30)

    assert demo.process.returncode == 1
    assert "pricing stopped (killed by SIGKILL)" in errors
    assert [child for child in children if not ended(child)] == []


def test_children_do_not_outlive_a_killed_demo(tmp_path: Path) -> None:
    with running_demo(tmp_path / "data") as demo:
        children = psutil.Process(demo.process.pid).children(recursive=True)
        demo.process.kill()
        _, alive = psutil.wait_procs(children, timeout=20)

    assert alive == []
