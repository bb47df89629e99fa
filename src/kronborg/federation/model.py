"""The nouns of federation: identity providers, what they say of people, and the accounts that are linked to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from kronborg.core.json import JsonObject

Kind = Literal["oidc", "oauth2", "saml"]
"""OpenID Connect, OAuth 2.0 with an API that tells who somebody is, SAML 2.0."""
AuthMethod = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
KINDS: tuple[Kind, ...] = ("oidc", "oauth2", "saml")
AUTH_METHODS: tuple[AuthMethod, ...] = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
ALGORITHMS = ("RS256", "PS256", "ES256", "Ed25519", "EdDSA")
"""Those that an ID token may be signed with, all of them asymmetric."""
EMAIL = "email"
EDGE = {"extra": "forbid", "hide_input_in_errors": True, "use_attribute_docstrings": True}
"""How the admin API reads the settings: a member that is not known is an error."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """Everything a provider can be set to; what is empty is that of the preset, or found by discovery.

    Protocol members are spelt as the protocol spells them.
    """

    __pydantic_config__ = EDGE

    preset: str = ""
    """The data that fills what is left empty: `google`, `microsoft`, `github`, …; see the reference of presets."""
    issuer: str = ""
    """OpenID Connect: its issuer, exactly as its ID tokens carry it in `iss`. SAML: its entity id."""
    client_id: str = ""
    """Who this server is to the provider. SAML: our entity id, by default the address of our metadata."""
    auth_method: AuthMethod | None = None
    """How this server proves itself at the token endpoint; `client_secret_basic` unless the preset knows better."""
    scopes: tuple[str, ...] = ()
    """What is asked for; by default `openid`, `profile` and `email`."""
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    userinfo_endpoint: str = ""
    jwks_uri: str = ""
    algorithms: tuple[str, ...] = ()
    """The algorithms its ID tokens may be signed with; every asymmetric one that we know when empty."""
    tenant: str = ""
    """The preset `microsoft`: the id of the tenant, or `organizations` for any company."""
    team_id: str = ""
    key_id: str = ""
    """The preset `apple`: the team, and the id of the private key that is kept as the secret."""
    sso_url: str = ""
    """SAML: where sign-in begins."""
    sso_binding: Literal["redirect", "post"] = "redirect"
    """SAML: how a request is sent there."""
    certificates: tuple[str, ...] = ()
    """SAML: the certificates (PEM) whose keys sign its assertions."""
    name_id_format: Literal["persistent", "email", "unspecified"] = "persistent"
    """SAML: the kind of name that is asked for. Only `persistent` names are kept forever by well-behaved providers."""

    enabled: bool = True
    """People can sign in with it."""
    shown: bool = True
    """There is a button for it on the sign-in page."""
    home_domains: tuple[str, ...] = ()
    """People with an e-mail address of these domains are led to it from the sign-in page."""
    allowed_domains: tuple[str, ...] = ()
    """Only people with a verified e-mail address of these domains may come in; anybody when empty."""
    trust_email: bool = False
    """Believe it when it says that an address is verified. Never set this where people can write any address."""
    trusted_domains: tuple[str, ...] = ()
    """The domains it speaks for: a verified address of these links to the account here that has proved the same one."""
    provision: bool = True
    """Make an account for somebody who has none yet."""
    update: bool = True
    """Take over name, address, attributes and groups at each sign-in, for accounts that it made."""
    trust_amr: bool = False
    """Believe its `amr`: a second factor that was asked for there is not asked for again here."""
    multi_factor_acr: tuple[str, ...] = ()
    """Values of its `acr` that stand for several factors, when `trust_amr` is set."""
    subject_claim: str = ""
    username_claim: str = ""
    name_claim: str = ""
    email_claim: str = ""
    groups_claim: str = ""
    """Which claims (SAML: attributes) are taken for what."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Names of our attributes, each with the claim it is taken from."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Values of `groups_claim`, each with the group here whose members these people are, and stop being."""
    logout: bool = False
    """Sign out at the provider too when somebody signs out here (OpenID Connect RP-Initiated Logout)."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Somebody who vouches for people. `key` stands in addresses; `secret` is sealed."""

    key: str
    kind: Kind
    name: str
    settings: ProviderSettings
    secret: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ProviderDraft:
    """A provider as somebody wishes it to be. The secret is set apart from it."""

    key: str
    kind: Kind
    name: str
    settings: ProviderSettings = field(default_factory=ProviderSettings)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is at a provider, and the account here that this is."""

    provider: str
    subject: str
    user_id: str
    shown: str
    """What to call it on a page: the address or name at the provider."""
    created_at: datetime
    used_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that was sent to a provider, until it comes back. `link` is the user who links an account."""

    provider: str
    next: str
    ticket: str
    link: str = ""
    nonce: str = ""
    verifier: str = ""
    request_id: str = ""
    """SAML: the id of our AuthnRequest."""
    again: bool = False
    """The person must have been asked anew."""
    issuer: str = ""
    """The issuer this was sent to (RFC 9207 compares with it)."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a provider said of somebody, checked: nothing in it is taken on trust but by the provider's settings.

    `email_verified` is what the provider claims, not yet whether we believe it.
    """

    provider: str
    subject: str
    username: str = ""
    name: str = ""
    email: str = ""
    email_verified: bool = False
    groups: tuple[str, ...] = ()
    attributes: JsonObject = field(default_factory=dict)
    amr: tuple[str, ...] = ()
    acr: str = ""
    sid: str = ""

    @property
    def shown(self) -> str:
        """What to call this identity on a page."""
        return (self.email or self.username or self.name or self.subject)[:254]


def domain_of(email: str) -> str:
    """The domain of an address in lower case; empty when it is none."""
    local, at, domain = email.strip().rpartition("@")
    return domain.lower().rstrip(".") if at and local else ""
