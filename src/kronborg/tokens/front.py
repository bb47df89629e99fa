"""What the authorization endpoint hands out itself: an access token or an ID token through the browser.

Legacy (RFC 9700 §2.1.2): such a token passes through the history and the scripts of a browser. So it is short-lived,
bound to nothing, comes without a refresh token, and ends with the session it was given in. A code that stands beside it
and that nobody trades takes it along when it is cleaned away: whoever asks for both is to use both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from kronborg.core import opaque
from kronborg.core.group_writer import Execute
from kronborg.core.json import JsonObject
from kronborg.tokens.audience import Target
from kronborg.tokens.codes import add_granted, code_of, grant_of
from kronborg.tokens.engine import Engine
from kronborg.tokens.grant_details import grant_end
from kronborg.tokens.issue import NO_CLAIMS, Order, TokenSet, fill, order_for_grant
from kronborg.tokens.live import person_behind
from kronborg.tokens.model import Authorization, Grant

TOKEN_LIFETIME: Final = timedelta(minutes=5)
GRANT_LIFETIME: Final = timedelta(days=1)
"""How long a grant without a code is kept: longer than its tokens live, so that a sign-out knows whom to tell."""


class NobodyThere(Exception):
    """The person was disabled, or the session ended, while the answer was made."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What was stored. `code` is its text; `tokens` holds the access token, if one was asked for."""

    grant: Grant
    code: str | None
    tokens: TokenSet | None


async def grant_in_front(
    engine: Engine,
    authorization: Authorization,
    target: Target | None,
    *,
    code: bool,
    now: datetime,
    check: Callable[[Execute], None] | None = None,
    claims: JsonObject = NO_CLAIMS,
) -> Granted:
    """Store an authorization; with an access token for `target`, and with a code. Raises `NobodyThere`.

    `claims` are further ones of the access token. `check` runs first in the same unit, and raises a `Refusal` when
    nothing may be given after all.
    """
    expires_at = grant_end(authorization.details, now=now) if code else now + GRANT_LIFETIME
    grant = grant_of(authorization, expires_at=expires_at, now=now)
    person = await person_behind(engine, grant, now=now)
    if person is None:
        raise NobodyThere
    text = opaque.mint(opaque.CODE) if code else None
    stored = None if text is None else code_of(engine, text, grant, authorization, now=now)
    order: Order | None = None
    if target is not None:
        short = replace(target, lifetime=min(target.lifetime, TOKEN_LIFETIME))
        order = order_for_grant(engine, grant, person, short, now=now, claims=claims)

    def unit(execute: Execute) -> None:
        if check is not None:
            check(execute)
        add_granted(execute, grant, stored, now=now)
        if order is not None:
            order.store(execute)

    await engine.database.writer.run(unit)
    tokens = None if order is None else await fill(engine, order, now=now)
    return Granted(grant, text, tokens)
