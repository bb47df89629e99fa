"""What a client may be set to for its authorization requests, and what an API may say of authorization details."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kronborg.clients.model import ClientDraft
from kronborg.clients.redirects import url_problem
from kronborg.clients.settings import ClientSettings
from kronborg.core.errors import Problem

MAX_TYPES = 50
MAX_ACR = 10
MAX_REQUEST_URIS = 20
LIFETIME = range(5, 601)
MAX_AGE = 1_000_000_000

_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#-]{0,199}", re.ASCII)
_ACR = re.compile(r"[!#-\[\]-~]{1,200}", re.ASCII)


def request_problems(draft: ClientDraft) -> Iterator[Problem]:
    """Every problem of these settings, each at `settings.<name>`."""
    settings = draft.settings
    yield from _flow_problems(draft)
    yield from _object_problems(draft)
    yield from type_problems(settings.authorization_details_types)
    yield from _wish_problems(settings)


def type_problems(types: tuple[str, ...]) -> Iterator[Problem]:
    """Problems of the `authorization_details_types` of a client or of an API (RFC 9396 §2.1)."""
    where = "settings.authorization_details_types"
    if len(types) > MAX_TYPES:
        yield Problem(where, "at most 50")
    for index, name in enumerate(types[:MAX_TYPES]):
        if not _TYPE.fullmatch(name):
            yield Problem(f"{where}[{index}]", "is 1 to 200 letters, digits and . _ : / # -", "like payment_initiation")
        elif name in types[:index]:
            yield Problem(f"{where}[{index}]", "stands here twice")


def _flow_problems(draft: ClientDraft) -> Iterator[Problem]:
    types, modes = draft.settings.response_types, draft.settings.response_modes
    where = "settings.response_types"
    if not types:
        yield Problem(where, "is empty", "leave it out for code")
    for index, kind in enumerate(types):
        words = set(kind.split())
        if kind in types[:index]:
            yield Problem(f"{where}[{index}]", "stands here twice")
        # OIDC Registration §2: which response types go with which grants.
        if types != ("code",) and "code" in words and "authorization_code" not in draft.grants:
            yield Problem(f"{where}[{index}]", "needs a grant", "add authorization_code to its grants")
        if words & {"token", "id_token"} and "implicit" not in draft.grants:
            yield Problem(f"{where}[{index}]", "hands out tokens in the browser", "add the grant implicit, or use code")
    for index, mode in enumerate(modes):
        if mode in modes[:index]:
            yield Problem(f"settings.response_modes[{index}]", "stands here twice")
    lifetime = draft.settings.pushed_request_lifetime
    if lifetime is not None and lifetime not in LIFETIME:
        yield Problem("settings.pushed_request_lifetime", "is 5 to 600 seconds")


def _object_problems(draft: ClientDraft) -> Iterator[Problem]:
    settings = draft.settings
    has_keys = draft.jwks is not None or settings.jwks_uri is not None
    needing = {
        "require_signed_request_object": settings.require_signed_request_object,
        "request_object_signing_alg": settings.request_object_signing_alg is not None,
        "request_uris": bool(settings.request_uris),
        "authorization_encrypted_response_alg": settings.authorization_encrypted_response_alg is not None,
    }
    for name, wanted in needing.items():
        if wanted and not has_keys:
            yield Problem(f"settings.{name}", "needs public keys of the client", "give jwks, or settings.jwks_uri")
    if settings.authorization_encrypted_response_enc and not settings.authorization_encrypted_response_alg:
        where = "settings.authorization_encrypted_response_enc"
        yield Problem(where, "says nothing alone", "give authorization_encrypted_response_alg too")
    if len(settings.request_uris) > MAX_REQUEST_URIS:
        yield Problem("settings.request_uris", "at most 20")
    for index, uri in enumerate(settings.request_uris[:MAX_REQUEST_URIS]):
        wrong = url_problem(uri.partition("#")[0])
        if wrong or uri in settings.request_uris[:index]:
            yield Problem(f"settings.request_uris[{index}]", wrong or "stands here twice")


def _wish_problems(settings: ClientSettings) -> Iterator[Problem]:
    if settings.default_max_age is not None and not 0 <= settings.default_max_age < MAX_AGE:
        yield Problem("settings.default_max_age", "is a number of seconds, 0 or more")
    if len(settings.default_acr_values) > MAX_ACR:
        yield Problem("settings.default_acr_values", "at most 10")
    for index, value in enumerate(settings.default_acr_values[:MAX_ACR]):
        if not _ACR.fullmatch(value):
            yield Problem(f"settings.default_acr_values[{index}]", "is 1 to 200 visible ASCII characters")
