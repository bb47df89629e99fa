"""Make, change and remove identity providers. Every verb works in the caller's transaction."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from kronborg.accounts.parting import Parting, part
from kronborg.core.crypto import Vault
from kronborg.core.db import Session, from_micros
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.events import record
from kronborg.core.json import JsonObject
from kronborg.federation import providers_store as store
from kronborg.federation.client_secrets import check_secret, seal_secret
from kronborg.federation.linking import managed_by
from kronborg.federation.model import ALGORITHMS, AUTH_METHODS, KINDS, Kind, Provider, ProviderDraft, ProviderSettings
from kronborg.federation.presets import PRESETS, known, preset_of
from kronborg.federation.saml import INSTALL, MISSING, is_installed
from kronborg.federation.upstream import is_safe

MAX_PROVIDERS = 200
MAX_LIST = 200
MAX_TEXT = 2000
MAX_CERTIFICATE = 16_384
RESERVED = frozenset({"link", "saml"})
"""Names below `/federation` that are no providers."""
_KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)
_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", re.ASCII)
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}", re.ASCII)
_ADDRESSES = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "sso_url")
_WORDS = (
    "client_id",
    "team_id",
    "key_id",
    "subject_claim",
    "username_claim",
    "name_claim",
    "email_claim",
    "groups_claim",
)


def provider_problems(draft: ProviderDraft) -> tuple[Problem, ...]:
    """Every problem of a draft."""
    return (*_identity_problems(draft), *_protocol_problems(draft), *_people_problems(draft.settings))


async def save_provider(
    session: Session, vault: Vault, draft: ProviderDraft, *, secret: str | None = None, actor: str, now: datetime
) -> Provider:
    """Make the provider `draft.key` as drafted; its secret stays when none is given. Raises `Invalid`."""
    before = await store.find_provider(session, draft.key)
    problems = provider_problems(draft)
    if before is not None and before.kind != draft.kind:
        problems = (*problems, Problem("kind", "cannot be changed", "make another provider"))
    if before is None and len(await store.list_providers(session)) >= MAX_PROVIDERS:
        problems = (*problems, Problem("key", f"there are {MAX_PROVIDERS} providers already"))
    if problems:
        raise Invalid(*problems)
    wrong = None if secret is None else secret_problem(draft, secret)
    if wrong is not None:
        raise Invalid(wrong)
    sealed = seal_secret(vault, draft.key, secret) if secret is not None else before.secret if before else None
    made = now if before is None else before.created_at
    provider = Provider(draft.key, draft.kind, draft.name.strip(), draft.settings, sealed, made, now)
    if before is not None and replace(provider, updated_at=before.updated_at) == before:
        return before
    await store.write_provider(session, provider)
    name = "provider.created" if before is None else "provider.changed"
    detail = {} if before is None else {"changed": _changes(before, provider, secret is not None)}
    await record(session, name, actor=actor, subject=provider.key, now=now, detail=detail)
    return provider


def callback_of(issuer: str, kind: Kind, key: str) -> str:
    """What is registered with a provider as the address of this server."""
    return f"{issuer}/federation/{key}/{'acs' if kind == 'saml' else 'callback'}"


async def give_secret(session: Session, vault: Vault, key: str, secret: str, *, actor: str, now: datetime) -> Provider:
    """Another secret for a provider. Raises `NotFound`, `Invalid`."""
    before = await store.find_provider(session, key)
    if before is None:
        raise NotFound("there is no such identity provider")
    draft = ProviderDraft(before.key, before.kind, before.name, before.settings)
    return await save_provider(session, vault, draft, secret=secret, actor=actor, now=now)


def secret_problem(draft: ProviderDraft, secret: str) -> Problem | None:
    """What is wrong with a secret for this provider, if anything."""
    preset = preset_of(draft)
    method = draft.settings.auth_method or preset.auth_method
    try:
        check_secret(secret, key_needed=preset.secret == "es256" or method == "private_key_jwt")  # noqa: S105
    except Invalid as invalid:
        return invalid.problems[0]
    return None


async def switch_provider(session: Session, key: str, *, enabled: bool, actor: str, now: datetime) -> Provider:
    """Let people sign in with it, or not any more. Raises `NotFound`."""
    before = await store.find_provider(session, key)
    if before is None:
        raise NotFound("there is no such identity provider")
    if before.settings.enabled == enabled:
        return before
    provider = replace(before, settings=replace(before.settings, enabled=enabled), updated_at=now)
    await store.write_provider(session, provider)
    detail: JsonObject = {"changed": {"enabled": [before.settings.enabled, enabled]}}
    await record(session, "provider.changed", actor=actor, subject=key, now=now, detail=detail)
    return provider


async def remove_provider(
    session: Session, key: str, *, accounts: Parting = "release", actor: str, now: datetime
) -> None:
    """Remove it and what is linked to it, and let the accounts that came from it go. Raises `NotFound`."""
    if not await store.delete_provider_row(session, key):
        raise NotFound("there is no such identity provider")
    count = await part(session, managed_by(key), accounts, actor=actor, now=now)
    detail: JsonObject = {"accounts": accounts, "count": count}
    await record(session, "provider.removed", actor=actor, subject=key, now=now, detail=detail)


def _changes(before: Provider, after: Provider, secret: bool) -> JsonObject:
    """What differs, as the audit log shows it: never a secret."""
    old = {"name": before.name, **store.settings_json(before.settings)}
    new = {"name": after.name, **store.settings_json(after.settings)}
    changed = {
        field: [old.get(field), new.get(field)]
        for field in sorted({*old, *new} - {"certificates"})
        if old.get(field) != new.get(field)
    }
    if before.settings.certificates != after.settings.certificates:
        changed["certificates"] = [len(before.settings.certificates), len(after.settings.certificates)]
    return {**changed, "secret": ["set", "set anew"]} if secret else changed


def _identity_problems(draft: ProviderDraft) -> Iterator[Problem]:
    if not _KEY.fullmatch(draft.key) or draft.key in RESERVED:
        yield Problem("key", "a key is at most 40 lower-case letters, digits and dashes", "for example: okta")
    if draft.kind not in KINDS:
        yield Problem("kind", f"must be one of {', '.join(KINDS)}")
    name = draft.name.strip()
    if not 0 < len(name) <= 60 or not name.isprintable():
        yield Problem("name", "a name has 1 to 60 printable characters", "it stands on the sign-in page")
    preset = draft.settings.preset
    if preset and preset not in PRESETS:
        yield Problem("preset", "there is no such preset", f"one of {', '.join(PRESETS)}")
    elif preset and PRESETS[preset].kind != draft.kind:
        yield Problem("preset", "is of another kind", f"use kind {PRESETS[preset].kind}")


def _protocol_problems(draft: ProviderDraft) -> Iterator[Problem]:
    settings = draft.settings
    if draft.kind not in KINDS or (settings.preset and settings.preset not in PRESETS):
        return
    filled = known(_as_if(draft)).settings
    for name in _WORDS:
        value = getattr(settings, name)
        if len(value) > 500 or not value.isprintable():
            yield Problem(name, "has at most 500 printable characters")
    for name in _ADDRESSES:
        value = getattr(settings, name)
        if value and not is_safe(value):
            yield Problem(name, "is not an https address", "http is for this very machine alone")
    if draft.kind == "saml":
        yield from _saml_problems(settings)
        return
    if not settings.client_id:
        yield Problem("client_id", "is missing", "the id that the provider gave to this server")
    if draft.kind == "oidc" and (not is_safe(filled.issuer) or "?" in filled.issuer or "#" in filled.issuer):
        yield Problem("issuer", "is not an https address", "write it exactly as its ID tokens carry it in iss")
    if draft.kind == "oauth2":
        for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint"):
            if not getattr(filled, name):
                yield Problem(name, "is missing", "OAuth 2.0 alone has no discovery")
    if settings.auth_method is not None and settings.auth_method not in AUTH_METHODS:
        yield Problem("auth_method", f"must be one of {', '.join(AUTH_METHODS)}")
    if len(settings.scopes) > 50 or not all(_SCOPE.fullmatch(scope) for scope in settings.scopes):
        yield Problem("scopes", "at most 50 scopes without spaces")
    if not set(settings.algorithms) <= set(ALGORITHMS):
        yield Problem("algorithms", f"are some of {', '.join(ALGORITHMS)}", "others are not safe here")
    if settings.tenant and not re.fullmatch(r"[A-Za-z0-9.-]{1,100}", settings.tenant, re.ASCII):
        yield Problem("tenant", "is the id of a tenant, or organizations")
    if filled.auth_method != "none" and PRESETS.get(settings.preset, preset_of(draft)).secret == "es256":  # noqa: S105
        for name in ("team_id", "key_id"):
            if not getattr(settings, name):
                yield Problem(name, "is missing", "it stands beside the private key in the developer account")


def _saml_problems(settings: ProviderSettings) -> Iterator[Problem]:
    if not is_installed():
        yield Problem("kind", MISSING, INSTALL)
    if not settings.issuer or len(settings.issuer) > MAX_TEXT or not settings.issuer.isprintable():
        yield Problem("issuer", "is missing", "the entity id of the identity provider")
    if not settings.sso_url:
        yield Problem("sso_url", "is missing", "the address of its single sign-on service")
    if not 0 < len(settings.certificates) <= 5:
        yield Problem("certificates", "needs one to five certificates", "PEM, from the provider's metadata")
    for index, pem in enumerate(settings.certificates):
        if len(pem) > MAX_CERTIFICATE or not _is_certificate(pem):
            yield Problem(f"certificates[{index}]", "is no certificate in PEM")


def _is_certificate(pem: str) -> bool:
    from cryptography.x509 import load_pem_x509_certificate

    try:
        load_pem_x509_certificate(pem.encode())
    except ValueError:
        return False
    return True


def _people_problems(settings: ProviderSettings) -> Iterator[Problem]:
    for name in ("home_domains", "allowed_domains", "trusted_domains"):
        domains: Sequence[str] = getattr(settings, name)
        if len(domains) > MAX_LIST or not all(_DOMAIN.fullmatch(domain.lower()) for domain in domains):
            yield Problem(name, f"holds at most {MAX_LIST} domains", "write them like corp.example")
    if settings.trusted_domains and not settings.trust_email:
        yield Problem("trusted_domains", "means nothing without trust_email", "set trust_email, or drop the domains")
    if settings.allowed_domains and not settings.trust_email:
        yield Problem("allowed_domains", "lets nobody in without trust_email", "set trust_email, or drop the domains")
    if settings.multi_factor_acr and not settings.trust_amr:
        yield Problem("multi_factor_acr", "means nothing without trust_amr", "set trust_amr, or drop the values")
    for name in ("attributes", "groups"):
        for key, value in getattr(settings, name).items():
            if not (0 < len(key) <= 300 and 0 < len(value) <= 300 and key.isprintable() and value.isprintable()):
                yield Problem(name, "holds names and values of 1 to 300 printable characters")
                break
        if len(getattr(settings, name)) > MAX_LIST:
            yield Problem(name, f"holds at most {MAX_LIST} entries")
    if len(settings.multi_factor_acr) > 20 or any(not 0 < len(acr) <= 300 for acr in settings.multi_factor_acr):
        yield Problem("multi_factor_acr", "holds at most 20 values")


def _as_if(draft: ProviderDraft) -> Provider:
    long_ago = from_micros(0)
    return Provider(draft.key, draft.kind, draft.name, draft.settings, None, long_ago, long_ago)
