"""The nouns of this slice: APIs with their scopes, and clients with their credentials. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from kronborg.clients.settings import UNSET, UNSET_API, ApiSettings, ClientSettings
from kronborg.core.json import JsonObject
from kronborg.core.languages import N_

TokenFormat = Literal["jwt", "reference"]
Kind = Literal["public", "confidential"]
AuthMethod = Literal[
    "none",
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
]
GrantName = Literal[
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:openid:params:grant-type:ciba",
    "implicit",
    "password",
]

TOKEN_FORMATS: tuple[TokenFormat, ...] = ("jwt", "reference")
KINDS: tuple[Kind, ...] = ("public", "confidential")
AUTH_METHODS: tuple[AuthMethod, ...] = get_args(AuthMethod)
SECRET_METHODS: tuple[AuthMethod, ...] = ("client_secret_basic", "client_secret_post", "client_secret_jwt")
GRANTS: tuple[GrantName, ...] = get_args(GrantName)

DEFAULT_TOKEN_LIFETIME = timedelta(minutes=10)
MAX_TOKEN_LIFETIME = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Scope:
    """A permission that a token can carry. Names are unique over all APIs of the installation."""

    name: str
    description: str


def own_audiences(issuer: str) -> tuple[str, ...]:
    """The APIs that an installation itself is, which nobody removes."""
    return f"{issuer}/api", f"{issuer}/scim"


BUILT_IN_SCOPES: tuple[Scope, ...] = (
    Scope("openid", N_("Sign you in")),
    Scope("profile", N_("See your name and user name")),
    Scope("email", N_("See your e-mail address")),
    Scope("offline_access", N_("Stay connected when you have signed out")),
)
"""Scopes of OpenID Connect (OIDC Core §5.4, §11): they belong to no API."""

BUILT_IN_NAMES = frozenset(scope.name for scope in BUILT_IN_SCOPES)


@dataclass(frozen=True, slots=True)
class Api:
    """A protected API: the audience of the access tokens that name it."""

    id: str
    audience: str
    name: str
    scopes: tuple[Scope, ...]
    token_format: TokenFormat
    token_lifetime: timedelta
    created_at: datetime
    updated_at: datetime
    settings: ApiSettings = UNSET_API

    @property
    def scope_names(self) -> tuple[str, ...]:
        """The names of its scopes, in their order."""
        return tuple(scope.name for scope in self.scopes)


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """One secret of a client, kept as a keyed digest; shown once, when it was made.

    `sealed` is the secret itself in the vault, for `client_secret_jwt` only, whose proofs need it.
    """

    id: str
    digest: bytes
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    sealed: str | None = None

    def is_active(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True)
class Client:
    """An application as registered.

    `scopes` are those it may ask for. `audiences` are the APIs it speaks for as their resource server: only their
    tokens may it introspect. `jwks` holds the public keys of `private_key_jwt`. `first_party` clients need no consent.
    `web_origins` may call the token endpoint from a browser (CORS). Everything else it can be set to is in `settings`.
    """

    id: str
    name: str
    kind: Kind
    auth_method: AuthMethod
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    web_origins: tuple[str, ...]
    grants: tuple[GrantName, ...]
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    jwks: JsonObject | None
    first_party: bool
    disabled: bool
    created_at: datetime
    updated_at: datetime
    secrets: tuple[ClientSecret, ...] = ()
    settings: ClientSettings = UNSET


@dataclass(frozen=True, slots=True)
class ApiDraft:
    """An API as somebody wishes it to be; `register.save_api` checks it."""

    audience: str
    name: str
    scopes: tuple[Scope, ...] = ()
    token_format: str = "jwt"  # noqa: S105  # not a secret
    token_lifetime: timedelta = DEFAULT_TOKEN_LIFETIME
    settings: ApiSettings = UNSET_API


@dataclass(frozen=True, slots=True)
class ClientDraft:
    """A client as somebody wishes it to be; `register.save_client` checks it."""

    id: str
    name: str
    kind: str = "confidential"
    auth_method: str = "client_secret_basic"
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    web_origins: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    jwks: JsonObject | None = None
    first_party: bool = False
    disabled: bool = False
    settings: ClientSettings = UNSET


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret in the clear, for the one time it is shown."""

    id: str
    secret: str
    expires_at: datetime | None
