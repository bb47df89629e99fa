"""The section `identity_providers` of a document: who else vouches for people."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kronborg.federation.model import AuthMethod, Kind, ProviderDraft, ProviderSettings
from kronborg.gateway.declare.parts import Key, SecretReference, Section, Text, Words

Certificate = Annotated[str, Field(max_length=16_384)]
Mapped = Annotated[dict[Key, Key], Field(max_length=200, default_factory=dict)]


class IdentityProviderSection(Section):
    """An identity provider. The key of the entry stands in the addresses that are registered with the provider."""

    kind: Kind
    """`oidc` for OpenID Connect, `oauth2` for OAuth 2.0 with an API that tells who somebody is, or `saml`."""
    name: Text
    """What people see on the sign-in page."""
    preset: Text = ""
    """The data that fills what is left empty: `google`, `microsoft`, `github`, `gitlab`, `apple`, `facebook`,
    `linkedin`."""
    issuer: Text = ""
    """OpenID Connect: its issuer, exactly as ID tokens carry it in `iss`. SAML: its entity id."""
    client_id: Text = ""
    """Who this server is to the provider. SAML: our entity id, by default the address of our metadata."""
    secret: SecretReference | None = None
    """The client secret; for `private_key_jwt` and the preset `apple` a private key in PEM."""
    auth_method: AuthMethod | None = None
    """How this server proves itself at the token endpoint; by default what the preset knows, else
    `client_secret_basic`."""
    scopes: Words = ()
    """What is asked for; by default what the preset knows, else `openid`, `profile` and `email`."""
    authorization_endpoint: Annotated[str, Field(max_length=2000)] = ""
    """Where sign-in begins, if discovery does not tell."""
    token_endpoint: Annotated[str, Field(max_length=2000)] = ""
    """Where codes are traded, if discovery does not tell."""
    userinfo_endpoint: Annotated[str, Field(max_length=2000)] = ""
    """Where a token is traded for claims, if discovery does not tell."""
    jwks_uri: Annotated[str, Field(max_length=2000)] = ""
    """Where the keys are, if discovery does not tell."""
    algorithms: Words = ()
    """The algorithms its ID tokens may be signed with; when empty `RS256`, `PS256`, `ES256`, `Ed25519`, `EdDSA`."""
    tenant: Text = ""
    """The preset `microsoft`: the id of the tenant, or `organizations` for any company."""
    team_id: Text = ""
    """The preset `apple`: the team."""
    key_id: Text = ""
    """The preset `apple`: the id of the private key that is the secret."""
    sso_url: Annotated[str, Field(max_length=2000)] = ""
    """SAML: where sign-in begins."""
    sso_binding: Literal["redirect", "post"] = "redirect"
    """SAML: how a request is sent there."""
    certificates: Annotated[tuple[Certificate, ...], Field(max_length=5)] = ()
    """SAML: the certificates (PEM) whose keys sign its assertions."""
    name_id_format: Literal["persistent", "email", "unspecified"] = "persistent"
    """SAML: the kind of name that is asked for."""
    enabled: bool = True
    """People can sign in with it."""
    shown: bool = True
    """There is a button for it on the sign-in page."""
    home_domains: Words = ()
    """People with an e-mail address of these domains are led to it from the sign-in page."""
    allowed_domains: Words = ()
    """Only people with a verified e-mail address of these domains may come in; anybody when empty."""
    trust_email: bool = False
    """Believe it when it says that an address is verified. Never set this where people can write any address."""
    trusted_domains: Words = ()
    """The domains it speaks for: a verified address of these links to the account that has proved the same one."""
    provision: bool = True
    """Make an account for somebody who has none yet."""
    update: bool = True
    """Take over name, address, attributes and groups at each sign-in, for accounts that it made."""
    trust_amr: bool = False
    """Believe its `amr`: a second factor that was asked for there is not asked for again here."""
    multi_factor_acr: Words = ()
    """Values of its `acr` that stand for several factors, when `trust_amr` is set."""
    subject_claim: Text = ""
    """The claim that names a person for ever; by default `sub` (SAML: the NameID)."""
    username_claim: Text = ""
    """The claim that suggests a username; by default `preferred_username`."""
    name_claim: Text = ""
    """The claim with the full name; by default `name`."""
    email_claim: Text = ""
    """The claim with the e-mail address; by default `email`."""
    groups_claim: Text = ""
    """The claim with the groups at the provider, by name or by a path with dots; by default `groups`."""
    attributes: Mapped
    """Names of our attributes, each with the claim that it is taken from."""
    groups: Mapped
    """Values of `groups_claim`, each with the group here that these people are in, as long as they have the value."""
    logout: bool = False
    """Sign out at the provider too when somebody signs out here."""


def provider_of(key: str, section: IdentityProviderSection) -> ProviderDraft:
    """The provider that a section wishes for."""
    given = section.model_dump(include=set(ProviderSettings.__dataclass_fields__))
    return ProviderDraft(key, section.kind, section.name, ProviderSettings(**given))
