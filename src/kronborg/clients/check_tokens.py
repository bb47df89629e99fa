"""What a client or an API may wish of its tokens: algorithms, encryption, claims, lifetimes. `check.py` calls these."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

from kronborg.accounts.model import declared_problems, name_problems
from kronborg.clients.claim_sources import mapping_problems
from kronborg.clients.model import ApiDraft, ClientDraft
from kronborg.clients.sectors import sector_problem
from kronborg.core.errors import Problem
from kronborg.core.jose import BadKey
from kronborg.core.json import JsonObject
from kronborg.core.jwe import encryption_keys

SHORTEST, LONGEST = 60, 366 * 24 * 3600
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
ENCRYPTED = ("id_token", "userinfo", "authorization", "introspection")


def api_token_problems(draft: ApiDraft) -> Iterator[Problem]:
    """Every problem of how an API wishes its tokens made."""
    settings = draft.settings
    yield from _role_problems(settings.roles)
    if settings.role_prefix is not None and not _PREFIX.fullmatch(settings.role_prefix):
        yield Problem("settings.role_prefix", "is 1 to 64 letters, digits and . _ -", "the short name of the API")
    if settings.roles and settings.role_prefix is None:
        yield Problem("settings.role_prefix", "is missing: roles are given as prefix/role", "write a short name")
    for name, wrong, mend in mapping_problems(settings.claims):
        yield Problem(f"settings.claims.{name}" if name else "settings.claims", wrong, mend)
    if settings.encryption_jwks is None:
        for name in ("encryption_alg", "encryption_enc"):
            if getattr(settings, name) is not None:
                yield Problem(f"settings.{name}", "says how to encrypt, and there is no key", "give encryption_jwks")
        return
    if draft.token_format != "jwt":  # noqa: S105  # a format
        yield Problem("settings.encryption_jwks", "a reference token says nothing to encrypt", "use token_format jwt")
    yield from _key_problem("settings.encryption_jwks", settings.encryption_jwks, settings.encryption_alg)


def client_token_problems(draft: ClientDraft) -> Iterator[Problem]:
    """Every problem of how a client wishes what it is sent made."""
    settings = draft.settings
    yield from _role_problems(settings.roles)
    if settings.service_account is not None:
        if name_problems(username=settings.service_account):
            yield Problem("settings.service_account", "is not a possible username")
        if "client_credentials" not in draft.grants:
            mend = "add client_credentials to grants, or leave it out"
            yield Problem("settings.service_account", "is of no use without the client credentials grant", mend)
    for what in ENCRYPTED:
        alg, enc = f"{what}_encrypted_response_alg", f"{what}_encrypted_response_enc"
        wrap = getattr(settings, alg)
        if wrap is None:
            if getattr(settings, enc) is not None:
                # OIDC Registration §2: enc requires alg.
                yield Problem(f"settings.{enc}", "says how to encrypt, and nothing says to whom", f"give {alg}")
        elif draft.jwks is not None:
            yield from _key_problem(f"settings.{alg}", draft.jwks, wrap)
        elif settings.jwks_uri is None:
            yield Problem(f"settings.{alg}", "the client has no keys to encrypt to", "give jwks, or settings.jwks_uri")
    wrong = sector_problem(draft)
    if wrong:
        yield Problem("settings.subject_type", wrong, "give settings.sector_identifier_uri (OIDC Core section 8.1)")
    for name in ("refresh_token_lifetime", "refresh_token_idle"):
        seconds = getattr(settings, name)
        if seconds is not None and not SHORTEST <= seconds <= LONGEST:
            yield Problem(f"settings.{name}", "must be between 60 seconds and 366 days")


def _role_problems(roles: Mapping[str, str]) -> Iterator[Problem]:
    for problem in declared_problems(roles):
        yield replace(problem, where="settings.roles")


def _key_problem(where: str, jwks: object, alg: str | None) -> Iterator[Problem]:
    try:
        keys = encryption_keys(cast("JsonObject", jwks))
    except BadKey as wrong:
        yield Problem(where, str(wrong))
        return
    if alg is not None and all(alg not in key.algorithms for key in keys):
        yield Problem(where, "none of the keys fits the algorithm", "RSA for RSA-OAEP-256, EC for ECDH-ES")
