"""From the sections of a document to the objects they wish for, each with its place in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache

import orjson

from kronborg.accounts.model import clean
from kronborg.accounts.organisations import OrganisationDraft
from kronborg.accounts.users import NewUser
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.core.errors import Invalid, Problem
from kronborg.core.json import JsonObject
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.declare.alert_section import rule_of as alert_of
from kronborg.gateway.declare.directory_section import directory_in
from kronborg.gateway.declare.document import (
    ApiSection,
    ClientSection,
    Document,
    OrganisationSection,
    TrustedIssuerSection,
    UserSection,
)
from kronborg.gateway.declare.issuer_section import token_issuer_of
from kronborg.gateway.declare.objects import SECTION_OF, GroupDraft, Object, Ref, ref_of
from kronborg.gateway.declare.parts import JwksSource, SecretReference
from kronborg.gateway.declare.provider_section import provider_of
from kronborg.gateway.declare.read import Loaded
from kronborg.gateway.declare.route_section import route_of, service_of
from kronborg.gateway.declare.secret_sources import Secrets
from kronborg.gateway.declare.webhook_section import webhook_of
from kronborg.gateway.declare.yaml_tree import Path
from kronborg.gateway.documents import checked
from kronborg.gateway.documents_model import LARGEST, Text
from kronborg.oauth.model import TrustedIssuerDraft


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object as the file wishes it. `keeps_jwks`: its key file cannot be read here, the stored keys stay.
    `document`: the OpenAPI document of a service, where the file names one that can be read here."""

    ref: Ref
    label: str
    thing: Object
    secret: SecretReference | None = None
    keeps_jwks: bool = False
    document: Text | None = None

    @property
    def path(self) -> Path:
        """Its place in the document."""
        return (SECTION_OF[self.ref.kind], self.label)


@dataclass(frozen=True, slots=True)
class Names:
    """How APIs are called: by the file first, by what an earlier file called them second."""

    audiences: Mapping[str, str]

    def audience(self, name: str) -> str:
        """The audience URI of a short name; a URI as it is."""
        return self.audiences.get(name, name)


def wanted_by(loaded: Loaded, secrets: Secrets, names: Names) -> tuple[dict[Ref, Wanted], list[Problem]]:
    """Everything a document declares, and what keeps it from being read as objects."""
    found: dict[Ref, Wanted] = {}
    problems: list[Problem] = []
    for wanted in _each(loaded.document, secrets, names):
        if isinstance(wanted, _BadFile):
            problems.append(loaded.source.problem(wanted.path, wanted.detail, wanted.mend))
            continue
        first = found.setdefault(wanted.ref, wanted)
        if first is not wanted:
            detail = f"is the same {wanted.ref.kind} as {first.label}"
            problems.append(loaded.source.problem(wanted.path, detail, "drop one of them", key=True))
    return found, problems


@dataclass(frozen=True, slots=True)
class _BadFile:
    """A file that is named is there and is not what it should be."""

    path: Path
    detail: str
    mend: str


def _each(document: Document, secrets: Secrets, names: Names) -> Iterator[Wanted | _BadFile]:
    for name, api in document.apis.items():
        yield _wanted(name, _api(name, api))
    for name, group in document.groups.items():
        yield _wanted(name, GroupDraft(clean(name), tuple(sorted(group.roles)), group.parent))
    for name, token_issuer in document.token_issuers.items():
        yield _wanted(name, token_issuer_of(name, token_issuer, names.audience))
    for name, text in document.policies.items():
        yield _wanted(name, NamedPolicy(name, text))
    for name, service in document.services.items():
        named = None if service.openapi is None else service.openapi.file
        text_of = None if named is None else _document(name, named, secrets)
        described = service_of(name, service)
        if isinstance(text_of, _BadFile):
            yield text_of
            text_of = None
        yield Wanted(ref_of(described), name, described, document=text_of)
    for name, route in document.routes.items():
        audience = None if route.audience is None else names.audience(route.audience)
        yield _wanted(name, route_of(name, route, audience=audience))
    for name, issuer in document.trusted_issuers.items():
        yield _wanted(name, _issuer(name, issuer))
    for name, client in document.clients.items():
        jwks = _jwks(name, client.jwks, secrets)
        if isinstance(jwks, _BadFile):
            yield jwks
            continue
        thing = _client(name, client, jwks, names)
        yield Wanted(ref_of(thing), name, thing, client.secret, client.jwks is not None and jwks is None)
    for name, user in document.users.items():
        person = _user(name, user)
        yield Wanted(ref_of(person), name, person, user.password)
    for name, provider in document.identity_providers.items():
        vouching = provider_of(name, provider)
        yield Wanted(ref_of(vouching), name, vouching, provider.secret)
    for name, section in document.directories.items():
        directory = directory_in(name, section)
        yield Wanted(ref_of(directory), name, directory, section.bind_password)
    for name, webhook in document.webhooks.items():
        told = webhook_of(name, webhook)
        yield Wanted(ref_of(told), name, told, webhook.secret)
    for name, alert in document.alerts.items():
        yield _wanted(name, alert_of(name, alert))
    for name, organisation in document.organisations.items():
        yield _wanted(name, _organisation(name, organisation))


def _wanted(label: str, thing: Object) -> Wanted:
    return Wanted(ref_of(thing), label, thing)


def _api(name: str, section: ApiSection) -> ApiDraft:
    settings = section.settings
    if settings.roles and settings.role_prefix is None:
        settings = replace(settings, role_prefix=name)
    return ApiDraft(
        audience=section.audience,
        name=section.name,
        scopes=tuple(Scope(name, description) for name, description in section.scopes.items()),
        token_format=section.token_format,
        token_lifetime=timedelta(seconds=int(section.token_lifetime.total_seconds())),
        settings=settings,
    )


def _issuer(name: str, section: TrustedIssuerSection) -> TrustedIssuerDraft:
    # Through JSON: what a file holds may be of types that only look like JSON.
    jwks = None if section.jwks is None else orjson.loads(orjson.dumps(section.jwks))
    return TrustedIssuerDraft(name, section.issuer, jwks, section.jwks_uri, section.audience, section.subject)


def _client(client_id: str, section: ClientSection, jwks: JsonObject | None, names: Names) -> ClientDraft:
    return ClientDraft(
        id=client_id,
        name=section.name,
        kind=section.kind,
        auth_method=section.auth_method or ("none" if section.kind == "public" else "client_secret_basic"),
        redirect_uris=section.redirect_uris,
        post_logout_redirect_uris=section.post_logout_redirect_uris,
        web_origins=section.web_origins,
        grants=section.grants,
        scopes=section.scopes,
        audiences=tuple(names.audience(name) for name in section.audiences),
        jwks=jwks,
        first_party=section.first_party,
        disabled=section.disabled,
        settings=section.settings,
    )


def _jwks(client_id: str, source: JwksSource | None, secrets: Secrets) -> JsonObject | _BadFile | None:
    """The JWK Set; None when its file cannot be read here."""
    if source is None:
        return None
    if source.keys is not None:
        keys: JsonObject = orjson.loads(orjson.dumps({"keys": source.keys}))
        return keys
    text = secrets.file(source.file or "")
    if text is None:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _BadFile(("clients", client_id, "jwks"), "is not a file of JSON", "write a JWK Set into it")
    if not isinstance(value, dict):
        return _BadFile(("clients", client_id, "jwks"), "is not a JWK Set", 'it looks like {"keys": [...]}')
    return value


def _document(service: str, name: str, secrets: Secrets) -> Text | _BadFile | None:
    """The OpenAPI document in a file; None where no file may be read: what is stored stays."""
    path: Path = ("services", service, "openapi", "file")
    text = secrets.file(name, most=LARGEST)
    if text is None:
        mend = "name one of at most 1 MiB, relative to this file"
        return None if secrets.folder is None else _BadFile(path, "is no file that can be read", mend)
    try:
        return _checked(text)
    except Invalid as refusal:
        first = refusal.problems[0]
        return _BadFile(path, first.detail, first.mend)


@lru_cache(maxsize=64)
def _checked(text: str) -> Text:
    """A plan reads its file several times: what was checked once stands."""
    return checked(text.encode())


def _user(username: str, section: UserSection) -> NewUser:
    return NewUser(
        username=clean(username),
        email=clean(section.email) if section.email else None,
        name=clean(section.name),
        roles=tuple(sorted(section.roles)),
        groups=section.groups,
        disabled=section.disabled,
        kind=section.kind,
    )


def _organisation(slug: str, section: OrganisationSection) -> OrganisationDraft:
    domains = (*section.domains, *section.pending_domains)
    return OrganisationDraft(slug, clean(section.name), clean(section.provider), domains, section.domains)
