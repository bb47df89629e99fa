"""LDAP directories in the console: list, make, edit, test the connection, sync now, switch, delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Invalid, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.federation import directory_changes as changes
from kronborg.federation import directory_store as store
from kronborg.federation.directory_form import PARTS, read_form, written
from kronborg.federation.directory_model import Directory, KeptDirectory
from kronborg.federation.directory_sync import sync_directory
from kronborg.federation.directory_trial import Tried, try_directory
from kronborg.federation.parting_form import PARTING, parting_in
from kronborg.federation.provider_form import Part
from kronborg.sessions.console_pages import ConfirmPage, actor_of, agreed, confirm, done_of, may
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted

LIST = "/console/directories"
READ, WRITE, DELETE = "directories:read", "directories:write", "directories:delete"
DONE = {
    "made": "The directory is there. Test the connection.",
    "saved": "The directory is saved.",
    "enabled": "Its people can sign in.",
    "disabled": "Its people cannot sign in any more; sessions that have begun go on.",
    "synced": "Everybody was read.",
    "deleted": "The directory is deleted.",
}


@dataclass(frozen=True, slots=True)
class DirectoriesPage(ConsolePage):
    """What `federation/directories.html` shows."""

    directories: tuple[KeptDirectory, ...]
    may_write: bool
    done: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class DirectoryPage(ConsolePage):
    """What `federation/directory.html` shows: a new directory, or one there is (`kept`)."""

    draft: Directory
    kept: KeptDirectory | None
    parts: tuple[Part, ...]
    written: Mapping[str, str]
    problems: tuple[Problem, ...]
    tried: Tried | None
    may_write: bool
    may_delete: bool
    done: str | None
    now: datetime


def routes() -> list[Route]:
    """`/console/directories` and what is below it."""
    return [
        Route(LIST, show_directories, methods=["GET"]),
        Route(f"{LIST}/-/new", show_new, methods=["GET"]),
        Route(f"{LIST}/-/new", submit_new, methods=["POST"]),
        Route(LIST + "/{key}", show_directory, methods=["GET"]),
        Route(LIST + "/{key}", submit_directory, methods=["POST"]),
        Route(LIST + "/{key}/switch", submit_switch, methods=["POST"]),
        Route(LIST + "/{key}/test", submit_test, methods=["POST"]),
        Route(LIST + "/{key}/sync", submit_sync, methods=["POST"]),
        Route(LIST + "/{key}/delete", show_delete, methods=["GET"]),
        Route(LIST + "/{key}/delete", submit_delete, methods=["POST"]),
    ]


async def show_directories(request: Request) -> Response:
    """Every directory, by key."""
    found = await admitted(request, READ, _resource(request))
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.read() as session:
        directories = tuple(await store.list_directories(session))
    done = done_of(request, DONE)
    writing = may(request, found, WRITE, _resource(request))
    page = DirectoriesPage(found, "providers", directories, writing, done, clock.now())
    return render(request, "federation/directories.html", page)


async def show_new(request: Request) -> Response:
    """An empty form."""
    found = await admitted(request, WRITE, _resource(request))
    if isinstance(found, Response):
        return found
    return _form(request, found, Directory("", "", (), ""))


async def submit_new(request: Request) -> Response:
    """Make it."""
    form = await checked_form(request)
    found = await admitted(request, WRITE, _resource(request), fresh=True, back=f"{LIST}/-/new")
    if isinstance(found, Response):
        return found
    draft, problems = read_form(Directory(form.get("key", "").strip(), "", (), ""), form)
    async with parts_of(request).database.read() as session:
        if await store.find_directory(session, draft.key.replace("\0", "")) is not None:
            problems.append(Problem("key", "there is a directory with this key", "choose another one"))
    problems += await _saved(request, found, draft, form) if not problems else []
    if problems:
        return _form(request, found, draft, problems=tuple(problems))
    return redirect(request, f"{LIST}/{draft.key}?done=made")


async def show_directory(request: Request) -> Response:
    """One directory: its form, its last sync, and what else can be done."""
    found = await admitted(request, READ, _resource(request))
    if isinstance(found, Response):
        return found
    kept = await _kept(request)
    return _form(request, found, kept.directory, kept=kept)


async def submit_directory(request: Request) -> Response:
    """Save what was changed."""
    form = await checked_form(request)
    found = await admitted(request, WRITE, _resource(request), fresh=True, back=_href(request))
    if isinstance(found, Response):
        return found
    kept = await _kept(request)
    draft, problems = read_form(kept.directory, form)
    if form.get("version") != kept.updated_at.isoformat():
        problems.append(Problem("", "somebody else has changed it meanwhile", "open the page again"))
    problems += await _saved(request, found, draft, form) if not problems else []
    if problems:
        return _form(request, found, draft, kept=kept, problems=tuple(problems))
    return redirect(request, f"{_href(request)}?done=saved")


async def submit_switch(request: Request) -> Response:
    """Ask it when people sign in, or not any more."""
    form = await checked_form(request)
    found = await admitted(request, WRITE, _resource(request), fresh=True, back=_href(request))
    if isinstance(found, Response):
        return found
    disabled = form.get("enabled") != "1"
    draft = replace((await _kept(request)).directory, disabled=disabled)
    problems = await _saved(request, found, draft, {})
    if problems:
        return _form(request, found, draft, kept=await _kept(request), problems=tuple(problems))
    return redirect(request, f"{_href(request)}?done={'disabled' if disabled else 'enabled'}")


async def submit_test(request: Request) -> Response:
    """Try every server, and the search."""
    await checked_form(request)
    found = await admitted(request, WRITE, _resource(request))
    if isinstance(found, Response):
        return found
    kept = await _kept(request)
    tried = await try_directory(parts_of(request).vault, kept)
    return _form(request, found, kept.directory, kept=kept, tried=tried)


async def submit_sync(request: Request) -> Response:
    """Read everybody now."""
    await checked_form(request)
    found = await admitted(request, WRITE, _resource(request), fresh=True, back=_href(request))
    if isinstance(found, Response):
        return found
    parts = parts_of(request)
    done = await sync_directory(parts.database, parts.vault, _key(request), actor=actor_of(found), now=clock.now())
    return redirect(request, _href(request) + ("" if done.problem else "?done=synced"))


async def show_delete(request: Request) -> Response:
    """Ask."""
    found = await admitted(request, DELETE, _resource(request), fresh=True)
    if isinstance(found, Response):
        return found
    return confirm(request, await _question(request, found))


async def submit_delete(request: Request) -> Response:
    """Delete it, if its key was typed."""
    form = await checked_form(request)
    found = await admitted(request, DELETE, _resource(request), fresh=True, back=f"{_href(request)}/delete")
    if isinstance(found, Response):
        return found
    if not agreed(form, _key(request)):
        return confirm(request, await _question(request, found, error="Type the key of the directory."))
    async with whole(parts_of(request).database) as session:
        accounts = parting_in(form)
        await changes.remove_directory(
            session, _key(request), accounts=accounts, actor=actor_of(found), now=clock.now()
        )
    return redirect(request, f"{LIST}?done=deleted")


async def _question(request: Request, found: Admitted, error: str = "") -> ConfirmPage:
    directory = (await _kept(request)).directory
    return ConfirmPage(
        found,
        "providers",
        title=f"Delete {directory.name}?",
        text="Nobody can sign in with this directory any more.",
        verb="Delete directory",
        action=f"{_href(request)}/delete",
        back=_href(request),
        effects=(
            "The accounts of its people stay.",
            "Their people need a new password by the letter, unless their accounts are disabled or kept.",
        ),
        choice=PARTING,
        names=(directory.name,),
        crumbs=(("Directories", LIST), (directory.name, _href(request))),
        typed=directory.key,
        error=error,
    )


async def _saved(request: Request, found: Admitted, draft: Directory, form: Mapping[str, str]) -> list[Problem]:
    """Save; what is wrong, if anything. An empty password leaves the one there is."""
    parts, password = parts_of(request), form.get("bind_password", "") or None
    try:
        async with whole(parts.database) as session:
            await changes.save_directory(
                session, parts.vault, draft, password=password, actor=actor_of(found), now=clock.now()
            )
    except Invalid as invalid:
        return list(invalid.problems)
    return []


def _form(
    request: Request,
    found: Admitted,
    draft: Directory,
    *,
    kept: KeptDirectory | None = None,
    problems: tuple[Problem, ...] = (),
    tried: Tried | None = None,
) -> Response:
    page = DirectoryPage(
        found,
        "providers",
        draft=draft,
        kept=kept,
        parts=PARTS,
        written=written(draft),
        problems=problems,
        tried=tried,
        may_write=may(request, found, WRITE, _resource(request)),
        may_delete=may(request, found, DELETE, _resource(request)),
        done=done_of(request, DONE),
        now=clock.now(),
    )
    return render(request, "federation/directory.html", page, status=422 if problems else 200)


async def _kept(request: Request) -> KeptDirectory:
    async with parts_of(request).database.read() as session:
        return changes.require(await store.find_directory(session, _key(request)))


def _key(request: Request) -> str:
    return str(request.path_params["key"])[:63].replace("\0", "")


def _href(request: Request) -> str:
    return f"{LIST}/{_key(request)}"


def _resource(request: Request) -> Resource:
    return Resource("directory", str(request.path_params.get("key", ""))[:63])
