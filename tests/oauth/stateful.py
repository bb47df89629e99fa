"""What a whole history of requests may have given: a model beside the server, for `test_stateful.py`.

The model knows what must not work (`may`: when it is False, a success is a bug), and for what was never touched by
anything doubtful what has to work (`must`). Where the server is free to be stricter, neither says anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kronborg.clients.model import ClientDraft
from kronborg.clients.settings import ClientSettings
from kronborg.tokens.model import CODE_LIFETIME, REFRESH_ABSOLUTE, REFRESH_GRACE, REFRESH_IDLE
from oauth.flow import CART, CATALOGUE, WEB, WISH_LIST

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
BROKER = ClientDraft(
    "broker",
    "Broker",
    grants=(EXCHANGE,),
    scopes=("catalogue:read", "cart:read"),
    audiences=(CATALOGUE,),
    settings=ClientSettings(exchange_audiences=(CART,), may_impersonate=True),
)
CLIENTS = {client.id: client for client in (WEB, WISH_LIST, BROKER)}
SESSION_IDLE = timedelta(hours=12)
SESSION_ABSOLUTE = timedelta(days=14)
SEEN = timedelta(minutes=1)
"""A visit is noted at most so often."""
SETTLED = timedelta(seconds=3)
"""After a client was switched off and on again, tokens of the first moment may be refused."""


@dataclass
class Switch:
    """A person or a client that can be switched off."""

    name: str
    on: bool = True
    changed_at: datetime | None = None


@dataclass
class Session:
    """A browser session, as far as we saw of it."""

    begun_at: datetime
    seen_at: datetime
    ended: bool = False

    def may(self, now: datetime) -> bool:
        return not self.ended and now < self.seen_at + SESSION_IDLE and now < self.begun_at + SESSION_ABSOLUTE

    def must(self, now: datetime) -> bool:
        return self.may(now) and now < self.seen_at - SEEN + SESSION_IDLE


@dataclass
class Given:
    """A grant: what a person gave a client. `sure` is lost when something happened to it that may have ended it."""

    client: Switch
    person: Switch
    session: Session
    scopes: frozenset[str]
    audiences: frozenset[str]
    created_at: datetime
    alive: bool = True
    sure: bool = True

    @property
    def offline(self) -> bool:
        return "offline_access" in self.scopes

    def may(self, now: datetime) -> bool:
        return (
            self.alive
            and self.client.on
            and self.person.on
            and now < self.created_at + REFRESH_ABSOLUTE
            and (self.offline or self.session.may(now))
        )

    def must(self, now: datetime) -> bool:
        return self.may(now) and self.sure and (self.offline or self.session.must(now))


@dataclass
class HeldCode:
    """An authorization code."""

    text: str
    given: Given
    created_at: datetime
    spent: bool = False

    def may(self, now: datetime) -> bool:
        return not self.spent and now < self.created_at + CODE_LIFETIME and self.given.may(now)


@dataclass
class HeldRefresh:
    """A refresh token; `successor` is set when it was rotated."""

    text: str
    given: Given
    issued_at: datetime
    rotated_at: datetime | None = None
    successor: HeldRefresh | None = None

    def late(self, now: datetime) -> bool:
        """Whether it was rotated, and its grace is over."""
        return self.rotated_at is not None and now >= self.rotated_at + REFRESH_GRACE

    def outlived(self) -> bool:
        """Whether whoever has its successor used that."""
        return self.successor is not None and self.successor.rotated_at is not None

    def may(self, now: datetime) -> bool:
        lives = now < self.issued_at + REFRESH_IDLE
        return lives and not self.late(now) and not self.outlived() and self.given.may(now)


@dataclass
class HeldAccess:
    """An access token. `holder` is the client it was issued to: not that of the grant after an exchange."""

    text: str
    given: Given
    holder: Switch
    scopes: frozenset[str]
    audience: str
    issued_at: datetime
    expires_at: datetime
    revoked: bool = False
    source: HeldAccess | None = field(default=None, repr=False)

    def may(self, now: datetime) -> bool:
        return not self.revoked and self.holder.on and now < self.expires_at and self.given.may(now)

    def must(self, now: datetime) -> bool:
        changed = self.holder.changed_at
        settled = changed is None or self.issued_at > changed + SETTLED
        return self.may(now) and self.given.must(now) and settled


Held = HeldRefresh | HeldAccess
