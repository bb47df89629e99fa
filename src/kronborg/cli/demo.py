"""`kronborg demo`: the whole product with the demo shop behind it, on this machine, in one command."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Annotated

import orjson
import typer
from joserfc.jwk import ECKey
from rich.console import Console
from rich.table import Table

from kronborg.cli import app
from kronborg.cli.plan import apply_file
from kronborg.cli.up import prepare, prepare_gateway, product_children, supervise
from kronborg.config import Address, Settings, load_settings
from kronborg.core.ids import random_token
from kronborg.supervise import Child, Stopped, check_ports

OFFSETS = {
    "gateway": 0,
    "identity": 1,
    "control": 2,
    "worker": 3,
    "catalogue": 11,
    "inventory": 12,
    "pricing": 13,
    "cart": 14,
    "delivery": 15,
    "wish_list": 16,
}
"""Where each process listens, counted from `--port-base`."""

SERVICES = ("catalogue", "inventory", "pricing", "cart", "delivery")
MACHINE_CLIENTS = ("shop-batch", "shop-cart", "wish-list", "operator")
ROBOT = "shop-robot"
"""A machine client without a secret: it signs its requests with a key of its own (private_key_jwt)."""
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Seed:
    """A person of the demo."""

    username: str
    name: str
    groups: tuple[str, ...]


PEOPLE = (
    Seed("freja", "Freja Holm", ("customers",)),
    Seed("mads", "Mads Lund", ("customers", "shopkeepers")),
)


@app.command()
def demo(
    data: Annotated[Path, typer.Option(help="The folder that holds everything the demo keeps.")] = Path(".kronborg"),
    reset: Annotated[bool, typer.Option("--reset", help="Forget everything and begin anew.")] = False,
    port_base: Annotated[int, typer.Option(min=1024, max=65000, help="The gateway's port; the others follow.")] = 8080,
    as_json: Annotated[bool, typer.Option("--json", help="Say where things are as one JSON line.")] = False,
) -> None:
    """Start everything with the demo shop behind it, and print where to click."""
    if find_spec("kronborg_shop") is None:
        raise Stopped("The demo shop is not installed: run `make demo` in a clone, or install kronborg-shop.")
    if reset:
        _forget(data)
    file = data / "kronborg.yaml"
    first = not file.exists()
    if first:
        _write_files(data, port_base)
    settings = load_settings(file, data)
    children = demo_children(settings)
    check_ports(children)
    if not as_json:
        typer.echo(f"Starting Kronborg with its demo shop; data in {settings.data}")
    prepare(settings)
    if first:
        apply_file(settings, file)
    passwords = asyncio.run(_seed(settings))
    prepare_gateway(settings)

    def ready() -> None:
        if as_json:
            typer.echo(orjson.dumps(_facts(settings, passwords)).decode())
        else:
            _say(settings, passwords)

    supervise(settings, children, quiet=as_json, on_ready=ready)


def demo_children(settings: Settings) -> list[Child]:
    """Every process of the demo: the product and the shop."""
    return [*product_children(settings), *_shop(settings, _ports(settings))]


def _forget(data: Path) -> None:
    """Remove a data folder, but nothing that does not look like one."""
    if not data.exists():
        return
    if any(data.iterdir()) and not (data / "kronborg.yaml").exists():
        raise Stopped(f"{data} does not look like a data folder of Kronborg (no kronborg.yaml); nothing was removed.")
    shutil.rmtree(data)


def _write_files(data: Path, port_base: int) -> None:
    """The demo's kronborg.yaml and the secrets of its machines, readable by their owner only."""
    import kronborg_shop

    folder = data / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    data.chmod(0o700)
    for client in MACHINE_CLIENTS:
        _write_private(folder / client, random_token())
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    _write_private(folder / ROBOT, json.dumps(key.as_dict(private=True)))
    _write_private(folder / f"{ROBOT}.jwks", json.dumps({"keys": [key.as_dict(private=False)]}))
    template = Path(kronborg_shop.__file__).with_name("kronborg.yaml").read_text(encoding="utf-8")
    ports = {name: str(port_base + offset) for name, offset in OFFSETS.items()}
    (data / "kronborg.yaml").write_text(Template(template).substitute(ports), encoding="utf-8")


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as target:
        target.write(text + "\n")


def _ports(settings: Settings) -> dict[str, int]:
    """The shop's ports: they follow the gateway's."""
    return {name: settings.gateway.port + OFFSETS[name] for name in (*SERVICES, "wish_list")}


def _shop(settings: Settings, ports: dict[str, int]) -> list[Child]:
    """The five microservices and the third-party app, each its own process and port."""
    environ = {
        "SHOP_ISSUER": settings.issuer,
        "SHOP_GATEWAY_URL": settings.gateway_url,
        "SHOP_DATA": str(settings.data / "shop"),
        **{f"SHOP_{name.upper()}_URL": f"http://127.0.0.1:{ports[name]}" for name in SERVICES},
    }
    secret_of = {"cart": "shop-cart", "wish_list": "wish-list"}
    children = []
    for name, port in ports.items():
        own = dict(environ)
        if name in secret_of:
            own["SHOP_CLIENT_ID"] = secret_of[name]
            own["SHOP_CLIENT_SECRET_FILE"] = str(settings.data / "secrets" / secret_of[name])
        argv = (sys.executable, "-m", f"kronborg_shop.{name}", "--port", str(port))
        ready = "/healthz" if name == "wish_list" else f"/{name}/healthz"
        children.append(Child(name, argv, Address("127.0.0.1", port), ready, "--port-base", own))
    return children


async def _seed(settings: Settings) -> dict[str, str]:
    """Make the people who are not there yet; gives their new passwords, for the one time they are shown."""
    from kronborg.accounts.store import find_by_login
    from kronborg.accounts.users import NewUser, create_user
    from kronborg.core import clock
    from kronborg.core.db import Database
    from kronborg.signin.passwords import set_password

    database = await Database.open(settings.database_url)
    made: dict[str, str] = {}
    try:
        for person in PEOPLE:
            now = clock.now()
            async with database.write() as session:
                if await find_by_login(session, person.username):
                    continue
                new = NewUser(person.username, f"{person.username}@shop.example", person.name, groups=person.groups)
                user = await create_user(session, new, actor="demo", now=now)
                password = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
                await set_password(session, user.id, password, actor="demo", now=now)
                made[person.username] = password
    finally:
        await database.close()
    return made


def _facts(settings: Settings, passwords: dict[str, str]) -> dict[str, object]:
    ports = _ports(settings)
    return {
        "shop": f"{settings.gateway_url}/shop/",
        "gateway": settings.gateway_url,
        "identity": settings.issuer,
        "wish_list": f"http://localhost:{ports['wish_list']}/",
        "users": {person.username: passwords.get(person.username) for person in PEOPLE},
        "clients": ["shop-web", *MACHINE_CLIENTS, ROBOT],
        "secrets": str(settings.data / "secrets"),
        "file": str(settings.file),
    }


def _say(settings: Settings, passwords: dict[str, str]) -> None:
    """The table that says where to click."""
    facts = _facts(settings, passwords)
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("shop", f"{facts['shop']}", "browse, sign in, order")
    table.add_row("wish list", f"{facts['wish_list']}", "a third-party app that must ask consent")
    table.add_row("identity", f"{facts['identity']}", "your account, sessions and apps")
    table.add_row("gateway", f"{facts['gateway']}", "the only way to the services")
    table.add_section()
    for person in PEOPLE:
        shown = passwords.get(person.username, "(the password was shown at the first start)")
        table.add_row("user", person.username, f"password: {shown}")
    table.add_section()
    table.add_row("clients", "shop-web, wish-list", "people sign in to these")
    table.add_row(
        "", ", ".join(c for c in MACHINE_CLIENTS if c != "wish-list") + f", {ROBOT}", f"secrets in {facts['secrets']}"
    )
    table.add_row("declared in", f"{facts['file']}", "change it, then: kronborg plan, kronborg apply")
    console = Console(soft_wrap=True)
    console.print()
    console.print(table)
    if passwords:
        console.print("\nThese passwords are shown this once. `kronborg demo --reset` makes new ones.")
    console.print("Ctrl-C ends everything.")
