"""Client metadata (RFC 7591 §2, OIDC Registration §2) as a draft of a client, and a client as metadata. Pure.

Whatever comes in was written by somebody unknown: each member is read by its type or refused, what no client may decide
about itself is not read at all, and unknown members are ignored (RFC 7591 §2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, replace
from typing import Final, cast
from urllib.parse import urlsplit

from kronborg.clients.admission import RegistrationPolicy, redirect_allowed, scopes_within
from kronborg.clients.model import Client, ClientDraft
from kronborg.clients.reading import read_settings
from kronborg.clients.redirects import origin_problem
from kronborg.clients.settings import ClientSettings, to_json
from kronborg.core.errors import Invalid, Problem
from kronborg.core.json import JsonObject, JsonValue

SETTABLE: Final = (
    *("response_types", "require_pushed_authorization_requests", "require_signed_request_object"),
    *("request_object_signing_alg", "request_uris", "authorization_signed_response_alg"),
    *("authorization_encrypted_response_alg", "authorization_encrypted_response_enc"),
    *("id_token_signed_response_alg", "id_token_encrypted_response_alg", "id_token_encrypted_response_enc"),
    *("userinfo_signed_response_alg", "userinfo_encrypted_response_alg", "userinfo_encrypted_response_enc"),
    *("introspection_signed_response_alg", "introspection_encrypted_response_alg"),
    *("introspection_encrypted_response_enc", "token_endpoint_auth_signing_alg", "jwks_uri", "subject_type"),
    *("sector_identifier_uri", "dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens"),
    *("tls_client_auth_subject_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri", "tls_client_auth_san_ip"),
    *("tls_client_auth_san_email", "default_max_age", "require_auth_time", "default_acr_values"),
    *("backchannel_logout_uri", "backchannel_logout_session_required", "frontchannel_logout_uri"),
    *("frontchannel_logout_session_required", "backchannel_token_delivery_mode"),
    *("backchannel_client_notification_endpoint", "backchannel_authentication_request_signing_alg"),
    *("authorization_details_types", "logo_uri", "client_uri", "policy_uri", "tos_uri", "contacts", "software_id"),
    *("software_version", "initiate_login_uri"),
)
"""The settings that a client may decide about itself: standard metadata that only binds or describes the client."""
OWN: Final = tuple(one.name for one in fields(ClientSettings) if one.name not in SETTABLE)
"""Settings that only an administrator decides about."""
NAMES: Final = {
    "id": "client_id",
    "name": "client_name",
    "kind": "token_endpoint_auth_method",
    "auth_method": "token_endpoint_auth_method",
    "grants": "grant_types",
    "scopes": "scope",
}
"""What our fields are called in metadata, where the names differ."""
MAX_LIST = 50
_NAMELESS = "An app without a name"


def draft_of(
    client_id: str, metadata: JsonObject, *, policy: RegistrationPolicy, known: Collection[str]
) -> ClientDraft:
    """The client that this metadata asks for, within the policy; `known` are all scopes that exist.

    What the policy does not allow, and what is not of its type, raises `Invalid`. `register.save_client` checks the
    rest.
    """
    problems: list[Problem] = []
    try:
        settings = read_settings(ClientSettings, {n: metadata[n] for n in SETTABLE if metadata.get(n) is not None})
    except Invalid as invalid:
        problems += invalid.problems
        settings = ClientSettings()
    redirect_uris = _texts(metadata, "redirect_uris", problems)
    method = _text(metadata, "token_endpoint_auth_method", problems) or "client_secret_basic"
    scope = _text(metadata, "scope", problems)
    draft = ClientDraft(
        id=client_id,
        name=_text(metadata, "client_name", problems) or _NAMELESS,
        kind="public" if method == "none" else "confidential",
        auth_method=method,
        redirect_uris=redirect_uris,
        post_logout_redirect_uris=_texts(metadata, "post_logout_redirect_uris", problems),
        web_origins=_origins(redirect_uris) if method == "none" else (),
        grants=_texts(metadata, "grant_types", problems) or ("authorization_code",),
        scopes=scopes_within(policy, None if scope is None else scope.split(), known),
        jwks=_object(metadata, "jwks", problems),
        settings=replace(settings, unverified=True),
    )
    problems += _policy_problems(draft, policy)
    if problems:
        raise Invalid(*problems)
    return draft


def metadata_of(client: Client) -> dict[str, JsonValue]:
    """What is registered, by the names of metadata, without anything secret."""
    settings = to_json(client.settings)
    settings.setdefault("response_types", list(client.settings.response_types))
    return {
        "client_id": client.id,
        "client_id_issued_at": int(client.created_at.timestamp()),
        "client_name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "post_logout_redirect_uris": list(client.post_logout_redirect_uris),
        "token_endpoint_auth_method": client.auth_method,
        "grant_types": list(client.grants),
        "scope": " ".join(client.scopes),
        **({"jwks": client.jwks} if client.jwks is not None else {}),
        **{name: value for name, value in settings.items() if name in SETTABLE},
    }


def metadata_name(where: str) -> str:
    """What a place of a draft is called in metadata: `jwks_uri` for `settings.jwks_uri`, `grant_types` for `grants`."""
    where = where.removeprefix("settings.")
    name, bracket, index = where.partition("[")
    return NAMES.get(name, name) + bracket + index


def _policy_problems(draft: ClientDraft, policy: RegistrationPolicy) -> Iterator[Problem]:
    for index, grant in enumerate(draft.grants):
        if grant not in policy.grants:
            yield Problem(f"grants[{index}]", "is a grant that this server lets no client register")
    if draft.auth_method not in policy.auth_methods:
        yield Problem("auth_method", f"must be one of {', '.join(policy.auth_methods)}")
    if not draft.scopes:
        yield Problem("scopes", "holds no scope that this server lets a client register")
    if "implicit" not in policy.grants and any(kind != "code" for kind in draft.settings.response_types):
        yield Problem("settings.response_types", "must be code")
    for where in ("redirect_uris", "post_logout_redirect_uris"):
        for index, uri in enumerate(getattr(draft, where)):
            if not redirect_allowed(policy, uri):
                yield Problem(f"{where}[{index}]", "is a place that this server lets no client send people to")


def _origins(redirect_uris: tuple[str, ...]) -> tuple[str, ...]:
    """A public client may be a page of the places that people are sent back to: those may call the token endpoint."""
    origins = []
    for uri in redirect_uris:
        try:
            parts = urlsplit(uri)
        except ValueError:
            continue
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin_problem(origin) is None:
            origins.append(origin)
    return tuple(dict.fromkeys(origins))


def _text(metadata: JsonObject, name: str, problems: list[Problem]) -> str | None:
    value = metadata.get(name)
    if value is None or isinstance(value, str):
        return value or None
    problems.append(Problem(name, "must be text"))
    return None


def _texts(metadata: JsonObject, name: str, problems: list[Problem]) -> tuple[str, ...]:
    value = metadata.get(name)
    if value is None:
        return ()
    if isinstance(value, list) and len(value) <= MAX_LIST and all(isinstance(one, str) for one in value):
        return tuple(cast("list[str]", value))
    problems.append(Problem(name, "must be a list of at most 50 texts"))
    return ()


def _object(metadata: JsonObject, name: str, problems: list[Problem]) -> JsonObject | None:
    value = metadata.get(name)
    if value is None or isinstance(value, Mapping):
        return value
    problems.append(Problem(name, "must be an object"))
    return None
