"""Who may call a route: which clients can hold a token that passes, and which people have a role that is asked for."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from kronborg.accounts.roles_store import groups_with_role, users_with_role
from kronborg.clients.model import Client
from kronborg.clients.store import list_apis, list_clients
from kronborg.core.db import ReadSession
from kronborg.gateway.model import METHODS, Route
from kronborg.gateway.simulate_rights import Rights, rights_of

MOST_CLIENTS = 10_000
SHOWN = 200
_PAGE = 200


@dataclass(frozen=True, slots=True)
class CallingClient:
    """A client that can hold a token for the route: `alone`, without a person, or `with_people` who sign in."""

    id: str
    name: str
    alone: bool
    with_people: bool
    why: str


@dataclass(frozen=True, slots=True)
class RoleHolders:
    """Who has a role: groups that give it, by id and name, and people who were given it directly, the first of them."""

    role: str
    groups: tuple[tuple[str, str], ...]
    people: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Callers:
    """The answer for one route and method. Where `public` is true, everyone may."""

    public: bool
    takes_method: bool
    rights: Rights
    clients: tuple[CallingClient, ...]
    more_clients: bool
    roles: tuple[RoleHolders, ...]


async def who_may_call(session: ReadSession, route: Route, method: str) -> Callers:
    """Which clients and people can pass `route` with this method."""
    takes = method in (route.methods or METHODS)
    rights = rights_of(route, method)
    if route.public or not takes:
        return Callers(route.public, takes, rights, (), False, ())
    own = {scope for api in await list_apis(session) if api.audience == route.audience for scope in api.scope_names}
    found: list[CallingClient] = []
    after, looked = "", 0
    while looked < MOST_CLIENTS and len(found) <= SHOWN:
        page = await list_clients(session, after=after, limit=_PAGE)
        if not page:
            break
        after, looked = page[-1].id, looked + len(page)
        found += [one for client in page if (one := _calling(client, own, rights)) is not None]
    holders = [
        RoleHolders(
            role,
            tuple(await groups_with_role(session, role)),
            tuple((one.id, one.username) for one in await users_with_role(session, role)),
        )
        for role in sorted({role for any_of in rights.roles for role in any_of})
    ]
    return Callers(False, True, rights, tuple(found[:SHOWN]), len(found) > SHOWN, tuple(holders))


def _calling(client: Client, own: Set[str], rights: Rights) -> CallingClient | None:
    """How a client can come to a token that passes; None when it cannot."""
    if client.disabled or not set(rights.scopes) <= set(client.scopes):
        return None
    # A token is for the API that its scopes belong to, so a client without any scope of it gets none.
    fitting = sorted(own & set(client.scopes))
    if not fitting:
        return None
    grants = set(client.grants)
    alone = "client_credentials" in grants and (not rights.roles or client.settings.service_account is not None)
    people = bool(grants - {"client_credentials", "refresh_token"})
    if not alone and not people:
        return None
    told = "may ask for " + ", ".join(sorted(rights.scopes) if rights.scopes else fitting[:3])
    return CallingClient(client.id, client.name, alone, people, told)
