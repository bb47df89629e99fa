"""The nouns of this slice. Pure values; times are aware UTC datetimes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from kronborg.core.json import JsonObject
from kronborg.core.jws import Line

CODE_LIFETIME = timedelta(seconds=60)
REFRESH_IDLE = timedelta(days=14)
REFRESH_ABSOLUTE = timedelta(days=90)
REFRESH_GRACE = timedelta(seconds=30)
"""For so long a rotated refresh token still gives its one successor, unless that was used (parallel tabs; ADR 0013)."""
ID_TOKEN_LIFETIME = timedelta(minutes=10)
USERINFO_TOKEN_LIFETIME = timedelta(minutes=10)
PERSONAL = "pat:"
"""Before the id of a person, in place of a client, for their personal access tokens: no client is called so."""
INTERNAL_LIFETIME = timedelta(seconds=60)
KEY_AGE = timedelta(days=30)
"""An active signing key older than this makes way for the next one."""
KEY_RETIREMENT = timedelta(days=7)
"""For so long a retiring key stays in the JWKS; longer than any token signed with it lives."""
KEY_NOTICE = timedelta(hours=1)
"""For so long at least a next key is published before it signs; longer than anybody may keep the JWKS."""

KeyState = Literal["next", "active", "retiring"]


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as stored: the public part as a JWK, the private part sealed in the vault, or named in a PKCS#11 token."""

    id: str
    state: KeyState
    public_jwk: JsonObject
    sealed: str
    created_at: datetime
    activated_at: datetime | None
    retired_at: datetime | None
    line: Line = "ES256"


@dataclass(frozen=True, slots=True)
class GrantDetails:
    """What only some grants have; none of it is looked for in the database.

    `claims` is the parameter of OIDC Core §5.5. `jkt` (RFC 9449 §5) and `x5t` (RFC 8705 §4) name the key and the
    certificate that the refresh tokens of a public client are bound to. `lifetime` and `idle` count seconds.
    `organisation` is the id of the one that the client asked for.
    """

    acr: str | None = None
    authorization_details: tuple[JsonObject, ...] = ()
    claims: JsonObject | None = None
    jkt: str | None = None
    x5t: str | None = None
    lifetime: int | None = None
    idle: int | None = None
    organisation: str | None = None


NO_DETAILS = GrantDetails()


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a person allowed a client at the authorization endpoint, as it is bound to a code.

    `audiences` are those the access tokens of this grant may be for (see `audience.grantable`). `redirect_uri` is
    the parameter of the request, None when it was left out. `challenge` is the S256 challenge, None without PKCE.
    `jkt` is the thumbprint of the only DPoP key that may trade the code (RFC 9449 §10), None for any.
    """

    client_id: str
    user_id: str
    session_id: str | None
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    redirect_uri: str | None
    challenge: str | None
    nonce: str | None
    auth_time: datetime
    amr: tuple[str, ...] = ("pwd",)
    details: GrantDetails = NO_DETAILS
    jkt: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A person's permission to a client; codes, refresh tokens and access tokens hang on it."""

    id: str
    client_id: str
    user_id: str
    session_id: str | None
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    auth_time: datetime
    amr: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    details: GrantDetails = NO_DETAILS

    @property
    def offline(self) -> bool:
        """Whether it outlives the session it was given in (OIDC Core §11)."""
        return "offline_access" in self.scopes


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code as stored, with its grant."""

    digest: bytes
    grant: Grant
    redirect_uri: str | None
    challenge: str | None
    nonce: str | None
    expires_at: datetime
    used_at: datetime | None
    jkt: str | None = None


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token as stored, with its grant. `salt` is set when it was rotated: it leads to its successor."""

    digest: bytes
    grant: Grant
    expires_at: datetime
    rotated_at: datetime | None
    salt: bytes | None


@dataclass(frozen=True, slots=True)
class Access:
    """What an access token says, whatever its format.

    `audience` is one absolute URI. `subject` is the user's id, or the client's id for client credentials.
    `grant_id` and `session_id` are None for client credentials. `claims` holds further claims by their registered names
    (`cnf`, `act`, `may_act`, `acr`, `amr`, `authorization_details`, `status`): they stand in the JWT as they are, and
    are stored with a reference token and told by introspection.
    """

    jti: str
    client_id: str
    subject: str
    grant_id: str | None
    session_id: str | None
    audience: str
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    auth_time: datetime | None = None
    claims: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """The person behind a grant, as of now: may be given tokens. Whoever may not has no `Subject`."""

    id: str
    username: str
    roles: tuple[str, ...]
    name: str = ""
    email: str | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InternalJwt:
    """A JWT of at most 60 s that stands for a reference token inside the mesh (phantom token)."""

    token: str
    expires_at: datetime
