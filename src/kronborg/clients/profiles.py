"""Profiles: one word that holds a client, or every client, to a body of rules. Pure; each rule names its clause.

A profile is a tuple of demands. A demand may forbid what somebody chose (`broken_by`), and may switch on what nobody
chose (`hardened`). Both know nothing of requests: endpoints look at the settings of a client, and the directory hands
out clients as their profiles make them. Demands with neither are kept by this server for every client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar, get_args
from urllib.parse import urlsplit

from kronborg.clients.model import Client, ClientDraft
from kronborg.clients.settings import ClientSettings, Profile, ResponseMode, SigningAlgorithm
from kronborg.core.errors import Problem

Held = TypeVar("Held", Client, ClientDraft)
Wrong = tuple[str, str, str]
"""Where it stands, what is wrong, how to mend it."""
Check = Callable[[Client | ClientDraft], Wrong | None]
Change = Callable[[Client | ClientDraft, ClientSettings], ClientSettings]

PROFILES: tuple[Profile, ...] = get_args(Profile)
FAPI_METHODS = ("private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth")
TLS_METHODS = ("tls_client_auth", "self_signed_tls_client_auth")
JWT_MODES: tuple[ResponseMode, ...] = ("jwt", "query.jwt", "fragment.jwt", "form_post.jwt")
_ALGORITHMS = tuple(name for name in ClientSettings.__dataclass_fields__ if name.endswith("_alg"))
_ALG_OF_KEY: dict[str, SigningAlgorithm] = {"EC": "ES256", "RSA": "PS256", "OKP": "Ed25519"}


@dataclass(frozen=True, slots=True)
class Demand:
    """One rule: the clause it comes from, and what it says in a sentence."""

    clause: str
    says: str
    broken_by: Check | None = None
    hardened: Change | None = None

    @property
    def kept(self) -> str:
        """Where it is kept, for the reference table."""
        places = [("at registration", self.broken_by), ("switched on", self.hardened)]
        return ", ".join(name for name, way in places if way is not None) or "for every client"


def problems(draft: Client | ClientDraft, profile: Profile = "none") -> Iterator[Problem]:
    """What a draft chose against its own profile and that of the installation, each with the clause."""
    for name in _profiles(draft, profile):
        for demand in DEMANDS[name]:
            wrong = None if demand.broken_by is None else demand.broken_by(draft)
            if wrong is not None:
                where, detail, mend = wrong
                yield Problem(where, f"{name} {detail} ({demand.clause})", mend)


def hardened(client: Held, profile: Profile = "none") -> Held:
    """The client as its own profile and that of the installation make it.

    What a profile demands is switched on. A client that contradicts it, because it was registered before, is disabled.
    Raises nothing, and changes nothing a second time.
    """
    held = _profiles(client, profile)
    if not held:
        return client
    if contradiction(client, profile) is not None:
        return replace(client, disabled=True)
    settings = client.settings
    for name in held:
        for demand in DEMANDS[name]:
            if demand.hardened is not None:
                settings = demand.hardened(client, settings)
    return client if settings == client.settings else replace(client, settings=settings)


def contradiction(client: Client | ClientDraft, profile: Profile = "none") -> str | None:
    """The clause that a client breaks, with the profile it belongs to; None when it breaks none."""
    for name in _profiles(client, profile):
        for demand in DEMANDS[name]:
            if demand.broken_by is not None and demand.broken_by(client) is not None:
                return f"{name}: {demand.clause}"
    return None


def switched_on(client: Held, profile: Profile = "none") -> dict[str, object]:
    """The settings that its profiles give a client, by name: those it did not choose itself."""
    after = hardened(client, profile).settings
    return {
        name: value
        for name in ClientSettings.__dataclass_fields__
        if (value := getattr(after, name)) != getattr(client.settings, name)
    }


def _profiles(client: Client | ClientDraft, profile: Profile) -> tuple[Profile, ...]:
    own = client.settings.profile
    return tuple(name for name in dict.fromkeys((profile, own)) if name != "none")


def _key_types(client: Client | ClientDraft) -> list[str]:
    keys = client.jwks.get("keys") if client.jwks else None
    return [str(key.get("kty")) for key in keys if isinstance(key, Mapping)] if isinstance(keys, (list, tuple)) else []


def _algorithm_of_keys(client: Client | ClientDraft) -> SigningAlgorithm | None:
    kinds = set(_key_types(client))
    return _ALG_OF_KEY.get(kinds.pop()) if len(kinds) == 1 else None


# --- what may not be chosen ----------------------------------------------------------------------------------------


def _no_implicit(client: Client | ClientDraft) -> Wrong | None:
    if "implicit" in client.grants:
        return "grants", "knows no implicit grant", "use authorization_code"
    if any("token" in kind.split() for kind in client.settings.response_types):
        return "settings.response_types", "gives no access token in the front channel", "use code"
    return None


def _no_password(client: Client | ClientDraft) -> Wrong | None:
    if "password" in client.grants:
        return "grants", "refuses the password grant", "use authorization_code"
    return None


def _only_codes(client: Client | ClientDraft) -> Wrong | None:
    if "implicit" in client.grants or any(kind != "code" for kind in client.settings.response_types):
        return "settings.response_types", "knows the response type code only", "write response_types: [code]"
    return None


def _only_confidential(client: Client | ClientDraft) -> Wrong | None:
    if client.kind != "confidential":
        return "kind", "supports confidential clients only", "make it confidential, with private_key_jwt"
    return None


def _strong_method(client: Client | ClientDraft) -> Wrong | None:
    if client.auth_method not in FAPI_METHODS and client.kind == "confidential":
        return "auth_method", "requires private_key_jwt or mTLS", f"use one of {', '.join(FAPI_METHODS)}"
    return None


def _strict_assertions(client: Client | ClientDraft) -> Wrong | None:
    if client.settings.legacy_client_assertions:
        where = "settings.legacy_client_assertions"
        return where, "takes the issuer alone as the audience of an assertion", "leave it off"
    return None


def _no_push(client: Client | ClientDraft) -> Wrong | None:
    if client.settings.backchannel_token_delivery_mode == "push":  # noqa: S105  # not a secret
        where = "settings.backchannel_token_delivery_mode"
        return where, "binds every token to a key, and nobody proves one for a token that is pushed", "use ping or poll"
    return None


def _short_references(client: Client | ClientDraft) -> Wrong | None:
    lifetime = client.settings.pushed_request_lifetime
    if lifetime is not None and lifetime >= 600:
        return "settings.pushed_request_lifetime", "keeps pushed requests less than 600 seconds", "write 60"
    return None


def _encrypted_redirects(client: Client | ClientDraft) -> Wrong | None:
    for index, uri in enumerate(client.redirect_uris):
        parts = urlsplit(uri)
        # RFC 8252 §7.3: http for the loopback of a native client, and for nothing else.
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            return f"redirect_uris[{index}]", "allows no redirect over plain http", "use https"
    return None


def _strong_algorithms(client: Client | ClientDraft) -> Wrong | None:
    for name in _ALGORITHMS:
        if getattr(client.settings, name) in ("RS256", "HS256"):
            return f"settings.{name}", "uses PS256, ES256 or Ed25519", "use ES256"
    if client.auth_method != "private_key_jwt" or client.settings.token_endpoint_auth_signing_alg is not None:
        return None
    if client.settings.jwks_uri is not None or len(set(_key_types(client))) > 1:
        return (
            "settings.token_endpoint_auth_signing_alg",
            "must know which of PS256, ES256 or Ed25519 signs the assertions",
            "name the algorithm: its keys leave it open",
        )
    return None


def _signed_answers(client: Client | ClientDraft) -> Wrong | None:
    if any(mode not in JWT_MODES for mode in client.settings.response_modes):
        return "settings.response_modes", "answers in signed response modes only", "write response_modes: [jwt]"
    return None


# --- what is switched on -------------------------------------------------------------------------------------------


def _on(*names: str, value: bool = True) -> Change:
    """Switches, all set to `value`."""
    return lambda _, settings: replace(settings, **dict.fromkeys(names, value))  # type: ignore[arg-type]  # switches


def _bound(client: Client | ClientDraft, settings: ClientSettings) -> ClientSettings:
    # FAPI 2.0 SP §5.3.2.1 (5): a certificate where the client has one, DPoP elsewhere.
    if settings.dpop_bound_access_tokens or settings.tls_client_certificate_bound_access_tokens:
        return settings
    if client.auth_method in TLS_METHODS:
        return replace(settings, tls_client_certificate_bound_access_tokens=True)
    return replace(settings, dpop_bound_access_tokens=True)


def _algorithm_named(client: Client | ClientDraft, settings: ClientSettings) -> ClientSettings:
    settings = replace(settings, strong_signatures=True)
    if client.auth_method != "private_key_jwt" or settings.token_endpoint_auth_signing_alg is not None:
        return settings
    return replace(settings, token_endpoint_auth_signing_alg=_algorithm_of_keys(client))


def _jarm(_: Client | ClientDraft, settings: ClientSettings) -> ClientSettings:
    return replace(
        settings,
        response_modes=settings.response_modes or JWT_MODES,
        authorization_signed_response_alg=settings.authorization_signed_response_alg or "ES256",
    )


def _signed_introspection(_: Client | ClientDraft, settings: ClientSettings) -> ClientSettings:
    return replace(settings, introspection_signed_response_alg=settings.introspection_signed_response_alg or "ES256")


_PKCE = _on("require_pkce")

# --- the profiles --------------------------------------------------------------------------------------------------

_OAUTH21 = (
    Demand("OAuth 2.1 §7.5.1", "Every client uses PKCE, also a confidential one.", hardened=_PKCE),
    Demand("OAuth 2.1 §10.1", "No access token in the front channel: no implicit grant.", _no_implicit),
    Demand("RFC 9700 §2.4", "No password grant; OAuth 2.1 does not define it.", _no_password),
    Demand("OAuth 2.1 §4.3.1", "Refresh tokens of public clients are rotated or bound to a key."),
    Demand("OAuth 2.1 §2.3.1", "Redirect URIs are compared as exact strings, but for the port of a loopback."),
    Demand("OAuth 2.1 §5.1", "No access token in a query."),
)

_FAPI2_SECURITY = (
    Demand("FAPI 2.0 SP §5.3.2.1 (2)", "No password grant.", _no_password),
    Demand("FAPI 2.0 SP §5.3.2.1 (3)", "Confidential clients only.", _only_confidential),
    Demand("FAPI 2.0 SP §5.3.2.1 (4)", "Every access token is bound to a certificate or a DPoP key.", _no_push, _bound),
    Demand("FAPI 2.0 SP §5.3.2.1 (6)", "Clients prove themselves by private_key_jwt or mTLS.", _strong_method),
    Demand(
        "FAPI 2.0 SP §5.3.2.1 (8)", "The audience of a client assertion is the issuer, as a string.", _strict_assertions
    ),
    Demand(
        "FAPI 2.0 SP §5.3.2.1 (9)",
        "Refresh tokens are not rotated.",
        hardened=_on("refresh_token_rotation", value=False),
    ),
    Demand("FAPI 2.0 SP §5.3.2.1 (11)", "A code lives 60 seconds at most."),
    Demand("FAPI 2.0 SP §5.3.2.2 (1)", "The response type is code.", _only_codes),
    Demand(
        "FAPI 2.0 SP §5.3.2.2 (3)",
        "Authorization requests are pushed (RFC 9126).",
        hardened=_on("require_pushed_authorization_requests"),
    ),
    Demand("FAPI 2.0 SP §5.3.2.2 (5)", "PKCE with S256.", hardened=_PKCE),
    Demand(
        "FAPI 2.0 SP §5.3.2.2 (6)", "A pushed request names its redirect_uri.", hardened=_on("require_redirect_uri")
    ),
    Demand("FAPI 2.0 SP §5.3.2.2 (7)", "Answers carry iss (RFC 9207)."),
    Demand("FAPI 2.0 SP §5.3.2.2 (8)", "No redirect over plain http but to the loopback.", _encrypted_redirects),
    Demand("FAPI 2.0 SP §5.3.2.2 (9)", "A code is good for one use."),
    Demand("FAPI 2.0 SP §5.3.2.2 (12)", "A pushed request lives less than 600 seconds.", _short_references),
    Demand(
        "FAPI 2.0 SP §5.4.1 (1)", "JWTs are signed with PS256, ES256 or Ed25519.", _strong_algorithms, _algorithm_named
    ),
)

_FAPI2_MESSAGE_SIGNING = (
    *_FAPI2_SECURITY,
    Demand(
        "FAPI 2.0 MS §5.3.1",
        "Pushed requests are signed request objects (RFC 9101).",
        hardened=_on("require_signed_request_object"),
    ),
    Demand("FAPI 2.0 MS §5.4.1", "Authorization responses are signed (JARM).", _signed_answers, _jarm),
    Demand("FAPI 2.0 MS §5.5.1", "Introspection responses are signed (RFC 9701).", hardened=_signed_introspection),
)

_MCP = (
    *_OAUTH21,
    Demand(
        "RFC 8707 §2",
        "Every authorization request names the MCP server as its resource.",
        hardened=_on("require_resource"),
    ),
    Demand("RFC 9207 §2", "Answers carry iss."),
)

DEMANDS: dict[Profile, tuple[Demand, ...]] = {
    "none": (),
    "oauth21": _OAUTH21,
    "fapi2-security": _FAPI2_SECURITY,
    "fapi2-message-signing": _FAPI2_MESSAGE_SIGNING,
    "mcp": _MCP,
}


def table() -> str:
    """Every profile and its demands, in Markdown."""
    lines = []
    for name in PROFILES:
        if DEMANDS[name]:
            lines += [f"### `{name}`", "", "| clause | demands | kept |", "|---|---|---|"]
            lines += [f"| {one.clause} | {one.says} | {one.kept} |" for one in DEMANDS[name]] + [""]
    return "\n".join(lines)
