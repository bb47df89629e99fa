"""Which API an access token is for, and with which scopes: one audience each (RFC 8707, RFC 9068 §3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from kronborg.clients.directory import Apis
from kronborg.clients.model import BUILT_IN_NAMES, Api, Client, TokenFormat
from kronborg.clients.redirects import audience_problem
from kronborg.clients.settings import UNSET_API, ApiSettings
from kronborg.tokens.errors import InvalidScope, InvalidTarget
from kronborg.tokens.model import USERINFO_TOKEN_LIFETIME

MAX_CHOSEN, LONGEST_CHOSEN = 4096, 512


@dataclass(frozen=True, slots=True)
class Grantable:
    """What an authorization request may end in, should the person agree."""

    scopes: tuple[str, ...]
    audiences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What one access token will say."""

    audience: str
    scopes: tuple[str, ...]
    token_format: TokenFormat
    lifetime: timedelta
    listed: bool = False
    """Whether a JWT gets a place in a status list."""
    settings: ApiSettings = UNSET_API


def split_scope(scope: str) -> tuple[str, ...]:
    """The names in a `scope` parameter, without repetition. Raises `InvalidScope` (RFC 6749 §3.3)."""
    names = tuple(dict.fromkeys(scope.split(" ")))
    if "" in names or not scope.isascii() or len(names) > 200:
        raise InvalidScope("scope must be names separated by single spaces")
    return names


def check_resource(resource: str) -> None:
    """Raise `InvalidTarget` unless it is an absolute URI without fragment (RFC 8707 §2)."""
    if audience_problem(resource):
        raise InvalidTarget("resource must be an absolute URI without fragment")


def check_named(client: Client, *resources: str | None) -> None:
    """Raise `InvalidTarget` when a client that always names the API it asks for does not (RFC 8707 §2)."""
    if client.settings.require_resource and not any(resources):
        raise InvalidTarget("resource is missing: the client always names the API it asks for")


def grantable(
    client: Client, apis: Apis, *, userinfo: str, scopes: tuple[str, ...], resources: tuple[str, ...]
) -> Grantable:
    """The scopes and audiences a client may ask a person for. No scope means all that the client registered.

    With `resources` the grant is for those only. Raises `InvalidScope`, `InvalidTarget`.
    """
    for scope in scopes:
        if scope not in client.scopes or (scope not in BUILT_IN_NAMES and scope not in apis.by_scope):
            raise InvalidScope("a scope is unknown or not registered for this client")
    wanted = scopes or tuple(s for s in client.scopes if s in BUILT_IN_NAMES or s in apis.by_scope)
    for resource in resources:
        check_resource(resource)
        if resource != userinfo and not _may_target(client, apis, resource):
            raise InvalidTarget("a resource is unknown or not registered for this client")
    if resources:
        wanted = tuple(s for s in wanted if s in BUILT_IN_NAMES or apis.by_scope[s].audience in resources)
    audiences = dict.fromkeys(resources or (apis.by_scope[s].audience for s in wanted if s in apis.by_scope))
    if "openid" in wanted:
        audiences[userinfo] = None
    return Grantable(wanted, tuple(audiences))


def still_grantable(client: Client, apis: Apis, granted: Grantable, *, userinfo: str) -> Grantable:
    """What is left of a grant when the client was registered for less since: what was taken away is not issued."""
    scopes = tuple(s for s in granted.scopes if s in client.scopes)
    if scopes == granted.scopes:
        return granted
    kept = (a for a in granted.audiences if (a == userinfo and "openid" in scopes) or _may_target(client, apis, a))
    return Grantable(scopes, tuple(kept))


def client_grantable(client: Client, apis: Apis) -> Grantable:
    """What a client may have for itself (client credentials): its API scopes; there is no person to be about."""
    scopes = tuple(scope for scope in client.scopes if scope in apis.by_scope)
    return Grantable(scopes, tuple(dict.fromkeys(apis.by_scope[scope].audience for scope in scopes)))


def choose(granted: Grantable, apis: Apis, *, userinfo: str, scope: str | None, resource: str | None) -> Target:
    """The one audience of a token, and its scopes: never wider than what was granted.

    `resource` picks the audience; without it, it follows from the scopes if they belong to one API.
    Raises `InvalidScope`, `InvalidTarget`.
    """
    asked = granted.scopes if scope is None else split_scope(scope)
    # RFC 6749 §6: the scope must not include any scope that was not granted.
    if not set(asked) <= set(granted.scopes):
        raise InvalidScope("the scope is wider than what was granted")
    audience = _only_audience(granted, apis, asked, userinfo) if resource is None else resource
    if resource is not None and resource not in granted.audiences:
        check_resource(resource)
        raise InvalidTarget("the resource is not among those granted")
    if audience == userinfo:
        return Target(userinfo, tuple(s for s in asked if s in BUILT_IN_NAMES), "jwt", USERINFO_TOKEN_LIFETIME)
    api = apis.by_audience.get(audience)
    if api is None:
        raise InvalidTarget("the resource does not exist any more")
    scopes = tuple(s for s in asked if s in apis.by_scope and apis.by_scope[s].audience == audience)
    if scope is not None and not scopes:
        raise InvalidTarget("none of the scopes belongs to the resource")
    return Target(audience, scopes, api.token_format, api.token_lifetime, api.settings.status_list, api.settings)


class Chosen:
    """What clients ask for themselves again and again, remembered until the APIs, or the client, are read anew."""

    def __init__(self) -> None:
        self._apis: Apis | None = None
        self._targets: dict[tuple[str, str | None, str | None], tuple[Client, Target]] = {}

    def for_client(
        self, client: Client, apis: Apis, *, userinfo: str, scope: str | None, resource: str | None
    ) -> Target:
        """The target of a client's own token. Raises `InvalidScope`, `InvalidTarget`."""
        if apis is not self._apis:
            self._apis = apis
            self._targets.clear()
        asked = client.id, scope, resource
        known = self._targets.get(asked)
        if known is not None and known[0] is client:
            return known[1]
        target = choose(client_grantable(client, apis), apis, userinfo=userinfo, scope=scope, resource=resource)
        if len(self._targets) < MAX_CHOSEN and len(scope or "") + len(resource or "") < LONGEST_CHOSEN:
            self._targets[asked] = client, target
        return target


def _only_audience(granted: Grantable, apis: Apis, asked: tuple[str, ...], userinfo: str) -> str:
    """The audience that follows from scopes and grant alone."""
    of_scopes = {apis.by_scope[s].audience for s in asked if s in apis.by_scope} & set(granted.audiences)
    if len(of_scopes) == 1:
        return of_scopes.pop()
    if of_scopes:
        raise InvalidTarget("the scopes belong to several APIs: name one of them as resource")
    others = set(granted.audiences) - {userinfo}
    if userinfo in granted.audiences and "openid" in asked:
        return userinfo
    if len(others) == 1:
        return others.pop()
    raise InvalidTarget("no API follows from the scope: name one as resource")


def _may_target(client: Client, apis: Apis, audience: str) -> bool:
    api: Api | None = apis.by_audience.get(audience)
    return api is not None and not set(api.scope_names).isdisjoint(client.scopes)
