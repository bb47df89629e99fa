"""What the server's metadata tells about proofs: how clients authenticate, DPoP, where certificates are asked for."""

from __future__ import annotations

from typing import get_args

from kronborg.clients.model import AUTH_METHODS, AuthMethod
from kronborg.clients.settings import ContentEncryption, KeyEncryption
from kronborg.core.client_certificate import MutualTls
from kronborg.core.jose import ALGORITHMS
from kronborg.core.json import JsonObject, JsonValue

ALIASED = (
    "token_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "userinfo_endpoint",
    "pushed_authorization_request_endpoint",
    "device_authorization_endpoint",
    "backchannel_authentication_endpoint",
)
"""The endpoints that clients call themselves, and so may call with a certificate (RFC 8705 §5)."""


def auth_methods(mutual_tls: MutualTls) -> tuple[AuthMethod, ...]:
    """The methods that work here: those by certificate where there is somewhere to show one."""
    without = set[AuthMethod]()
    if mutual_tls.url is None:
        without = {"tls_client_auth", "self_signed_tls_client_auth"}
    elif mutual_tls.authorities is None:
        without = {"tls_client_auth"}
    return tuple(method for method in AUTH_METHODS if method not in without)


def proof_metadata(document: JsonObject, issuer: str, mutual_tls: MutualTls) -> JsonObject:
    """The members about proofs, for the document with the other ones."""
    methods = auth_methods(mutual_tls)
    # HS256 is that of client_secret_jwt.
    algorithms = [*ALGORITHMS, "HS256"]
    told: dict[str, JsonValue] = {"dpop_signing_alg_values_supported": list(ALGORITHMS)}
    for endpoint in ("token", "introspection", "revocation"):
        proved_only = endpoint == "introspection"
        told[f"{endpoint}_endpoint_auth_methods_supported"] = [
            method for method in methods if not (proved_only and method == "none")
        ]
        told[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = algorithms
    # RFC 9701 §7
    told["introspection_signing_alg_values_supported"] = list(ALGORITHMS)
    told["introspection_encryption_alg_values_supported"] = list(get_args(KeyEncryption))
    told["introspection_encryption_enc_values_supported"] = list(get_args(ContentEncryption))
    if mutual_tls.url is not None:
        told["tls_client_certificate_bound_access_tokens"] = True
        told["mtls_endpoint_aliases"] = {
            name: mutual_tls.url + str(document[name]).removeprefix(issuer) for name in ALIASED if name in document
        }
    return told
