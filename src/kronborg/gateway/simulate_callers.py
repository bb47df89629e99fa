"""Who may call a route: which clients can hold a token that passes, and which people have a role that is asked for.

What depends on the single request or on another issuer cannot be counted; then it is said (`Callers.besides`).
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass

from kronborg.accounts.roles_store import groups_giving, people_through_groups, users_with_role
from kronborg.clients.model import Client
from kronborg.clients.store import list_apis, list_clients
from kronborg.core.db import ReadSession
from kronborg.gateway.model import METHODS, Route
from kronborg.gateway.simulate_could import Known, could_permit
from kronborg.gateway.simulate_rights import Rights, rights_of

MOST_CLIENTS = 10_000
SHOWN = 200
MOST_PEOPLE = 50
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
    """Who has a role, the first of them: groups whose people have it, by id and name; people, by id, name, and the
    group through which they have it, which is empty where they were given it directly."""

    role: str
    groups: tuple[tuple[str, str], ...]
    people: tuple[tuple[str, str, str], ...]
    more_people: bool = False


@dataclass(frozen=True, slots=True)
class Callers:
    """The answer for one route and method. Where `public` is true, everyone may. `besides` says in sentences what must
    be so, too, and who else may call that nobody here can count."""

    public: bool
    takes_method: bool
    rights: Rights
    clients: tuple[CallingClient, ...]
    more_clients: bool
    roles: tuple[RoleHolders, ...]
    besides: tuple[str, ...] = ()


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
        found += [one for client in page if (one := _calling(client, own, rights, route, method)) is not None]
    holders = [await _holders(session, role) for role in sorted({role for any_of in rights.roles for role in any_of})]
    told = tuple(_besides(route, rights))
    return Callers(False, True, rights, tuple(found[:SHOWN]), len(found) > SHOWN, tuple(holders), told)


async def _holders(session: ReadSession, role: str) -> RoleHolders:
    direct = [(one.id, one.username, "") for one in await users_with_role(session, role) if not one.disabled]
    through = await people_through_groups(session, role, limit=MOST_PEOPLE + 1)
    people = (*direct, *through)
    return RoleHolders(role, tuple(await groups_giving(session, role)), people[:MOST_PEOPLE], len(people) > MOST_PEOPLE)


def _besides(route: Route, rights: Rights) -> Iterator[str]:
    """What is not counted above."""
    if route.policy is not None:
        yield "The Cedar policy of the route decides as well. Applications that it permits nothing are left out."
    for rule in rights.claims:
        yield f"The token must carry the claim {rule.claim} with one of: {', '.join(rule.values)}."
    if rights.step_ups:
        yield "People must have signed in as the route asks; an application by itself never has."
    if route.bound == "required":
        yield "The token must be bound to a key or a certificate of the caller."
    if route.addresses is not None:
        yield "Requests must come from an address that the route takes."
    keys = {"api_key": "API keys of applications", "personal_token": "personal access tokens of people"}
    taken = [told for kind, told in keys.items() if kind in route.credentials]
    if taken:
        yield f"Also taken: {' and '.join(taken)}, with what their owners may."
    if "token" not in route.credentials:
        yield "Access tokens are not taken."
    if route.issuers:
        yield f"Tokens of {', '.join(route.issuers)} pass too. Who has such, only those issuers know."


def _calling(client: Client, own: Set[str], rights: Rights, route: Route, method: str) -> CallingClient | None:
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
    if rights.step_ups:
        alone = False
    if route.policy is not None:
        scopes = frozenset(client.scopes)
        alone = alone and could_permit(route.policy, route.name, Known(method, client.id, scopes, alone=True))
        people = people and could_permit(route.policy, route.name, Known(method, client.id, scopes, alone=False))
    if not alone and not people:
        return None
    told = "may ask for " + ", ".join(sorted(rights.scopes) if rights.scopes else fitting[:3])
    return CallingClient(client.id, client.name, alone, people, told)
