"""Everything that keeps a document from being applied, found before anything is written.

The slices say what may be; here their answers get a place in the file, and names that lead nowhere the nearest
name that exists. What a file may name is what it declares and what stays in the store beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from kronborg.accounts.model import (
    MAX_DEPTH,
    MAX_NAME,
    Group,
    Organisation,
    domain_name,
    folded,
    name_problems,
    organisation_problems,
    printable,
    role_problems,
)
from kronborg.accounts.organisations import OrganisationDraft
from kronborg.accounts.users import NewUser
from kronborg.audit.model import WebhookDraft
from kronborg.audit.webhooks import webhook_problems
from kronborg.clients.check import api_problems, client_problems
from kronborg.clients.model import BUILT_IN_NAMES, SECRET_METHODS, Api, ApiDraft, Client, ClientDraft
from kronborg.clients.settings import Profile
from kronborg.core.errors import Problem
from kronborg.core.suggest import nearest
from kronborg.federation.directory_check import directory_problems
from kronborg.federation.directory_model import Directory
from kronborg.federation.model import ProviderDraft
from kronborg.federation.providers import provider_problems
from kronborg.gateway.access_model import NamedPolicy, TokenIssuer
from kronborg.gateway.alert_model import AlertRule
from kronborg.gateway.alert_problems import rule_problems
from kronborg.gateway.declare.current import Current
from kronborg.gateway.declare.objects import GroupDraft, Object, Ref, fields_of
from kronborg.gateway.declare.read import Loaded
from kronborg.gateway.declare.wanted import Wanted
from kronborg.gateway.declare.yaml_tree import Path
from kronborg.gateway.model import Audience, Route, Service, Snapshot
from kronborg.gateway.publish import is_readable
from kronborg.gateway.shared_policies import policy_problems
from kronborg.gateway.token_issuers import declared_problems
from kronborg.gateway.validate import problems_of
from kronborg.oauth.issuers import issuer_problems
from kronborg.oauth.model import TrustedIssuer, TrustedIssuerDraft

_WHERE = re.compile(r"(\w+)\[(\d+)\]")
_SPELLINGS = {"urls": "url", "path": "prefix"}


@dataclass(frozen=True, slots=True)
class Checked:
    """A document beside the store: what there will be when it is applied."""

    loaded: Loaded
    wanted: Mapping[Ref, Wanted]
    current: Current
    after: Mapping[Ref, Object]
    issuer: str
    hosts: tuple[str, ...]
    profile: Profile = "none"

    def problems(self) -> list[Problem]:
        """Every reason against applying it, in the order of the file."""
        return [
            *(problem for wanted in self.wanted.values() for problem in self._of(wanted)),
            *self._unlike_addresses(),
            *self._gateway(),
        ]

    def _apis(self) -> list[Api | ApiDraft]:
        return [thing for thing in self.after.values() if isinstance(thing, (Api, ApiDraft))]

    def _of(self, wanted: Wanted) -> Iterator[Problem]:
        match wanted.thing:
            case ApiDraft() as api:
                yield from self._api(wanted, api)
            case ClientDraft() as client:
                yield from self._client(wanted, client)
            case GroupDraft() as group:
                for problem in _group_problems(group):
                    yield self._at(wanted, problem)
                yield from self._parent(wanted, group)
                yield from self._roles(wanted, group.roles)
            case WebhookDraft() as webhook:
                for problem in webhook_problems(webhook):
                    yield self._at(wanted, problem)
            case AlertRule() as rule:
                for problem in rule_problems(rule):
                    yield self._at(wanted, problem)
            case Directory() as directory:
                for problem in directory_problems(directory, has_password=wanted.secret is not None):
                    yield self._at(wanted, problem)
            case ProviderDraft() as provider:
                for problem in provider_problems(provider):
                    yield self._at(wanted, problem)
            case OrganisationDraft() as organisation:
                yield from self._organisation(wanted, organisation)
            case NewUser() as user:
                yield from self._user(wanted, user)
            case TrustedIssuerDraft() as issuer:
                yield from self._issuer(wanted, issuer)
            case TokenIssuer() as token_issuer:
                others = [one for one in self.after.values() if isinstance(one, TokenIssuer) and one != token_issuer]
                for problem in declared_problems(token_issuer, self.issuer, {other.issuer for other in others}):
                    yield self._at(wanted, problem)
            case NamedPolicy() as policy:
                for problem in policy_problems(policy):
                    yield self.loaded.source.problem(wanted.path, problem.detail, problem.mend, key=True)
            case _:
                return  # services and routes are judged together, as the gateway would publish them

    def _api(self, wanted: Wanted, api: ApiDraft) -> Iterator[Problem]:
        others = [other for other in self._apis() if other.audience != api.audience]
        taken = {scope.name: other.audience for other in others for scope in other.scopes}
        for problem in api_problems(api, taken=taken):
            indexed = _WHERE.fullmatch(problem.where)
            path: Path = (*wanted.path, problem.where)
            if indexed:
                path = (*wanted.path, "scopes", api.scopes[int(indexed[2])].name)
            yield self.loaded.source.problem(path, problem.detail, problem.mend, key=indexed is not None)

    def _client(self, wanted: Wanted, client: ClientDraft) -> Iterator[Problem]:
        stored = self.current.client(wanted.ref)
        if wanted.keeps_jwks:
            client = replace(client, jwks=stored.jwks if stored else None)
        scopes = BUILT_IN_NAMES.union(scope.name for api in self._apis() for scope in api.scopes)
        audiences = {api.audience for api in self._apis()}
        for problem in client_problems(client, scopes=scopes, audiences=audiences, profile=self.profile):
            mend, section = problem.mend, self.loaded.document.clients[wanted.label]
            indexed = _WHERE.fullmatch(problem.where)
            if indexed and problem.detail.startswith("there is no"):
                written = getattr(section, indexed[1])[int(indexed[2])]
                mend = nearest(written, scopes if indexed[1] == "scopes" else self._api_names())
            yield self._at(wanted, replace(problem, mend=mend))
        issuers = [ref.key for ref in self.after if ref.kind == "issuer"]
        for index, name in enumerate(client.settings.assertion_issuers):
            if name not in issuers:
                mend = nearest(name, issuers) or "declare it under trusted_issuers"
                path = (*wanted.path, "settings", "assertion_issuers", index)
                yield self.loaded.source.problem(path, "there is no such trusted issuer", mend)
        if wanted.secret is not None and client.auth_method not in SECRET_METHODS:
            problem = Problem("secret", f"is of no use with {client.auth_method}", "drop it, or change auth_method")
            yield self._at(wanted, problem)

    def _issuer(self, wanted: Wanted, issuer: TrustedIssuerDraft) -> Iterator[Problem]:
        others = (thing for thing in self.after.values() if isinstance(thing, (TrustedIssuer, TrustedIssuerDraft)))
        taken = {other.issuer for other in others if other.name != issuer.name}
        for problem in issuer_problems(issuer, own=self.issuer, taken=taken):
            yield self._at(wanted, problem)

    def _user(self, wanted: Wanted, user: NewUser) -> Iterator[Problem]:
        for problem in (
            *name_problems(username=user.username, email=user.email, name=user.name),
            *role_problems(user.roles),
        ):
            yield self._at(wanted, problem)
        groups = {ref.key: _name(thing) for ref, thing in self.after.items() if ref.kind == "group"}
        for index, name in enumerate(user.groups):
            if folded(name) not in groups:
                mend = nearest(name, groups.values()) or "declare it under groups"
                yield self.loaded.source.problem((*wanted.path, "groups", index), "there is no such group", mend)

        stored = self.current.user(wanted.ref)
        if stored is not None and stored.kind != user.kind:
            mend = "give the account another username, or remove it first"
            yield self._at(wanted, Problem("kind", "the kind of an account cannot change", mend))
        yield from self._roles(wanted, user.roles)

    def _parent(self, wanted: Wanted, group: GroupDraft) -> Iterator[Problem]:
        """The group that it stands in exists, and no circle is made."""
        if group.parent is None:
            return
        parents = {
            ref.key: folded(thing.parent or "")
            for ref, thing in self.after.items()
            if isinstance(thing, (Group, GroupDraft))
        }
        above, seen = folded(group.parent), [wanted.ref.key]
        if above not in parents:
            names = [_name(thing) for ref, thing in self.after.items() if ref.kind == "group"]
            mend = nearest(group.parent, names) or "declare it under groups"
            yield self._at(wanted, Problem("parent", "there is no such group", mend))
        while above:
            if above in seen or len(seen) >= MAX_DEPTH:
                detail = (
                    "the group stands in itself" if above in seen else f"more than {MAX_DEPTH} stand one in another"
                )
                yield self._at(wanted, Problem("parent", detail, "choose another group"))
                return
            seen.append(above)
            above = parents.get(above, "")

    def _roles(self, wanted: Wanted, roles: tuple[str, ...]) -> Iterator[Problem]:
        """What is given with a slash is declared by the API or client named before it."""
        declared = [f"{api.settings.role_prefix}/{role}" for api in self._apis() for role in api.settings.roles]
        for thing in self.after.values():
            if isinstance(thing, (Client, ClientDraft)):
                declared += [f"{thing.id}/{role}" for role in thing.settings.roles]
        for role in roles:
            if "/" in role and role not in declared:
                mend = (
                    nearest(role, declared) or "declare it in the settings of the API or client named before the slash"
                )
                yield self._at(wanted, Problem("roles", "nobody declares such a role", mend))

    def _organisation(self, wanted: Wanted, draft: OrganisationDraft) -> Iterator[Problem]:
        for problem in organisation_problems(name=draft.name or draft.slug, slug=draft.slug, provider=draft.provider):
            yield self._at(wanted, problem)
        taken = {
            domain
            for ref, thing in self.after.items()
            if ref != wanted.ref and isinstance(thing, (Organisation, OrganisationDraft))
            for field in ("domains", "pending_domains")
            for domain in fields_of(thing)[field] or ()  # type: ignore[union-attr]  # a list by its making
        }
        for domain in draft.domains:
            if domain_name(domain) is None:
                yield self._at(wanted, Problem("domains", "this is not a domain", "write it like company.example"))
            elif domain_name(domain) in taken:
                yield self._at(wanted, Problem("domains", "another organisation has this domain", "drop it there"))

    def _unlike_addresses(self) -> Iterator[Problem]:
        """Two people with one e-mail address."""
        owners: dict[str, Ref] = {}
        for ref, thing in self.after.items():
            email = getattr(thing, "email", None) if ref.kind == "user" else None
            if not email:
                continue
            first = owners.setdefault(folded(email), ref)
            if first != ref:
                wanted = self.wanted.get(ref) or self.wanted.get(first)
                path = ("users",) if wanted is None else (*wanted.path, "email")
                yield self.loaded.source.problem(path, "is the address of another person too", "give each their own")

    def snapshot(self) -> Snapshot:
        """What the gateway would be told."""
        return Snapshot(
            issuer=self.issuer,
            services=tuple(thing for thing in self.after.values() if isinstance(thing, Service)),
            routes=tuple(thing for thing in self.after.values() if isinstance(thing, Route)),
            audiences=tuple(
                Audience(
                    api.audience,
                    tuple(s.name for s in api.scopes),
                    readable=is_readable(api.settings),
                    bound=api.settings.require_sender_constraint,
                )
                for api in self._apis()
            ),
            hosts=self.hosts,
            issuers=tuple(thing for thing in self.after.values() if isinstance(thing, TokenIssuer)),
            policies=tuple(thing for thing in self.after.values() if isinstance(thing, NamedPolicy)),
        )

    def _gateway(self) -> Iterator[Problem]:
        for problem in problems_of(self.snapshot()):
            path: Path = tuple(problem.where.split("."))
            if path not in self.loaded.source.reading.values and path[-1] in _SPELLINGS:
                path = (*path[:-1], _SPELLINGS[str(path[-1])])
            mend = problem.mend
            route = self.loaded.document.routes.get(str(path[1])) if path[0] == "routes" and len(path) > 1 else None
            if route is not None and problem.detail == "the audience is unknown":
                mend = nearest(route.audience or "", self._api_names()) or "declare it under apis"
            yield self.loaded.source.problem(path, problem.detail, mend)

    def _api_names(self) -> list[str]:
        """What an API can be called: the short names of the file and of earlier files, else the audience."""
        short = {api.audience: name for name, api in self.loaded.document.apis.items()}
        earlier = {audience: name for name, audience in self.current.api_names().items()}
        return [short.get(a.audience, earlier.get(a.audience, a.audience)) for a in self._apis()]

    def _at(self, wanted: Wanted, problem: Problem) -> Problem:
        """A problem that a slice found, at its place in the file."""
        indexed = _WHERE.fullmatch(problem.where)
        path: Path = (*wanted.path, problem.where)
        if indexed:
            path = (*wanted.path, indexed[1], int(indexed[2]))
        elif problem.where.startswith("settings."):
            path = (*wanted.path, *problem.where.split("."))
        elif problem.where in ("id", "username") or (problem.where == "name" and wanted.ref.kind == "group"):
            path = wanted.path
        return self.loaded.source.problem(path, problem.detail, problem.mend, key=path == wanted.path)


def _name(thing: Object) -> str:
    return str(getattr(thing, "name", ""))


def _group_problems(group: GroupDraft) -> Iterator[Problem]:
    if not 1 <= len(group.name) <= MAX_NAME or not printable(group.name):
        yield Problem("name", "this is not a possible name", f"use 1 to {MAX_NAME} printable characters")
    yield from role_problems(group.roles)
