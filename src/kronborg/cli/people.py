"""`kronborg user …` and `kronborg group …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kronborg.accounts.groups import create_group, delete_group, update_group
from kronborg.accounts.model import Group, User
from kronborg.accounts.store import find_by_login, find_group_by_name, find_user, list_groups, list_users
from kronborg.accounts.users import NewUser, UserChange, create_user, delete_user, update_user
from kronborg.cli.options import (
    DataOption,
    EnvOption,
    FileOption,
    FromFileOption,
    LimitOption,
    SearchOption,
    StdinOption,
    YesOption,
    confirm,
    read_password,
)
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.db import ReadSession
from kronborg.core.errors import NotFound
from kronborg.core.whole import whole
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.objects import fields_of
from kronborg.signin.passwords import store_password

user_commands = typer.Typer(help="People: who they are, their groups and roles.", no_args_is_help=True)
group_commands = typer.Typer(help="Groups and the roles they give.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(help="Username, e-mail address or id.", metavar="USER")]
RoleOption = Annotated[list[str] | None, typer.Option("--role", help="A role; may be repeated.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


def _row(thing: User | Group) -> dict[str, object]:
    return {"id": thing.id, **fields_of(thing), "created_at": thing.created_at, "updated_at": thing.updated_at}


async def found_user(session: ReadSession, who: str) -> User:
    """The person with this username, e-mail address or id. Raises `NotFound`."""
    user = await find_by_login(session, who) or await find_user(session, who)
    if user is None:
        raise NotFound("there is no such user")
    return user


@user_commands.command("list")
def user_list(
    search: SearchOption = "",
    limit: LimitOption = 200,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List people by username."""

    async def work(installation: Installation) -> list[User]:
        found: list[User] = []
        async with installation.database.read() as session:
            while len(found) < limit:
                after = found[-1].id if found else None
                page = await list_users(session, search=search, after=after, limit=min(200, limit - len(found)))
                if not page:
                    break
                found += page
        return found

    users = with_store(find_settings(file, data), work)
    columns = ("username", "name", "email", "groups", "roles", "disabled")
    print_rows([_row(user) for user in users], as_json=as_json, columns=columns)


@user_commands.command("show")
def user_show(who: Who, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show one person."""

    async def work(installation: Installation) -> User:
        async with installation.database.read() as session:
            return await found_user(session, who)

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@user_commands.command("create")
def user_create(
    username: Annotated[str, typer.Argument()],
    email: Annotated[str | None, typer.Option()] = None,
    name: Annotated[str, typer.Option(help="The full name.")] = "",
    group: Annotated[list[str] | None, typer.Option("--group", help="A group; may be repeated.")] = None,
    role: RoleOption = None,
    service: Annotated[
        bool, typer.Option("--service", help="An account for machines: nobody signs in with it.")
    ] = False,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a person, without a password: set it with `kronborg user password`. Or an account for machines."""
    kind: Literal["person", "service"] = "service" if service else "person"
    new = NewUser(username, email, name, tuple(role or ()), tuple(group or ()), kind=kind)

    async def work(installation: Installation) -> User:
        async with whole(installation.database) as session:
            return await create_user(session, new, actor=actor(), now=clock.now())

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@user_commands.command("password")
def user_password(
    who: Who,
    from_env: EnvOption = None,
    from_file: FromFileOption = None,
    stdin: StdinOption = False,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Set a person's password, and end their sessions: asked for, or read from the environment, a file or stdin."""
    settings = find_settings(file, data)
    password = read_password(from_env, from_file, stdin=stdin)

    async def work(installation: Installation) -> None:
        async with installation.database.read() as reading:
            user = await found_user(reading, who)
        await installation.passwords.examine(password, user=user, database=installation.database)
        encoded = await installation.passwords.hash(password)
        async with whole(installation.database) as session:
            await store_password(session, user.id, encoded, actor=actor(), now=clock.now())

    with_store(settings, work)
    typer.echo("The password is set.")


@user_commands.command("disable")
def user_disable(who: Who, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Let a person in no more; sessions end at once."""
    _change(who, UserChange(disabled=True), file, data, as_json=as_json)


@user_commands.command("enable")
def user_enable(who: Who, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Let a person in again."""
    _change(who, UserChange(disabled=False), file, data, as_json=as_json)


def _change(who: str, change: UserChange, file: Path | None, data: Path | None, *, as_json: bool) -> None:
    async def work(installation: Installation) -> User:
        async with whole(installation.database) as session:
            user = await found_user(session, who)
            return await update_user(session, user.id, change, actor=actor(), now=clock.now())

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@user_commands.command("delete")
def user_delete(who: Who, yes: YesOption = False, file: FileOption = None, data: DataOption = None) -> None:
    """Remove a person with password, sessions and memberships."""
    confirm("Remove this person for good?", yes=yes)

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await delete_user(session, (await found_user(session, who)).id, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Removed.")


@group_commands.command("list")
def group_list(
    limit: LimitOption = 200, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """List groups by name."""

    async def work(installation: Installation) -> list[Group]:
        async with installation.database.read() as session:
            return list(await list_groups(session, limit=min(limit, 200)))

    groups = with_store(find_settings(file, data), work)
    print_rows([_row(group) for group in groups], as_json=as_json, columns=("name", "parent", "roles"))


@group_commands.command("create")
def group_create(
    name: NameArgument,
    role: RoleOption = None,
    parent: Annotated[str, typer.Option(help="The group that it stands in.")] = "",
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a group. Members of a group are in the one it stands in too, and have its roles."""

    async def work(installation: Installation) -> Group:
        async with whole(installation.database) as session:
            return await create_group(
                session, name, roles=tuple(role or ()), parent=parent, actor=actor(), now=clock.now()
            )

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@group_commands.command("update")
def group_update(
    name: NameArgument,
    new_name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    role: Annotated[
        list[str] | None, typer.Option("--role", help="All its roles from now on; may be repeated.")
    ] = None,
    parent: Annotated[str | None, typer.Option(help="The group that it stands in from now on; empty for none.")] = None,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rename a group, give it other roles, or let it stand in another group."""
    roles = None if role is None else tuple(one for one in role if one)

    async def work(installation: Installation) -> Group:
        async with whole(installation.database) as session:
            known = await _group(session, name)
            return await update_group(
                session, known.id, name=new_name, roles=roles, parent=parent, actor=actor(), now=clock.now()
            )

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@group_commands.command("show")
def group_show(
    name: NameArgument, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one group."""

    async def work(installation: Installation) -> Group:
        async with installation.database.read() as session:
            return await _group(session, name)

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@group_commands.command("delete")
def group_delete(name: NameArgument, yes: YesOption = False, file: FileOption = None, data: DataOption = None) -> None:
    """Remove a group; its members lose its roles, and groups in it stand by themselves."""
    confirm("Remove this group?", yes=yes)

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await delete_group(session, (await _group(session, name)).id, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Removed.")


async def _group(session: ReadSession, name: str) -> Group:
    group = await find_group_by_name(session, name)
    if group is None:
        raise NotFound("there is no such group")
    return group
