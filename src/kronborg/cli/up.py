"""`kronborg up` and `kronborg run`: the product as supervised children, or one of its processes alone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from kronborg.cli import app
from kronborg.cli.options import DataOption, FileOption
from kronborg.cli.plan import apply_file
from kronborg.cli.store_access import prepare
from kronborg.config import Address, Settings, child_environment, load_settings, resolved
from kronborg.fleet.link import has_joined, read_settings
from kronborg.supervise import Child, Report, Stopped, Supervisor, check_ports


@app.command()
def up(
    file: FileOption = None,
    data: DataOption = None,
    restart: Annotated[bool, typer.Option(help="Start a child that dies again instead of ending.")] = False,
    apply: Annotated[bool, typer.Option(help="Apply the file before starting.")] = True,
) -> None:
    """Start identity, gateway, control and worker, and watch them until Ctrl-C."""
    settings = load_settings(file, data)
    children = product_children(settings)
    check_ports(children)
    prepare(settings)
    if file and apply:
        apply_file(settings, file)
    prepare_gateway(settings)
    supervise(settings, children, restart=restart, on_ready=lambda: _say_where(settings))


@app.command()
def run(
    process: Annotated[str, typer.Argument(help="identity, control, worker or gateway")],
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Run one process of the product in the foreground, for fleets and service managers.

    `gateway` starts Envoy from the last good files in the data folder and asks nobody; in a folder that joined a
    control plane elsewhere (`kronborg gateway join`), with the process beside it that keeps it up to date.
    """
    settings = load_settings(file, data)
    match process:
        case "identity" | "control" | "worker":
            prepare(settings)
            # In place of this process, not in it: the commands take 40 MB that no server needs.
            own = child_environment(resolved(settings))
            os.execve(sys.executable, _argv(process, settings), own)  # noqa: S606  # our own
        case "gateway" if has_joined(settings.data):
            run_edge(settings)
        case "gateway":
            run_envoy(settings)
        case _:
            raise typer.BadParameter("use one of identity, control, worker, gateway")


def run_envoy(settings: Settings) -> None:
    """Envoy in place of this process, from what lies on the disk: no database, no control process is needed."""
    argv = _envoy(settings.data, settings.envoy_concurrency)
    os.umask(0o077)
    os.execve(argv[0], argv, child_environment({}))  # noqa: S606  # our own


def run_edge(settings: Settings) -> None:
    """A joined gateway: Envoy from what lies on the disk, and the edge process, each started again when it dies."""
    joined = read_settings(settings.data)
    envoy = _envoy(settings.data, joined.concurrency)
    supervise(
        settings,
        [
            Child("gateway", envoy, Address(joined.host, joined.port), "/healthz", setting="--port"),
            Child(
                "edge",
                _argv("edge", settings),
                Address("127.0.0.1", joined.control_port),
                setting="--control-port",
                environ=resolved(settings),
            ),
        ],
        restart=True,
        on_ready=lambda: None,
    )


def _envoy(data: Path, concurrency: int) -> tuple[str, ...]:
    from kronborg.gateway.envoy.process import envoy_argv
    from kronborg.gateway.envoy.proxy import Proxy

    folder = data.absolute() / "gateway"
    if not Proxy(folder=folder).bootstrap.is_file():
        raise Stopped(f"There is no gateway in {data}: start it once with kronborg up, or join it to a fleet.")
    return tuple(envoy_argv(folder, concurrency=concurrency))


def prepare_gateway(settings: Settings) -> None:
    """The files Envoy starts from, made of the last published snapshot and the current signing keys."""
    from kronborg.control import prepare_files

    asyncio.run(prepare_files(settings))


def _argv(process: str, settings: Settings) -> tuple[str, ...]:
    """How one process is started that finds its settings in its environment (`config.resolved`)."""
    return (sys.executable, "-m", "kronborg.run", process, "--data", str(settings.data))


def product_children(settings: Settings) -> list[Child]:
    """The processes of the product: identity as often as the settings say, control, worker and gateway."""
    from kronborg.gateway.envoy.process import envoy_argv

    environ = resolved(settings)

    def own(process: str, address: Address, number: int = 0) -> Child:
        name, setting = f"{process}-{number}" if number else process, f"server.{process}.port"
        return Child(name, _argv(process, settings), address, setting=setting, environ=environ, shared=number > 0)

    many = range(1, settings.identity_workers + 1) if settings.identity_workers > 1 else (0,)
    return [
        *(own("identity", settings.identity, number) for number in many),
        own("control", settings.control),
        own("worker", settings.worker),
        Child(
            "gateway",
            tuple(envoy_argv(settings.data / "gateway", concurrency=settings.envoy_concurrency)),
            settings.gateway,
            ready_path="/healthz",
            setting="server.gateway.port",
        ),
    ]


def supervise(
    settings: Settings,
    children: Sequence[Child],
    *,
    restart: bool = False,
    quiet: bool = False,
    on_ready: Callable[[], None],
) -> None:
    """Run the children until Ctrl-C or SIGTERM; raises `Stopped` when one cannot start or dies."""
    started = time.monotonic()

    def report(name: str, news: str) -> None:
        if not quiet:
            typer.echo(f"  {name:<12} {news}")

    def ready() -> None:
        report("", f"everything ready in {time.monotonic() - started:.1f} s")
        on_ready()
        sys.stdout.flush()

    asyncio.run(_supervise(settings, children, report, ready, restart=restart))
    if not quiet:
        typer.echo("All processes have ended.")


async def _supervise(
    settings: Settings, children: Sequence[Child], report: Report, ready: Callable[[], None], *, restart: bool
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    supervisor = Supervisor(children, logs=settings.data / "logs", report=report, restart=restart)
    await supervisor.run(stop, on_ready=ready)


def _say_where(settings: Settings) -> None:
    typer.echo(f"\n  gateway   {settings.gateway_url}\n  identity  {settings.issuer}\n\nCtrl-C ends everything.")
