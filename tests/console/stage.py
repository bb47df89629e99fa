"""What the tests of the console look at: a client with a secret, an API, a person with a grant and a consent."""

from __future__ import annotations

from dataclasses import dataclass

from console.conftest import Console
from kronborg.accounts.groups import create_group
from kronborg.accounts.organisations import OrganisationDraft, add_member, create_organisation
from kronborg.accounts.users import UserChange, update_user
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import add_secret, save_api, save_client
from kronborg.core import clock
from kronborg.oauth.consent import remember
from kronborg.oauth.model import Consent
from kronborg.sessions.store import list_sessions
from kronborg.tokens.codes import create_code
from kronborg.tokens.model import Authorization
from kronborg.tokens.store import grants_of_user

ORDERS = "https://shop.example/orders"


@dataclass(frozen=True)
class Stage:
    """The ids of it all."""

    api: str
    user: str
    session: str
    secret: str
    grant: str
    key: str
    group: str
    organisation: str

    def fill(self, path: str) -> str:
        """A path with `{api}` and the like filled in."""
        return path.format(**vars(self))


async def stage(console: Console) -> Stage:
    """Make it."""
    engine, now = console.engine, clock.now()
    async with engine.database.write() as session:
        api = await save_api(
            session,
            ApiDraft(ORDERS, "Orders", (Scope("orders:read", "See your orders"),)),
            actor="test",
            now=now,
        )
        draft = ClientDraft(
            "shop",
            "The Shop",
            redirect_uris=("https://shop.example/callback",),
            grants=("authorization_code", "refresh_token"),
            scopes=("openid", "orders:read", "offline_access"),
        )
        await save_client(session, draft, actor="test", now=now)
        secret = await add_secret(session, engine.vault, "shop", actor="test", now=now)
    person = await console.person("hamlet")
    async with engine.database.write() as session:
        group = await create_group(session, "guard", roles=("watch",), actor="test", now=now)
        await update_user(session, person.id, UserChange(groups=("guard",), roles=("prince",)), actor="test", now=now)
        draft_of = OrganisationDraft("elsinore", "Elsinore", domains=("elsinore.example",))
        organisation = await create_organisation(session, draft_of, actor="test", now=now)
        await add_member(session, organisation.id, person.id, actor="test", now=now)
    await console.session_of(person)
    async with engine.database.read() as reading:
        [begun] = await list_sessions(reading, person.id, now=now, idle=engine.session_idle)
    scopes = ("openid", "orders:read", "offline_access")
    allowed = Authorization("shop", person.id, begun.id, scopes, (ORDERS,), draft.redirect_uris[0], None, None, now)
    await create_code(engine, allowed, now=now)
    consent = Consent(person.id, "shop", frozenset(scopes), frozenset((ORDERS,)), now, now)
    await remember(engine.database, consent)
    [grant] = await grants_of_user(engine.database.lookup, person.id, now=now)
    key = next(key for key in await engine.keys.stored() if key.state == "active")
    return Stage(api.id, person.id, begun.id, secret.id, grant.id, key.id, group.id, organisation.id)
