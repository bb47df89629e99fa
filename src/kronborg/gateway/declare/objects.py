"""The objects a file declares, in one form for both sides: as the file wishes them and as the store has them.

`fields_of` gives what is compared and shown: plain JSON values in the file's vocabulary, lists whose order means
nothing sorted. Secrets are never among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, assert_never, cast

from kronborg.accounts.model import Group, Organisation, User, domain_name, folded
from kronborg.accounts.organisations import OrganisationDraft
from kronborg.accounts.users import NewUser
from kronborg.audit.model import Webhook, WebhookDraft
from kronborg.clients.model import Api, ApiDraft, Client, ClientDraft
from kronborg.clients.settings import to_json
from kronborg.core.json import JsonValue
from kronborg.core.quantities import write_duration
from kronborg.core.values import freeze
from kronborg.federation.directory_model import Directory, KeptDirectory, directory_json
from kronborg.federation.model import Provider, ProviderDraft
from kronborg.gateway.access_model import NamedPolicy, TokenIssuer
from kronborg.gateway.alert_model import AlertRule
from kronborg.gateway.declare.alert_section import alert_fields
from kronborg.gateway.declare.issuer_section import token_issuer_fields
from kronborg.gateway.declare.route_section import route_fields, service_fields
from kronborg.gateway.model import Route, Service
from kronborg.oauth.model import TrustedIssuer, TrustedIssuerDraft

Kind = Literal[
    "api",
    "group",
    "service",
    "route",
    "issuer",
    "client",
    "user",
    "organisation",
    "provider",
    "directory",
    "webhook",
    "token_issuer",
    "policy",
    "alert",
]

KINDS: tuple[Kind, ...] = (
    "api",
    "token_issuer",
    "policy",
    "service",
    "route",
    "issuer",
    "client",
    "group",
    "user",
    "provider",
    "directory",
    "organisation",
    "webhook",
    "alert",
)
"""In the order of making: what is named comes before what names it. Removal goes the other way."""

SECTION_OF: Mapping[Kind, str] = {
    "api": "apis",
    "group": "groups",
    "service": "services",
    "route": "routes",
    "issuer": "trusted_issuers",
    "client": "clients",
    "user": "users",
    "organisation": "organisations",
    "provider": "identity_providers",
    "directory": "directories",
    "webhook": "webhooks",
    "alert": "alerts",
    "token_issuer": "token_issuers",
    "policy": "policies",
}

SECRET_OF: Mapping[str, str] = {"user": "password", "directory": "bind_password"}
"""What the secret of an object is called in a file, where it is not `secret`."""

Fields = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Which object: an API by audience, people and groups by folded name, the rest by name or id."""

    kind: Kind
    key: str


@dataclass(frozen=True, slots=True)
class GroupDraft:
    """A group as somebody wishes it to be."""

    name: str
    roles: tuple[str, ...] = ()
    parent: str | None = None


Object = (
    Api
    | ApiDraft
    | Client
    | ClientDraft
    | User
    | NewUser
    | Group
    | GroupDraft
    | Organisation
    | OrganisationDraft
    | Provider
    | ProviderDraft
    | Directory
    | KeptDirectory
    | Webhook
    | WebhookDraft
    | AlertRule
    | Service
    | Route
    | TrustedIssuer
    | TrustedIssuerDraft
    | TokenIssuer
    | NamedPolicy
)


def ref_of(thing: Object) -> Ref:
    """The identity of an object."""
    match thing:
        case Api() | ApiDraft():
            return Ref("api", thing.audience)
        case Client() | ClientDraft():
            return Ref("client", thing.id)
        case User() | NewUser():
            return Ref("user", folded(thing.username))
        case Group() | GroupDraft():
            return Ref("group", folded(thing.name))
        case Organisation() | OrganisationDraft():
            return Ref("organisation", thing.slug)
        case Provider() | ProviderDraft():
            return Ref("provider", thing.key)
        case Directory():
            return Ref("directory", thing.key)
        case KeptDirectory():
            return Ref("directory", thing.directory.key)
        case Webhook() | WebhookDraft():
            return Ref("webhook", thing.name)
        case AlertRule():
            return Ref("alert", thing.name)
        case Service():
            return Ref("service", thing.name)
        case Route():
            return Ref("route", thing.name)
        case TrustedIssuer() | TrustedIssuerDraft():
            return Ref("issuer", thing.name)
        case TokenIssuer():
            return Ref("token_issuer", thing.name)
        case NamedPolicy():
            return Ref("policy", thing.name)
        case _:
            assert_never(thing)


def label_of(thing: Object) -> str:
    """The name an object goes by in a file; for an API one that is made up, as the store keeps none."""
    match thing:
        case Api() | ApiDraft():
            return thing.audience
        case Client() | ClientDraft():
            return thing.id
        case User() | NewUser():
            return thing.username
        case Organisation() | OrganisationDraft():
            return thing.slug
        case Provider() | ProviderDraft() | Directory():
            return thing.key
        case KeptDirectory():
            return thing.directory.key
        case _:
            return thing.name


def fields_of(thing: Object) -> Fields:
    """What is compared of an object."""
    match thing:
        case Api() | ApiDraft():
            return _api_fields(thing)
        case Client() | ClientDraft():
            return _client_fields(thing)
        case User() | NewUser():
            return _user_fields(thing)
        case Group() | GroupDraft():
            parent = folded(thing.parent) if thing.parent else None
            return {"name": thing.name, "roles": sorted(set(thing.roles)), "parent": parent}
        case Organisation() | OrganisationDraft():
            return _organisation_fields(thing)
        case Provider() | ProviderDraft():
            return _provider_fields(thing)
        case Directory():
            return directory_json(thing)
        case KeptDirectory():
            return directory_json(thing.directory)
        case Webhook() | WebhookDraft():
            events = sorted(thing.events)
            return {"url": thing.url, "events": events, "checkpoints": thing.checkpoints, "disabled": thing.disabled}
        case AlertRule():
            return alert_fields(thing)
        case Service():
            return service_fields(thing)
        case Route():
            return route_fields(thing)
        case TrustedIssuer() | TrustedIssuerDraft():
            return {name: getattr(thing, name) for name in ("issuer", "jwks", "jwks_uri", "audience", "subject")}
        case TokenIssuer():
            return token_issuer_fields(thing)
        case NamedPolicy():
            return {"text": thing.text}
        case _:
            assert_never(thing)


def _api_fields(api: Api | ApiDraft) -> Fields:
    return {
        "audience": api.audience,
        "name": api.name,
        "scopes": {scope.name: scope.description for scope in api.scopes},
        "token_format": api.token_format,
        "token_lifetime": write_duration(timedelta(seconds=int(api.token_lifetime.total_seconds()))),
        "settings": to_json(api.settings),
    }


def _user_fields(user: User | NewUser) -> Fields:
    return {
        "username": user.username,
        "email": user.email or None,
        "name": user.name,
        "groups": sorted(folded(name) for name in user.groups),
        "roles": sorted(set(user.roles)),
        "kind": user.kind,
        "disabled": user.disabled,
    }


def _webhook_fields(webhook: Webhook | WebhookDraft) -> Fields:
    return {
        "url": webhook.url,
        "events": sorted(webhook.events),
        "checkpoints": webhook.checkpoints,
        "disabled": webhook.disabled,
    }


def _organisation_fields(thing: Organisation | OrganisationDraft) -> Fields:
    if isinstance(thing, Organisation):
        domains = {one.name for one in thing.domains}
        verified = {one.name for one in thing.domains if one.verified}
    else:
        domains = {domain_name(one) or one for one in thing.domains}
        verified = {domain_name(one) or one for one in thing.verified}
    return {
        "name": thing.name or thing.slug,
        "domains": sorted(verified),
        "pending_domains": sorted(domains - verified),
        "provider": thing.provider,
    }


def _client_fields(client: Client | ClientDraft) -> Fields:
    return {
        "name": client.name,
        "kind": client.kind,
        "auth_method": client.auth_method,
        "jwks": client.jwks,
        "redirect_uris": sorted(client.redirect_uris),
        "post_logout_redirect_uris": sorted(client.post_logout_redirect_uris),
        "web_origins": sorted(client.web_origins),
        "grants": sorted(client.grants),
        "scopes": sorted(client.scopes),
        "audiences": sorted(client.audiences),
        "first_party": client.first_party,
        "disabled": client.disabled,
        "settings": to_json(client.settings),
    }


def _provider_fields(provider: Provider | ProviderDraft) -> Fields:
    plain = cast("Mapping[str, JsonValue]", freeze(provider.settings))
    ordered = {name: sorted(map(str, value)) if isinstance(value, list) else value for name, value in plain.items()}
    return {"kind": provider.kind, "name": provider.name, **ordered}
