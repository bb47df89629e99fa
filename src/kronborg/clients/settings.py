"""What a client or an API may be set to besides its main fields: frozen values, kept as one JSON object each.

Names are those of the IANA registry "OAuth Dynamic Client Registration Metadata" where it has one. Whatever is left out
means its default, so that a stored object holds only what somebody chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, TypeVar

from kronborg.core.json import JsonObject, JsonValue

Profile = Literal["none", "oauth21", "fapi2-security", "fapi2-message-signing", "mcp"]
ResponseType = Literal[
    "code", "id_token", "token", "id_token token", "code id_token", "code token", "code id_token token", "none"
]
ResponseMode = Literal["query", "fragment", "form_post", "jwt", "query.jwt", "fragment.jwt", "form_post.jwt"]
SigningAlgorithm = Literal["ES256", "EdDSA", "Ed25519", "PS256", "RS256"]
KeyEncryption = Literal["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW"]
ContentEncryption = Literal["A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"]


EDGE = {"extra": "forbid", "strict": False, "hide_input_in_errors": True, "use_attribute_docstrings": True}
"""How the HTTP and config edges read these values: unknown names are errors."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The settings of a client. Every one is off, or the strict choice, unless somebody says otherwise."""

    __pydantic_config__ = EDGE

    profile: Profile = "none"
    """The profile it is held to, besides that of the installation."""
    response_types: tuple[ResponseType, ...] = ("code",)
    """What it may ask the authorization endpoint for. Everything but `code` is legacy."""
    response_modes: tuple[ResponseMode, ...] = ()
    """The only response modes it may ask for (FAPI 2.0 Message Signing §5.3.3); any when empty."""
    require_pkce: bool = False
    """It uses PKCE though it is confidential; public clients always do (RFC 9700 §2.1.1)."""
    require_redirect_uri: bool = False
    """Its requests name their `redirect_uri` even if only one is registered."""
    require_resource: bool = False
    """Its requests name the API they are for (RFC 8707 §2)."""
    require_pushed_authorization_requests: bool = False
    """RFC 9126 §6."""
    pushed_request_lifetime: int | None = None
    """Seconds for which a pushed request may be begun (RFC 9126 §2.2), 5 to 600; 60 when absent."""
    require_signed_request_object: bool = False
    """RFC 9101 §10.5."""
    request_object_signing_alg: SigningAlgorithm | None = None
    """The one algorithm of its request objects; any of its keys when absent."""
    request_uris: tuple[str, ...] = ()
    """Where its request objects may be fetched from (OIDC Registration §2), compared exactly."""
    authorization_signed_response_alg: SigningAlgorithm | None = None
    """JARM §3: how its authorization responses are signed in a `jwt` response mode."""
    authorization_encrypted_response_alg: KeyEncryption | None = None
    """JARM §3: how the key of an encrypted authorization response is wrapped; not encrypted when absent."""
    authorization_encrypted_response_enc: ContentEncryption | None = None
    """JARM §3: how an encrypted authorization response is encrypted; `A128CBC-HS256` when absent."""
    id_token_signed_response_alg: SigningAlgorithm | None = None
    """How its ID tokens are signed; `ES256` when absent."""
    id_token_encrypted_response_alg: KeyEncryption | None = None
    """How the key of its encrypted ID tokens is wrapped; not encrypted when absent."""
    id_token_encrypted_response_enc: ContentEncryption | None = None
    """How its encrypted ID tokens are encrypted; `A128CBC-HS256` when absent."""
    userinfo_signed_response_alg: SigningAlgorithm | None = None
    """Its userinfo is a JWT signed so; plain JSON when absent."""
    userinfo_encrypted_response_alg: KeyEncryption | None = None
    """How the key of its encrypted userinfo is wrapped; not encrypted when absent."""
    userinfo_encrypted_response_enc: ContentEncryption | None = None
    """How its encrypted userinfo is encrypted; `A128CBC-HS256` when absent."""
    introspection_signed_response_alg: SigningAlgorithm | None = None
    """How introspection responses are signed that it asks for as a JWT (RFC 9701 §6); `ES256` when absent."""
    introspection_encrypted_response_alg: KeyEncryption | None = None
    """How the key of its encrypted introspection responses is wrapped; not encrypted when absent."""
    introspection_encrypted_response_enc: ContentEncryption | None = None
    """How its encrypted introspection responses are encrypted; `A128CBC-HS256` when absent."""
    token_endpoint_auth_signing_alg: SigningAlgorithm | Literal["HS256"] | None = None
    """The one algorithm of its client assertions; `HS256` is that of `client_secret_jwt`."""
    strong_signatures: bool = False
    """Whatever it signs, request objects and DPoP proofs among it, is signed with ES256, Ed25519 or PS256 (FAPI 2.0
    SP §5.4.1)."""
    legacy_client_assertions: bool = False
    """Its client assertions may do without a type, and name an endpoint as audience, or several: what RFC 10070 put an
    end to, because such an assertion can be carried from one server to another."""
    jwks_uri: str | None = None
    """Where its public keys are fetched from, in place of `jwks`."""
    subject_type: Literal["public", "pairwise"] = "public"
    """OIDC Core §8."""
    sector_identifier_uri: str | None = None
    """OIDC Core §8.1."""
    dpop_bound_access_tokens: bool = False
    """RFC 9449 §5.2: it always uses DPoP."""
    require_dpop_nonce: bool = False
    """RFC 9449 §8: its proofs carry a nonce of ours, so that none can be made in advance."""
    tls_client_certificate_bound_access_tokens: bool = False
    """RFC 8705 §3.4."""
    tls_client_auth_subject_dn: str | None = None
    """RFC 8705 §2.1.2: exactly one of these five names a client of `tls_client_auth`."""
    tls_client_auth_san_dns: str | None = None
    """The DNS name in its certificate."""
    tls_client_auth_san_uri: str | None = None
    """The URI in its certificate."""
    tls_client_auth_san_ip: str | None = None
    """The IP address in its certificate."""
    tls_client_auth_san_email: str | None = None
    """The e-mail address in its certificate."""
    default_max_age: int | None = None
    """Seconds (OIDC Registration §2)."""
    require_auth_time: bool = False
    """Its ID tokens always carry `auth_time`; ours always do."""
    default_acr_values: tuple[str, ...] = ()
    """The `acr` values it asks for when a request names none, the wanted first."""
    require_factors: bool = False
    """People sign in to it with several factors, whatever its requests say; who has none enrols."""
    backchannel_logout_uri: str | None = None
    """OIDC Back-Channel Logout §2.2."""
    backchannel_logout_session_required: bool = False
    """Its logout tokens must carry `sid`; ours always do."""
    frontchannel_logout_uri: str | None = None
    """OIDC Front-Channel Logout §2."""
    frontchannel_logout_session_required: bool = False
    """Its front-channel logout is called with `iss` and `sid`; ours always is."""
    backchannel_token_delivery_mode: Literal["poll", "ping", "push"] = "poll"  # noqa: S105  # not a secret
    """CIBA §4."""
    backchannel_client_notification_endpoint: str | None = None
    """Where `ping` and `push` are sent to."""
    backchannel_authentication_request_signing_alg: SigningAlgorithm | None = None
    """The algorithm of its signed CIBA requests; unsigned ones are refused when set."""
    authorization_details_types: tuple[str, ...] = ()
    """RFC 9396 §10: the types it may ask for."""
    refresh_token_rotation: bool = True
    """Each use of a refresh token gives the next one; off only where tokens are bound to a key or a secret."""
    refresh_token_lifetime: int | None = None
    """Seconds until its refresh tokens end whatever happens; the server's 90 days when absent."""
    refresh_token_idle: int | None = None
    """Seconds until an unused refresh token ends; the server's 14 days when absent."""
    exchange_audiences: tuple[str, ...] = ()
    """Token exchange: the APIs for which it may trade the tokens of others, whatever they were issued for."""
    may_impersonate: bool = False
    """Token exchange without an actor token: it speaks as the subject, and `act` still names it (RFC 8693 §1.1)."""
    assertion_issuers: tuple[str, ...] = ()
    """JWT bearer grant (RFC 7523 §2.1): the trusted issuers whose assertions it may bring."""
    logo_uri: str | None = None
    """Its logo. Kept for consoles: a page that people see shows none, or the client would learn who looks, and when."""
    client_uri: str | None = None
    """Its home page, linked on consent pages."""
    policy_uri: str | None = None
    """How it uses what it learns of people, linked on consent pages."""
    tos_uri: str | None = None
    """Its terms of service, linked on consent pages."""
    contacts: tuple[str, ...] = ()
    """E-mail addresses of those who answer for it. Kept for operators."""
    software_id: str | None = None
    """Identifies the software among its installations (RFC 7591 §2). Kept for operators."""
    software_version: str | None = None
    """The version of that software. Kept for operators."""
    initiate_login_uri: str | None = None
    """Where it lets others begin a sign-in (OIDC Core §4). Kept for portals; the server sends nobody there."""
    unverified: bool = False
    """It came by itself, and nobody checked it: people are told so, and it is removed when nobody uses it. An
    administrator who vouches for it takes this away."""

    roles: Mapping[str, str] = field(default_factory=dict)
    """The roles it declares, each with a description; people are given them as `<client id>/<role>`. Its ID tokens and
    userinfo then carry `roles`: those of the person, without the prefix."""
    service_account: str | None = None
    """The username of the service account whose roles and groups its own tokens carry (client credentials)."""

    def takes(self, algorithm: object) -> bool:
        """Whether the client may sign with this algorithm, being one that its keys answer to."""
        return not (self.strong_signatures and algorithm == "RS256")


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The settings of an API: how its access tokens are made."""

    __pydantic_config__ = EDGE

    signing_alg: SigningAlgorithm = "ES256"
    """How its JWTs are signed."""
    claims: Mapping[str, str] = field(default_factory=dict)
    """Further claims of its JWTs: the name in the token, and what it is taken from (see `tokens/claims.py`)."""
    encryption_jwks: Mapping[str, object] | None = None
    """The public keys of the API: its JWTs are encrypted to one of them. Not encrypted when absent."""
    encryption_alg: KeyEncryption | None = None
    """How the key of an encrypted access token is wrapped; by the kind of key when absent."""
    encryption_enc: ContentEncryption | None = None
    """How its access tokens are encrypted; `A256GCM` when absent."""
    status_list: bool = False
    """Its JWTs carry a place in a token status list."""
    require_sender_constraint: bool = False
    """Only tokens bound to a key (RFC 9449) or a certificate (RFC 8705) are issued for it."""
    authorization_details_types: tuple[str, ...] = ()
    """RFC 9396: the types that it understands."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """The roles it declares, each with a description; people are given them as `<role_prefix>/<role>`. Its tokens carry
    them without the prefix, beside the global ones, and no role of others."""
    role_prefix: str | None = None
    """What stands before the slash when its roles are given; in a file, the name of the API when absent."""


UNSET = ClientSettings()
UNSET_API = ApiSettings()

Settings = TypeVar("Settings", ClientSettings, ApiSettings)


def to_json(settings: ClientSettings | ApiSettings) -> dict[str, JsonValue]:
    """What was chosen: every field that is not its default."""
    default = type(settings)()
    chosen: dict[str, JsonValue] = {}
    for one in fields(settings):
        value = getattr(settings, one.name)
        if value != getattr(default, one.name):
            chosen[one.name] = list(value) if isinstance(value, tuple) else value
    return chosen


def from_json(kind: type[Settings], stored: JsonObject) -> Settings:
    """The settings that `to_json` wrote; a name that is not known any more is left out."""
    known = {one.name for one in fields(kind)}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
    return kind(**{name: value for name, value in values.items() if name in known})  # type: ignore[arg-type]
