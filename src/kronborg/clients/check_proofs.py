"""What the settings of proofs may be: how a client proves itself by certificate or signature, and what binds tokens."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterator, Mapping

from kronborg.clients.model import ClientDraft
from kronborg.clients.settings import ClientSettings
from kronborg.core.errors import Problem

NAMES = (
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
)
MAX_NAME = 500
_DNS = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*", re.ASCII)
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+", re.ASCII)
_EMAIL = re.compile(r"[!-?A-~]+@[A-Za-z0-9.-]+", re.ASCII)


def proof_problems(draft: ClientDraft) -> Iterator[Problem]:
    """Every problem of these settings, each at `settings.<name>`."""
    yield from _name_problems(draft)
    yield from _certificate_problems(draft)
    yield from _algorithm_problems(draft)
    yield from _binding_problems(draft)


def _name_problems(draft: ClientDraft) -> Iterator[Problem]:
    given = [name for name in NAMES if getattr(draft.settings, name) is not None]
    if draft.auth_method != "tls_client_auth":
        for name in given:
            yield Problem(f"settings.{name}", "is for tls_client_auth only", "leave it out, or change auth_method")
        return
    # RFC 8705 §2.1.2: exactly one of them.
    if len(given) != 1:
        yield Problem(
            "settings.tls_client_auth_subject_dn",
            "tls_client_auth needs exactly one name of the certificate",
            "give the subject, or one of the tls_client_auth_san_ settings",
        )
        return
    name, value = given[0], getattr(draft.settings, given[0])
    if not 0 < len(value) <= MAX_NAME or not _fits(name, value):
        yield Problem(f"settings.{name}", "is not such a name", "write it as it stands in the certificate")


def _fits(name: str, value: str) -> bool:
    match name:
        case "tls_client_auth_subject_dn":
            return _is_subject(value)
        case "tls_client_auth_san_dns":
            return len(value) <= 253 and _DNS.fullmatch(value) is not None
        case "tls_client_auth_san_uri":
            return _URI.fullmatch(value) is not None
        case "tls_client_auth_san_ip":
            return _is_address(value)
        case _:
            return _EMAIL.fullmatch(value) is not None


def _is_subject(value: str) -> bool:
    from cryptography import x509

    try:
        return bool(list(x509.Name.from_rfc4514_string(value)))
    except ValueError:
        return False


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _certificate_problems(draft: ClientDraft) -> Iterator[Problem]:
    if draft.auth_method != "self_signed_tls_client_auth" or draft.settings.jwks_uri is not None:
        return
    keys = draft.jwks.get("keys") if draft.jwks is not None else None
    chains = [key.get("x5c") for key in keys if isinstance(key, Mapping)] if isinstance(keys, (list, tuple)) else []
    # RFC 8705 §2.2: the certificate is registered in the JWK set.
    if not any(isinstance(chain, (list, tuple)) and chain and _is_certificate(chain[0]) for chain in chains):
        yield Problem(
            "jwks",
            "self_signed_tls_client_auth needs a key with its certificate in x5c",
            "put the certificate in, DER in base64, or give settings.jwks_uri",
        )


def _is_certificate(text: object) -> bool:
    from cryptography import x509

    try:
        x509.load_der_x509_certificate(base64.b64decode(text, validate=True) if isinstance(text, str) else b"")
    except ValueError:
        return False
    return True


def _algorithm_problems(draft: ClientDraft) -> Iterator[Problem]:
    settings: ClientSettings = draft.settings
    wanted = settings.token_endpoint_auth_signing_alg
    if wanted is not None and draft.auth_method not in ("private_key_jwt", "client_secret_jwt"):
        yield Problem(
            "settings.token_endpoint_auth_signing_alg", "is for private_key_jwt and client_secret_jwt only", "leave it"
        )
    elif wanted is not None and (wanted == "HS256") != (draft.auth_method == "client_secret_jwt"):
        yield Problem(
            "settings.token_endpoint_auth_signing_alg",
            "does not fit the method: client_secret_jwt is HS256, private_key_jwt anything else",
            "leave it out",
        )


def _binding_problems(draft: ClientDraft) -> Iterator[Problem]:
    settings = draft.settings
    front = "implicit" in draft.grants or any("token" in kind.split() for kind in settings.response_types)
    for name in ("dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens"):
        # RFC 9449 §5.2, RFC 8705 §3.4: no access token without a proof, and a browser that is redirected brings none.
        if front and getattr(settings, name):
            yield Problem(
                f"settings.{name}",
                "cannot hold for access tokens in the front channel, where nothing is proved",
                "use the response type code",
            )
