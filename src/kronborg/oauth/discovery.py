"""The server's metadata (OpenID Connect Discovery §3, RFC 8414 §2): one document at two addresses."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from kronborg.clients.admission import Admission
from kronborg.clients.directory import Apis
from kronborg.clients.model import BUILT_IN_SCOPES
from kronborg.core.client_certificate import NO_MUTUAL_TLS, MutualTls
from kronborg.core.jose import ALGORITHMS
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.jwe import CONTENT_ENCRYPTIONS, KEY_ENCRYPTIONS
from kronborg.oauth import logout
from kronborg.oauth.authorize_metadata import authorize_metadata
from kronborg.oauth.proof_metadata import proof_metadata
from kronborg.oauth.token import GRANTS

TOKENS: Final[JsonObject] = {
    "subject_types_supported": ["public", "pairwise"],
    **{
        f"{what}_{kind}_values_supported": list(values)
        for what in ("id_token", "userinfo")
        for kind, values in (
            ("signing_alg", ALGORITHMS),
            ("encryption_alg", KEY_ENCRYPTIONS),
            ("encryption_enc", CONTENT_ENCRYPTIONS),
        )
    },
}
"""What clients may wish of what they are told about people (OIDC Discovery §3)."""


def admission_metadata(issuer: str, admission: Admission) -> JsonObject:
    """How a client comes by itself: what stands in the document of an issuer besides `metadata`."""
    told: dict[str, JsonValue] = {"registration_endpoint": f"{issuer}/oauth/register"}
    if admission.documents:
        # draft-ietf-oauth-client-id-metadata-document §5
        told["client_id_metadata_document_supported"] = True
    return told


def metadata(
    issuer: str, apis: Apis, mutual_tls: MutualTls = NO_MUTUAL_TLS, factors: Collection[str] = ()
) -> JsonObject:
    """The document of an issuer. The scopes of the APIs are listed with those of OpenID Connect."""
    document: JsonObject = {
        "issuer": issuer,
        **authorize_metadata(issuer, apis, factors),
        "token_endpoint": f"{issuer}/oauth/token",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
        "jwks_uri": f"{issuer}/oauth/jwks",
        # RFC 9728 §4
        "protected_resources": sorted(apis.by_audience),
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "device_authorization_endpoint": f"{issuer}/oauth/device_authorization",
        "backchannel_authentication_endpoint": f"{issuer}/oauth/backchannel-authentication",
        "backchannel_token_delivery_modes_supported": ["poll", "ping", "push"],
        "backchannel_authentication_request_signing_alg_values_supported": list(ALGORITHMS),
        "backchannel_user_code_parameter_supported": False,
        "end_session_endpoint": f"{issuer}/oauth/logout",
        **logout.METADATA,
        # draft-ietf-oauth-status-list §9.1
        "status_list_aggregation_endpoint": f"{issuer}/oauth/status-lists",
        "scopes_supported": [*(scope.name for scope in BUILT_IN_SCOPES), *sorted(apis.by_scope)],
        "grant_types_supported": list(GRANTS),
        **TOKENS,
    }
    return {**document, **proof_metadata(document, issuer, mutual_tls)}
