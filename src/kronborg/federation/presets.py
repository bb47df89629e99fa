"""Providers that everybody knows: where they are and what is peculiar to them, as data.

The addresses are those that each provider documents. What a provider's settings leave empty is taken from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from kronborg.federation.model import AuthMethod, Kind, Provider, ProviderDraft, ProviderSettings

Secret = Literal["text", "es256"]


@dataclass(frozen=True, slots=True)
class Preset:
    """One provider. `{tenant}` in addresses is the setting of that name.

    `issuer_is_template`: discovery names the issuer with a placeholder for the tenant, which the ID token fills in.
    `emails_endpoint`: an API that lists addresses and says which are verified. `post_to_callback`: it answers by POST,
    and the name of the person comes beside the code, the first time only.
    """

    name: str
    kind: Kind = "oidc"
    issuer: str = ""
    issuer_is_template: bool = False
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    userinfo_endpoint: str = ""
    emails_endpoint: str = ""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    auth_method: AuthMethod = "client_secret_basic"
    secret: Secret = "text"  # noqa: S105  # a kind of secret
    subject_claim: str = "sub"
    username_claim: str = "preferred_username"
    name_claim: str = "name"
    email_claim: str = "email"
    verified_claim: str = "email_verified"
    groups_claim: str = "groups"
    accept_header: str = "application/json"
    post_to_callback: bool = False
    pkce: bool = True
    nonce: bool = True
    trust_email: bool = False
    note: str = ""
    """What an administrator should know."""


PRESETS: Mapping[str, Preset] = {
    "google": Preset(
        "Google",
        issuer="https://accounts.google.com",
        trust_email=True,
        note="An address of a company's own domain is proved by Google Workspace; list the domain to link accounts.",
    ),
    "microsoft": Preset(
        "Microsoft",
        issuer="https://login.microsoftonline.com/{tenant}/v2.0",
        issuer_is_template=True,
        auth_method="client_secret_post",
        # The claim email can be anything that an administrator of any tenant wrote; xms_edov says that it is proved.
        verified_claim="xms_edov",
        note="Addresses are not proved unless the optional claim xms_edov is switched on in the app registration.",
    ),
    "github": Preset(
        "GitHub",
        kind="oauth2",
        authorization_endpoint="https://github.com/login/oauth/authorize",
        token_endpoint="https://github.com/login/oauth/access_token",  # noqa: S106  # an address
        userinfo_endpoint="https://api.github.com/user",
        emails_endpoint="https://api.github.com/user/emails",
        scopes=("read:user", "user:email"),
        auth_method="client_secret_post",
        subject_claim="id",
        username_claim="login",
        accept_header="application/vnd.github+json",
        trust_email=True,
        note="The address is the primary one, when GitHub has verified it.",
    ),
    "gitlab": Preset(
        "GitLab",
        issuer="https://gitlab.com",
        username_claim="nickname",
        groups_claim="groups_direct",
        trust_email=True,
        note="For an installation of your own set its address as the issuer.",
    ),
    "apple": Preset(
        "Apple",
        issuer="https://appleid.apple.com",
        scopes=("openid", "name", "email"),
        auth_method="client_secret_post",
        secret="es256",  # noqa: S106  # a kind of secret
        post_to_callback=True,
        pkce=False,
        trust_email=True,
        note="The secret is the private key (.p8) of the team; Apple tells the name at the first sign-in only.",
    ),
    "facebook": Preset(
        "Facebook",
        kind="oauth2",
        authorization_endpoint="https://www.facebook.com/v23.0/dialog/oauth",
        token_endpoint="https://graph.facebook.com/v23.0/oauth/access_token",  # noqa: S106  # an address
        userinfo_endpoint="https://graph.facebook.com/v23.0/me?fields=id,name,email",
        scopes=("public_profile", "email"),
        auth_method="client_secret_post",
        subject_claim="id",
        username_claim="",
        verified_claim="",
        note="Facebook does not say whether an address is verified, so it is not taken over.",
    ),
    "linkedin": Preset(
        "LinkedIn",
        issuer="https://www.linkedin.com/oauth",
        auth_method="client_secret_post",
        pkce=False,
        nonce=False,
        trust_email=True,
        note="LinkedIn knows neither PKCE with a secret nor nonce; the code is bound to this browser by state alone.",
    ),
}

PLAIN: Mapping[Kind, Preset] = {
    "oidc": Preset("OpenID Connect"),
    "oauth2": Preset("OAuth 2.0", kind="oauth2", subject_claim="sub", scopes=()),
    "saml": Preset(
        "SAML 2.0", kind="saml", subject_claim="", username_claim="uid", name_claim="displayName", email_claim="mail"
    ),
}
"""What holds without a preset."""


@dataclass(frozen=True, slots=True)
class Known:
    """A provider with everything filled in: its own settings, and its preset's where those are empty."""

    provider: Provider
    settings: ProviderSettings
    preset: Preset

    @property
    def key(self) -> str:
        """The key of the provider."""
        return self.provider.key


def preset_of(provider: Provider | ProviderDraft) -> Preset:
    """The preset of a provider, or what holds without one."""
    return PRESETS.get(provider.settings.preset) or PLAIN[provider.kind]


def known(provider: Provider) -> Known:
    """A provider as it is used."""
    preset, own = preset_of(provider), provider.settings
    filled = replace(
        own,
        issuer=(own.issuer or preset.issuer).replace("{tenant}", own.tenant or "common"),
        auth_method=own.auth_method or preset.auth_method,
        scopes=own.scopes or preset.scopes,
        authorization_endpoint=own.authorization_endpoint or preset.authorization_endpoint,
        token_endpoint=own.token_endpoint or preset.token_endpoint,
        userinfo_endpoint=own.userinfo_endpoint or preset.userinfo_endpoint,
        subject_claim=own.subject_claim or preset.subject_claim,
        username_claim=own.username_claim or preset.username_claim,
        name_claim=own.name_claim or preset.name_claim,
        email_claim=own.email_claim or preset.email_claim,
        groups_claim=own.groups_claim or preset.groups_claim,
        attributes=dict(own.attributes),
    )
    return Known(provider, filled, preset)


def draft_of(name: str) -> ProviderDraft:
    """What the console starts with when somebody chooses a preset, or a kind without one."""
    if name in PRESETS:
        preset = PRESETS[name]
        return ProviderDraft(name, preset.kind, preset.name, ProviderSettings(name, trust_email=preset.trust_email))
    for kind, plain in PLAIN.items():
        if name == kind:
            return ProviderDraft("", kind, plain.name)
    raise KeyError(name)
