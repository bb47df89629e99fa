"""The server's metadata (OpenID Connect Discovery §3, RFC 8414 §2): one document at two addresses."""

from __future__ import annotations

from kronborg.clients.directory import Apis
from kronborg.clients.model import AUTH_METHODS, BUILT_IN_SCOPES
from kronborg.core.jose import ALGORITHMS
from kronborg.core.json import JsonObject
from kronborg.oauth.token import GRANTS


def metadata(issuer: str, apis: Apis) -> JsonObject:
    """The document of an issuer. The scopes of the APIs are listed with those of OpenID Connect."""
    proved = [method for method in AUTH_METHODS if method != "none"]
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
        "jwks_uri": f"{issuer}/oauth/jwks",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "device_authorization_endpoint": f"{issuer}/oauth/device_authorization",
        "end_session_endpoint": f"{issuer}/oauth/logout",
        # draft-ietf-oauth-status-list §9.1
        "status_list_aggregation_endpoint": f"{issuer}/oauth/status-lists",
        "scopes_supported": [*(scope.name for scope in BUILT_IN_SCOPES), *sorted(apis.by_scope)],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment"],
        "grant_types_supported": list(GRANTS),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": proved,
        "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "authorization_response_iss_parameter_supported": True,
        "claims_supported": [
            *("sub", "name", "preferred_username", "updated_at", "email", "email_verified"),
            *("auth_time", "amr", "sid", "nonce"),
        ],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "display_values_supported": ["page", "popup", "touch", "wap"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }
