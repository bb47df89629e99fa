"""`kronborg demo`: the whole product with the demo shop behind it, on this machine, in one command."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Annotated

import orjson
import typer
from joserfc.jwk import ECKey

from kronborg.cli import app
from kronborg.cli.plan import apply_file
from kronborg.cli.store_access import prepare
from kronborg.cli.up import prepare_gateway, product_children, supervise
from kronborg.config import Address, Settings, load_settings
from kronborg.core.errors import Invalid
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
    "mcp": 17,
}
"""Where each process listens, counted from `--port-base`."""

DEFAULT_BASE = 8080
DEFAULT_DATA = Path(".kronborg")
SERVICES = ("catalogue", "inventory", "pricing", "cart", "delivery")
MACHINE_CLIENTS = ("shop-batch", "shop-cart", "shop-mcp", "wish-list", "operator")
ROBOT = "shop-robot"
"""A machine client without a secret: it signs its requests with a key of its own (private_key_jwt)."""
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Seed:
    """A person of the demo. `does` is a word for what they are here for."""

    username: str
    name: str
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    does: str = ""


PEOPLE = (
    Seed("freja", "Freja Holm", ("customers",)),
    Seed("mads", "Mads Lund", ("customers", "shopkeepers")),
    Seed("astrid", "Astrid Brandt", roles=("kronborg:admin",), does="administrator"),
    Seed("jonas", "Jonas Dahl", roles=("kronborg:support",), does="support"),
    Seed("karen", "Karen Falk", roles=("kronborg:auditor",), does="auditor"),
)


@app.command()
def demo(
    data: Annotated[Path, typer.Option(help="The folder that holds everything the demo keeps.")] = DEFAULT_DATA,
    reset: Annotated[bool, typer.Option("--reset", help="Forget everything and begin anew.")] = False,
    port_base: Annotated[
        int | None, typer.Option(min=1024, max=65000, help="The gateway's port; the others follow. [default: 8080]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say where things are as one JSON line.")] = False,
) -> None:
    """Start everything with the demo shop behind it, and print where to click."""
    if find_spec("kronborg_shop") is None:
        raise Stopped("The demo shop is not installed: run `make demo` in a clone, or install kronborg-shop.")
    file = data / "kronborg.yaml"
    if reset:
        _forget(data)
    if not file.exists():
        base = port_base or DEFAULT_BASE
        check_ports([Child(name, (), Address("127.0.0.1", base + n), "", "--port-base") for name, n in OFFSETS.items()])
        write_files(data, base)
    settings = load_settings(file, data)
    if port_base not in (None, settings.gateway.port):
        raise Stopped(f"{file} says where this demo listens, not --port-base: edit it there, or begin anew by --reset.")
    children = demo_children(settings)
    check_ports(children)
    if not as_json:
        typer.echo(f"Starting Kronborg with its demo shop; data in {settings.data}")
    prepare(settings)
    if asyncio.run(_is_empty(settings)):
        apply_file(settings, file)
    passwords = asyncio.run(_seed(settings))
    prepare_gateway(settings)
    told: list[bool] = []

    def ready() -> None:
        told.append(True)
        if as_json:
            typer.echo(orjson.dumps(_facts(settings, passwords)).decode())
        else:
            tell(settings, passwords)

    try:
        supervise(settings, children, quiet=as_json, on_ready=ready)
    finally:
        if passwords and not told:  # nobody gets a second chance to see them
            for name, password in passwords.items():
                typer.echo(f"The password of {name} is {password}", err=True)


def demo_children(settings: Settings) -> list[Child]:
    """Every process of the demo: the product and the shop."""
    return [*product_children(settings), *_shop(settings, _ports(settings))]


def _forget(data: Path) -> None:
    """Remove a data folder, but nothing that does not look like one, and not below a demo that runs in it."""
    file = data / "kronborg.yaml"
    if not data.exists():
        return
    if any(data.iterdir()) and not file.exists():
        raise Stopped(f"{data} does not look like a data folder of Kronborg (no kronborg.yaml); nothing was removed.")
    with suppress(Invalid):  # a file that cannot be read does not run either
        check_ports(demo_children(load_settings(file, data)))
    shutil.rmtree(data)


async def _is_empty(settings: Settings) -> bool:
    """Whether the demo's file has not been applied yet: this is the first start, or the first one got no further."""
    from kronborg.core.db import Database
    from kronborg.gateway.store import latest_version

    database = await Database.open(settings.database_url)
    try:
        return await latest_version(database) == 0
    finally:
        await database.close()


def write_files(data: Path, port_base: int) -> None:
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
    return {name: settings.gateway.port + OFFSETS[name] for name in (*SERVICES, "wish_list", "mcp")}


def _shop(settings: Settings, ports: dict[str, int]) -> list[Child]:
    """The microservices, the server for assistants and the third-party app, each its own process and port."""
    environ = {
        "SHOP_ISSUER": settings.issuer,
        "SHOP_GATEWAY_URL": settings.gateway_url,
        "SHOP_DATA": str(settings.data / "shop"),
        **{f"SHOP_{name.upper()}_URL": f"http://127.0.0.1:{ports[name]}" for name in SERVICES},
    }
    secret_of = {"cart": "shop-cart", "wish_list": "wish-list", "mcp": "shop-mcp"}
    children = []
    for name, port in ports.items():
        own = dict(environ)
        if name in secret_of:
            own["SHOP_CLIENT_ID"] = secret_of[name]
            own["SHOP_CLIENT_SECRET_FILE"] = str(settings.data / "secrets" / secret_of[name])
        argv = (sys.executable, "-m", f"kronborg_shop.{name}", "--port", str(port))
        ready = f"/{name}/healthz" if name in SERVICES else "/healthz"
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
                new = NewUser(
                    person.username,
                    f"{person.username}@shop.example",
                    person.name,
                    groups=person.groups,
                    roles=person.roles,
                )
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
        "console": f"{settings.issuer}/console",
        "wish_list": f"http://localhost:{ports['wish_list']}/",
        "mcp": f"{settings.gateway_url}/mcp",
        "users": {person.username: passwords.get(person.username) for person in PEOPLE},
        "clients": ["shop-web", "assistant", *MACHINE_CLIENTS, ROBOT],
        "mail": str(settings.data / "mail"),
        "secrets": str(settings.data / "secrets"),
        "file": str(settings.file),
    }


def tell(settings: Settings, passwords: dict[str, str]) -> None:
    """The table that says where to click; narrow enough for 80 columns, but for the paths, which end their lines."""
    facts = _facts(settings, passwords)
    file = Path(str(facts["file"]))
    options = "" if settings.data == DEFAULT_DATA.absolute() else f" --data {settings.data}"
    rows = [
        ("shop", facts["shop"], "browse, sign in, order"),
        ("wish list", facts["wish_list"], "a third-party app, asks for consent"),
        ("identity", facts["identity"], "your account, sessions and apps"),
        ("", f"{settings.issuer}/register", "make an account of your own"),
        ("console", facts["console"], "for the last three people below"),
        ("gateway", facts["gateway"], "the only way to the services"),
        ("MCP", facts["mcp"], "the shop's tools, for an assistant"),
        ("", "", ""),
        *(("user", _shown_name(person), _password_of(person, passwords)) for person in PEOPLE),
        ("", "", ""),
        ("letters", "to people are files, *.eml,", f"in {facts['mail']}"),
        ("clients", "shop-web, wish-list,", "people sign in to these"),
        ("", "assistant", ""),
        ("", "shop-batch, shop-cart,", "machines; their secrets are in"),
        ("", "shop-mcp, operator,", facts["secrets"]),
        ("", ROBOT, ""),
        ("file", "change it, then:", file),
        ("", "kronborg plan, apply", f"kronborg plan{options}" if options else ""),
    ]
    typer.echo("")
    for kind, what, note in rows:
        typer.echo(f"  {kind:<9}  {what:<28}  {note}".rstrip())
    if passwords:
        typer.echo("\nThese passwords are shown this once. `kronborg demo --reset` makes new ones.")
    typer.echo("Ctrl-C ends everything.")


def _shown_name(person: Seed) -> str:
    return f"{person.username}, {person.does}" if person.does else person.username


def _password_of(person: Seed, passwords: dict[str, str]) -> str:
    known = passwords.get(person.username)
    return f"password: {known}" if known else "password: as shown at the first start"
