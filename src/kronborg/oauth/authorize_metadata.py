"""What the metadata tells of the authorization endpoint and of what leads to it (RFC 8414 §2 and its registry)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from kronborg.clients.directory import Apis
from kronborg.core.jose import ALGORITHMS
from kronborg.core.json import JsonObject
from kronborg.core.jwe import CONTENT_ENCRYPTIONS, KEY_ENCRYPTIONS
from kronborg.core.languages import LANGUAGES
from kronborg.oauth.acr import offered_by
from kronborg.oauth.claims_request import SCOPE_OF
from kronborg.oauth.response_types import RESPONSE_MODES, RESPONSE_TYPES

PROMPTS: Final = ("none", "login", "consent", "select_account")
DISPLAYS: Final = ("page", "popup", "touch", "wap")


def authorize_metadata(issuer: str, apis: Apis, factors: Collection[str] = ()) -> JsonObject:
    """The members, for an issuer, its APIs and the factors that people sign in with."""
    types = {name for api in apis.by_audience.values() for name in api.settings.authorization_details_types}
    return {
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        # RFC 9126 §5
        "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
        "require_pushed_authorization_requests": False,
        "response_types_supported": list(RESPONSE_TYPES),
        "response_modes_supported": list(RESPONSE_MODES),
        "code_challenge_methods_supported": ["S256"],
        # RFC 9207 §3
        "authorization_response_iss_parameter_supported": True,
        # RFC 9101 §10.5, OIDC Discovery §3
        "request_parameter_supported": True,
        "request_uri_parameter_supported": True,
        "require_request_uri_registration": True,
        "require_signed_request_object": False,
        "request_object_signing_alg_values_supported": list(ALGORITHMS),
        # The key with `use: enc` in our JWKS is one on a curve.
        "request_object_encryption_alg_values_supported": ["ECDH-ES", "ECDH-ES+A256KW"],
        "request_object_encryption_enc_values_supported": list(CONTENT_ENCRYPTIONS),
        # JARM §4
        "authorization_signing_alg_values_supported": list(ALGORITHMS),
        "authorization_encryption_alg_values_supported": list(KEY_ENCRYPTIONS),
        "authorization_encryption_enc_values_supported": list(CONTENT_ENCRYPTIONS),
        # RFC 9396 §10
        **({"authorization_details_types_supported": sorted(types)} if types else {}),
        "acr_values_supported": list(offered_by(factors)),
        "claims_parameter_supported": True,
        "claim_types_supported": ["normal"],
        "claims_supported": ["sub", *SCOPE_OF, "auth_time", "acr", "amr", "sid", "nonce"],
        "prompt_values_supported": list(PROMPTS),
        "display_values_supported": list(DISPLAYS),
        "ui_locales_supported": list(LANGUAGES),
    }
