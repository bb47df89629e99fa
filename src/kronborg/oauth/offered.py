"""The metadata as far as it may be used: legacy only when a client opted in, nothing that the profile refuses."""

from __future__ import annotations

from kronborg.clients.legacy import METADATA, legacy_of
from kronborg.clients.model import ClientDraft
from kronborg.clients.profiles import FAPI_METHODS, JWT_MODES
from kronborg.clients.settings import ClientSettings, Profile
from kronborg.core.json import JsonObject, JsonValue

LEGACY_GRANTS = ("implicit", "password")
USUAL_TYPES = ("code", "none")


def as_offered(
    document: JsonObject, grants: frozenset[str], types: frozenset[str], *, profile: Profile = "none"
) -> JsonObject:
    """The document, for clients that opted into these grants and response types. The order of its lists stays."""
    told: dict[str, JsonValue] = dict(document)
    if profile != "none":
        grants, types = frozenset(), frozenset(kind for kind in types if "token" not in kind.split())
    known = [*_texts(document, "grant_types_supported"), "implicit"]
    told["grant_types_supported"] = [name for name in known if name not in LEGACY_GRANTS or name in grants]
    offered = _texts(document, "response_types_supported")
    told["response_types_supported"] = [kind for kind in offered if kind in USUAL_TYPES or kind in types]
    used = ClientSettings(response_types=tuple(kind for kind in types if kind in offered))  # type: ignore[misc]
    everybody = ClientDraft("everybody", "Everybody", grants=tuple(sorted(grants)), settings=used)
    warnings = [legacy.word for legacy in legacy_of(everybody)]
    if warnings:
        told[METADATA] = list(warnings)
    return _under_fapi2(told, profile) if profile.startswith("fapi2") else told


def _under_fapi2(told: dict[str, JsonValue], profile: Profile) -> JsonObject:
    told["response_types_supported"] = ["code"]
    told["require_pushed_authorization_requests"] = True
    # SP §5.3.2.1 (4): nobody proves a key for a token that is pushed.
    modes = _texts(told, "backchannel_token_delivery_modes_supported")
    told["backchannel_token_delivery_modes_supported"] = [mode for mode in modes if mode != "push"]
    for name in ("token", "revocation", "introspection"):
        methods = _texts(told, f"{name}_endpoint_auth_methods_supported")
        told[f"{name}_endpoint_auth_methods_supported"] = [method for method in methods if method in FAPI_METHODS]
    # FAPI 2.0 SP §5.4.1
    for name in [name for name in told if name.endswith(("signing_alg_values_supported", "signing_alg_supported"))]:
        told[name] = [alg for alg in _texts(told, name) if not alg.startswith(("RS", "HS"))]
    if profile == "fapi2-message-signing":
        told["require_signed_request_object"] = True
        told["response_modes_supported"] = list(JWT_MODES)
    return told


def _texts(document: JsonObject, name: str) -> list[str]:
    value = document.get(name, ())
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else []
