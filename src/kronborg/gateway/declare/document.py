"""The document that `kronborg.yaml` is: its sections, what each field means, and how a file is read into it.

The docstring of each field is the manual: the JSON Schema and the reference page are made from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from kronborg.clients.model import AuthMethod, GrantName
from kronborg.clients.settings import UNSET, UNSET_API, ApiSettings, ClientSettings
from kronborg.core.quantities import Duration, parse_duration
from kronborg.gateway.declare.alert_section import AlertSection
from kronborg.gateway.declare.directory_section import DirectorySection
from kronborg.gateway.declare.issuer_section import TokenIssuerSection
from kronborg.gateway.declare.parts import (
    Host,
    JwksSource,
    Key,
    Name,
    SecretReference,
    Section,
    Text,
    Uri,
    Uris,
    Words,
)
from kronborg.gateway.declare.provider_section import IdentityProviderSection
from kronborg.gateway.declare.route_section import RouteSection, ServiceSection
from kronborg.gateway.declare.server_section import ServerSection
from kronborg.gateway.declare.webhook_section import WebhookSection

__all__ = [
    "AlertSection",
    "ApiSection",
    "ClientSection",
    "Document",
    "GroupSection",
    "IdentityProviderSection",
    "OrganisationSection",
    "RouteSection",
    "ServerSection",
    "ServiceSection",
    "TrustedIssuerSection",
    "UserSection",
    "WebhookSection",
    "load",
]


Policy = Annotated[str, Field(min_length=1, max_length=8192)]


class ApiSection(Section):
    """A protected API: the audience of the tokens that open it."""

    audience: Uri
    """The absolute URI that its access tokens carry as `aud`; what clients send as `resource`."""
    name: Text
    """What people see on the consent page."""
    scopes: Annotated[dict[Key, Text], Field(max_length=200, default_factory=dict)]
    """The permissions it knows, each with the sentence people consent to. Unique over all APIs."""
    token_format: Literal["jwt", "reference"] = "jwt"  # noqa: S105  # not a secret
    """`jwt`: anyone with the public keys can verify it. `reference`: opaque, the gateway exchanges it."""
    token_lifetime: Duration = parse_duration("10m")
    """How long an access token lives, 30s to 24h."""
    settings: ApiSettings = UNSET_API
    """How its tokens are made: algorithm, claims, encryption."""


class ClientSection(Section):
    """An application that asks for tokens. The key of the entry is its client id."""

    name: Text
    """What people see on the consent page."""
    kind: Literal["public", "confidential"]
    """`public` runs where it cannot keep a secret (browser, phone, desktop); `confidential` on a server."""
    auth_method: AuthMethod | None = None
    """How it proves itself at the token endpoint; by default `none` when public, else `client_secret_basic`."""
    secret: SecretReference | None = None
    """A secret of 32 to 200 characters. Without it, make one with `kronborg client secret add`."""
    jwks: JwksSource | None = None
    """The public keys of `private_key_jwt`."""
    redirect_uris: Uris = ()
    """Where people may be sent back to after sign-in; compared exactly."""
    post_logout_redirect_uris: Uris = ()
    """Where people may be sent after signing out; compared exactly."""
    grants: Annotated[tuple[GrantName, ...], Field(max_length=9)] = ("authorization_code",)
    """The ways in which it may get tokens."""
    scopes: Words = ()
    """The scopes it may ask for: those of APIs, and `openid`, `profile`, `email`, `offline_access`."""
    audiences: Uris = ()
    """The APIs (short names or audience URIs) that it is the server of: it may inspect their tokens and no others."""
    web_origins: Uris = ()
    """The origins whose pages may call the token endpoint from a browser (CORS)."""
    first_party: bool = False
    """Yours: people are not asked for consent."""
    disabled: bool = False
    """Gets no tokens while true."""
    settings: ClientSettings = UNSET
    """Everything else it can be set to, by the names of dynamic client registration."""


class TrustedIssuerSection(Section):
    """An issuer whose assertions clients may bring for a token (RFC 7523). The key of the entry is its name."""

    issuer: Text
    """What its assertions carry as `iss`."""
    jwks: Annotated[dict[str, object], Field(max_length=20)] | None = None
    """Its public keys, as a JWK Set."""
    jwks_uri: Uri | None = None
    """Where it publishes them, in place of `jwks`."""
    audience: Uri | None = None
    """One more value that their `aud` may have, besides the issuer of this server and its token endpoint."""
    subject: Literal["username", "email", "id", "client"] = "username"
    """What their `sub` is here: a person's username, e-mail address or id, or the client itself."""


class GroupSection(Section):
    """People who share roles. The key of the entry is the group's name."""

    roles: Words = ()
    """The roles its members have; routes can ask for them. `catalogue/editor` is the role that the API `catalogue` (or
    the client with that id) declares."""
    parent: Key | None = None
    """The group that it stands in: its members are in that one too, and have its roles."""


class UserSection(Section):
    """A person. The key of the entry is the username."""

    email: Annotated[str, Field(max_length=254)] | None = None
    """The e-mail address; it can be used to sign in."""
    name: Text = ""
    """The full name."""
    groups: Words = ()
    """The groups this person is in."""
    roles: Words = ()
    """Roles given directly, besides those of the groups."""
    kind: Literal["person", "service"] = "person"
    """`service`: an account for machines. Nobody signs in with it; a client names it as its `service_account`."""
    password: SecretReference | None = None
    """The first password: set when the person is made, and again when what the reference holds has changed."""
    disabled: bool = False
    """Cannot sign in while true."""


class OrganisationSection(Section):
    """A company whose people have accounts here. The key of the entry is its short name."""

    name: Text = ""
    """Its full name; the short name when absent."""
    domains: Annotated[tuple[Host, ...], Field(max_length=50)] = ()
    """Its domains, confirmed: whoever types an address of one is theirs."""
    pending_domains: Annotated[tuple[Host, ...], Field(max_length=50)] = ()
    """Domains that are not confirmed yet: they count for nothing."""
    provider: Text = ""
    """The identity provider its people sign in with, by name."""


class Document(Section):
    """Everything Kronborg is told by a file."""

    version: Literal[1]
    """The version of this format."""
    server: ServerSection = ServerSection()
    """Settings of the installation; they hold from the next start."""
    apis: Annotated[dict[Name, ApiSection], Field(default_factory=dict)]
    """Protected APIs, by short name."""
    clients: Annotated[dict[Key, ClientSection], Field(default_factory=dict)]
    """Applications, by client id."""
    trusted_issuers: Annotated[dict[Name, TrustedIssuerSection], Field(default_factory=dict)]
    """Issuers whose assertions clients may bring, by name."""
    groups: Annotated[dict[Key, GroupSection], Field(default_factory=dict)]
    """Groups, by name."""
    users: Annotated[dict[Key, UserSection], Field(default_factory=dict)]
    """People, by username."""
    organisations: Annotated[dict[Name, OrganisationSection], Field(default_factory=dict)]
    """Organisations, by short name."""
    identity_providers: Annotated[dict[Name, IdentityProviderSection], Field(default_factory=dict)]
    """Who else vouches for people: OpenID Connect, OAuth 2.0 and SAML providers, by key."""
    directories: Annotated[dict[Name, DirectorySection], Field(default_factory=dict)]
    """LDAP directories and Active Directory whose people sign in here, by key."""
    alerts: Annotated[dict[Name, AlertSection], Field(max_length=200, default_factory=dict)]
    """When people are told that something is wrong, besides the ready-made rules or in their place; by name."""
    webhooks: Annotated[dict[Name, WebhookSection], Field(default_factory=dict)]
    """Where events are sent, by name."""
    token_issuers: Annotated[dict[Name, TokenIssuerSection], Field(default_factory=dict)]
    """Other issuers whose access tokens routes may take, by name."""
    policies: Annotated[dict[Name, Policy], Field(default_factory=dict)]
    """Cedar policies that routes share, by name."""
    services: Annotated[dict[Name, ServiceSection], Field(default_factory=dict)]
    """Microservices behind the gateway, by name."""
    routes: Annotated[dict[Name, RouteSection], Field(default_factory=dict)]
    """Ways through the gateway, by name."""


def load(path: Path) -> Document:
    """The document in a file. Raises `Invalid` with every problem: file, line, column, what is wrong, the mend."""
    from kronborg.gateway.declare.read import read_file

    return read_file(path).document
