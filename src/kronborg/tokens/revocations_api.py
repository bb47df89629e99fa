"""Taking tokens back in the admin API, and what was taken back."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import SecretStr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from kronborg.core import clock
from kronborg.core.api import Body, Shown, Word, caller_of, refusals
from kronborg.core.errors import NotFound
from kronborg.tokens import feed
from kronborg.tokens.api import engine_of
from kronborg.tokens.revoke import REVOKED_BY_ADMINISTRATOR, What, take_back

router = APIRouter()

TokenText = Annotated[SecretStr, StringConstraints(min_length=1, max_length=16384)]


class Revoking(Body):
    """What to take back: exactly one of these."""

    token: TokenText | None = None
    """A token: an access token alone, a refresh token with its grant."""
    grant: Word | None = None
    """A grant (`gid`): what one person allowed one client once."""
    session: Word | None = None
    """A browser session (`sid`): it ends, with everything granted in it, offline access included."""
    client: Word | None = None
    """Everything a client holds, its own tokens included."""
    user: Word | None = None
    """Everything a person gave to any client; sessions at Kronborg itself stay."""

    @model_validator(mode="after")
    def _one(self) -> Revoking:
        if len(self.model_fields_set) != 1 or None in (getattr(self, name) for name in self.model_fields_set):
            raise PydanticCustomError("one", "name exactly one of token, grant, session, client and user")
        return self

    @property
    def what(self) -> tuple[What, str]:
        """The one that was named, and its value."""
        if self.token is not None:
            return "token", self.token.get_secret_value()
        named: tuple[tuple[What, str | None], ...] = (
            ("grant", self.grant),
            ("session", self.session),
            ("client", self.client),
            ("user", self.user),
        )
        return next((kind, value) for kind, value in named if value is not None)


class Revoked(Shown):
    """What was taken back."""

    kind: Literal["token", "grant", "session", "client", "user"]
    grants: int
    """Grants that ended with it."""


class ShownRevocation(Shown):
    """An entry of the feed of revocations."""

    seq: int
    kind: Literal["token", "grant", "session", "client", "user", "key"]
    subject: str
    not_before: int | None
    until: int
    at: int


class ShownFeed(Shown):
    """Part of the feed; see the reference of the revocation feed."""

    entries: list[ShownRevocation]
    last: int
    reset: bool
    more: bool


@router.post("/tokens/revoke", tags=["tokens"], responses=refusals(404, 422, 503))
async def revoke_tokens(request: Request, body: Revoking) -> Revoked:
    """Take back a token, a grant, a session, or all that a client or a user has. Gateways hear of it by the feed."""
    kind, value = body.what
    actor, now = caller_of(request).actor, clock.now()
    grants = await take_back(engine_of(request), kind, value, actor=actor, reason=REVOKED_BY_ADMINISTRATOR, now=now)
    if grants is None:
        raise NotFound("there is nothing such that could be revoked")
    return Revoked(kind=kind, grants=grants)


@router.get("/revocations", tags=["tokens"])
async def read_revocations(
    request: Request,
    after: Annotated[int, Query(ge=0, le=1 << 53, description="The `last` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=feed.MAX_PAGE, description="At most so many.")] = 100,
) -> ShownFeed:
    """The feed of revocations, oldest first, as gateways follow it."""
    page = await feed.read(engine_of(request).database.lookup, after=after, limit=limit)
    # Blocked addresses are for gateways: they are about no token, and may be about people.
    entries = [ShownRevocation.model_validate(feed.plain(one)) for one in page.entries if one.kind != "address"]
    return ShownFeed(entries=entries, last=page.last, reset=page.reset, more=page.more)
