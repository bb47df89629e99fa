"""`/console/keys`: the keys that sign tokens, by line; rotate, or stop believing one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import NotFound
from kronborg.core.html import redirect, render
from kronborg.core.jws import DECRYPTING, LINES, Line
from kronborg.core.policy import Resource
from kronborg.sessions.console_pages import ConfirmPage, actor_of, agreed, confirm, done_of, may
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted
from kronborg.tokens.engine import Engine
from kronborg.tokens.key_holders import HELD
from kronborg.tokens.model import KEY_AGE, StoredKey

HOME = "/console/keys"
DONE = {
    "rotated": "The next key signs from now on. The old one stays published until what it signed has expired.",
    "revoked": "Nothing that key signed is believed any more.",
}
SIGNED = (
    "Every access token and ID token it signed is worthless at once: applications ask for new ones.",
    "People stay signed in; services may fail until they have a new token.",
    "APIs that check tokens themselves learn of it when they read the keys again.",
)
_ORDER = {"active": 0, "next": 1, "retiring": 2}


@dataclass(frozen=True, slots=True)
class KeyLine:
    """The keys of one algorithm, the active one first. `due` is when the next takes over by itself."""

    line: Line
    use: str
    keys: tuple[StoredKey, ...]
    due: datetime | None


@dataclass(frozen=True, slots=True)
class KeysPage(ConsolePage):
    """Every line."""

    lines: tuple[KeyLine, ...]
    may_rotate: bool
    may_revoke: bool
    done: str | None
    held: str
    now: datetime


def routes(engine: Engine) -> list[Route]:
    """Everything below `/console/keys`."""
    return [
        Route(HOME, partial(show_keys, engine), methods=["GET"]),
        Route(f"{HOME}/rotate", partial(ask_rotate, engine), methods=["GET"]),
        Route(f"{HOME}/rotate", partial(submit_rotate, engine), methods=["POST"]),
        Route(f"{HOME}/{{kid}}/revoke", partial(ask_revoke, engine), methods=["GET"]),
        Route(f"{HOME}/{{kid}}/revoke", partial(submit_revoke, engine), methods=["POST"]),
    ]


async def show_keys(engine: Engine, request: Request) -> Response:
    """Lines with their keys, states and ages."""
    found = await admitted(request, "keys:read", Resource("key"))
    if isinstance(found, Response):
        return found
    stored = await engine.keys.stored()
    present = sorted({key.line for key in stored}, key=LINES.index)
    page = KeysPage(
        found,
        "keys",
        tuple(_line(line, stored) for line in present),
        may(request, found, "keys:rotate", Resource("key")),
        may(request, found, "keys:revoke", Resource("key")),
        done_of(request, DONE),
        HELD,
        clock.now(),
    )
    return render(request, "tokens/keys.html", page)


async def ask_rotate(engine: Engine, request: Request) -> Response:
    """What rotating does."""
    found = await admitted(request, "keys:rotate", Resource("key"), fresh=True)
    if isinstance(found, Response):
        return found
    line = await _line_asked(engine, request)
    page = ConfirmPage(
        found,
        "keys",
        "Rotate now?",
        f"Tokens are signed with the next {line} key from now on."
        if line
        else "Every signing line takes its next key.",
        "Rotate",
        f"{HOME}/rotate" + (f"?line={line}" if line else ""),
        HOME,
        (
            "The next key is published already: no API has to do anything.",
            "The old one stays published until what it signed has expired.",
        ),
        crumbs=(("Keys", HOME),),
        danger=False,
    )
    return confirm(request, page)


async def submit_rotate(engine: Engine, request: Request) -> Response:
    """Sign with the next key."""
    await checked_form(request)
    found = await admitted(request, "keys:rotate", Resource("key"), fresh=True)
    if isinstance(found, Response):
        return found
    line = await _line_asked(engine, request)
    await engine.keys.rotate(now=clock.now(), force=True, line=line, actor=actor_of(found))
    return redirect(request, f"{HOME}?done=rotated")


async def ask_revoke(engine: Engine, request: Request) -> Response:
    """What it means to stop believing a key."""
    found = await admitted(request, "keys:revoke", Resource("key", request.path_params["kid"]), fresh=True)
    if isinstance(found, Response):
        return found
    return confirm(request, _question(found, await _key_asked(engine, request)))


async def submit_revoke(engine: Engine, request: Request) -> Response:
    """Believe nothing that this key signed."""
    form = await checked_form(request)
    found = await admitted(request, "keys:revoke", Resource("key", request.path_params["kid"]), fresh=True)
    if isinstance(found, Response):
        return found
    key = await _key_asked(engine, request)
    page = _question(found, key)
    if not agreed(form, page.typed):
        return confirm(request, _question(found, key, error="Type the word to go on."))
    await engine.keys.revoke(key.id, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{HOME}?done=revoked")


def _question(found: Admitted, key: StoredKey, *, error: str = "") -> ConfirmPage:
    if key.line == DECRYPTING:
        text = f"The key {key.id}, to which others encrypt, opens nothing any more."
        effects: tuple[str, ...] = (
            "Request objects that were encrypted to it are refused: clients have to read our keys again.",
        )
    else:
        text = f"Nothing that the {key.line} key {key.id} signed is believed any more, by us and by every gateway."
        effects = SIGNED
    return ConfirmPage(
        found,
        "keys",
        "Is this key compromised?",
        text,
        "Stop believing it",
        f"{HOME}/{key.id}/revoke",
        HOME,
        effects,
        crumbs=(("Keys", HOME),),
        typed="compromised",
        error=error,
    )


def _line(line: Line, stored: tuple[StoredKey, ...]) -> KeyLine:
    keys = sorted((key for key in stored if key.line == line), key=lambda key: _ORDER[key.state])
    active = next((key for key in keys if key.state == "active"), None)
    due = None if active is None or active.activated_at is None else active.activated_at + KEY_AGE
    return KeyLine(line, "Others encrypt to it" if line == DECRYPTING else "Signs tokens", tuple(keys), due)


async def _line_asked(engine: Engine, request: Request) -> Line | None:
    """The one line that the address names, if any. Raises `NotFound` for one there is not."""
    line = request.query_params.get("line", "")
    if line and line not in {key.line for key in await engine.keys.stored()}:
        raise NotFound("there is no such line of keys")
    return line or None


async def _key_asked(engine: Engine, request: Request) -> StoredKey:
    key = next((one for one in await engine.keys.stored() if one.id == request.path_params["kid"]), None)
    if key is None:
        raise NotFound("there is no key with this id")
    return key
