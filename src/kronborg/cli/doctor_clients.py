"""The doctor at the files: what is registered, how old the keys are, what the gateway leaves open. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from kronborg.cli.doctor_model import Finding
from kronborg.clients.legacy import legacy_of
from kronborg.clients.model import SECRET_METHODS, Api, Client
from kronborg.clients.profiles import contradiction, hardened, problems
from kronborg.clients.settings import Profile
from kronborg.gateway.model import Route
from kronborg.tokens.model import KEY_AGE, StoredKey

OLD_SECRET = timedelta(days=365)
UNUSED = timedelta(days=90)
WIDE = 20
"""Scopes of one client from which on somebody should ask whether it needs them all."""
RSA_2048 = 342
"""Characters of a modulus of 2048 bits in base64url."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def of_client(client: Client, profile: Profile, *, now: datetime, developing: bool = False) -> Iterator[Finding]:
    """What stands against one client; `developing` says that the server itself is on the loopback."""
    subject = f"client {client.id}"
    broken = contradiction(client, profile)
    if broken is not None:
        first = next(problems(client, profile), None)
        mend = first.mend if first is not None and first.mend else "change the client, or the profile"
        yield Finding("error", subject, "contradicts its profile and is refused", broken, mend)
    if client.disabled:
        return
    for legacy in legacy_of(client):
        yield Finding("warning", subject, legacy.detail, legacy.clause, legacy.mend)
    yield from _codes(client, profile, subject)
    yield from _addresses(client, subject, developing)
    yield from _secrets(client, subject, now)
    yield from _keys(client, subject)
    if client.settings.unverified:
        yield Finding(
            "note", subject, "registered itself; nobody looked at it", "RFC 7591 §5", "verify it or remove it"
        )
    if len(client.scopes) > WIDE:
        detail = f"may ask for {len(client.scopes)} scopes"
        yield Finding("note", subject, detail, "RFC 9700 §2.3", "leave it what it needs")


def _codes(client: Client, profile: Profile, subject: str) -> Iterator[Finding]:
    if "authorization_code" not in client.grants:
        return
    settings = hardened(client, profile).settings
    if client.kind == "confidential" and not settings.require_pkce:
        detail = "may leave out PKCE, though it is confidential"
        yield Finding("note", subject, detail, "RFC 9700 §2.1.1", "say settings.require_pkce, or profile: oauth21")
    bound = settings.dpop_bound_access_tokens or settings.tls_client_certificate_bound_access_tokens
    if client.kind == "public" and "refresh_token" in client.grants and not bound:
        detail = "refresh tokens of a public client are rotated, but bound to no key"
        yield Finding("note", subject, detail, "RFC 9700 §2.2.2", "say settings.dpop_bound_access_tokens where it can")


def _addresses(client: Client, subject: str, developing: bool) -> Iterator[Finding]:
    for uri in (*client.redirect_uris, *client.post_logout_redirect_uris):
        parts = urlsplit(uri)
        host = parts.hostname or ""
        if parts.scheme == "http" and host not in LOOPBACK:
            yield Finding("error", subject, "a redirect URI is plain http", "RFC 9700 §2.6", "use https")
        if "*" in uri:
            yield Finding("error", subject, "a redirect URI holds a wildcard", "RFC 9700 §2.1", "write each in full")
        if host in LOOPBACK and client.kind == "confidential" and not developing:
            detail = "a redirect URI leads to the loopback: is this a client of a development machine?"
            yield Finding("note", subject, detail, "RFC 8252 §8.3", "remove it in production")


def _secrets(client: Client, subject: str, now: datetime) -> Iterator[Finding]:
    if client.auth_method not in SECRET_METHODS:
        return
    active = [secret for secret in client.secrets if secret.is_active(now)]
    if not active and client.grants:
        mend = f"kronborg client secret add {client.id}"
        yield Finding("warning", subject, "has no secret that works", "RFC 6749 §2.3.1", mend)
    for secret in active:
        if now - secret.created_at > OLD_SECRET:
            detail = f"a secret is {(now - secret.created_at).days} days old"
            mend = "add a new one, move the client over, remove the old one"
            yield Finding("warning", subject, detail, "RFC 6819 §5.1.4.1.5", mend)
        if secret.last_used_at is None and now - secret.created_at > UNUSED:
            mend = f"kronborg client secret remove {client.id} {secret.id}"
            yield Finding("warning", subject, "a secret was never used in three months", "RFC 6819 §5.1.4.1", mend)
        elif secret.last_used_at is not None and now - secret.last_used_at > UNUSED:
            mend = "remove it, or the client with it"
            yield Finding("note", subject, "a secret was not used for three months", "RFC 6819 §5.1.4.1", mend)


def _keys(client: Client, subject: str) -> Iterator[Finding]:
    held = client.jwks.get("keys") if client.jwks else None
    for key in held if isinstance(held, (list, tuple)) else ():
        if isinstance(key, Mapping) and key.get("kty") == "RSA" and len(str(key.get("n", ""))) < RSA_2048:
            yield Finding("error", subject, "an RSA key has less than 2048 bits", "RFC 7518 §3.3", "register another")


def of_keys(stored: Iterable[StoredKey], *, now: datetime) -> Iterator[Finding]:
    """What stands against our own signing keys."""
    held = list(stored)
    for line in dict.fromkeys(key.line for key in held):
        keys = [key for key in held if key.line == line]
        active = next((key for key in keys if key.state == "active"), None)
        if active is None:
            yield Finding("error", "server", f"no active {line} key", "RFC 7517 §5", "kronborg key rotate")
            continue
        age = now - (active.activated_at or active.created_at)
        if age > KEY_AGE * 2:
            detail = f"the active {line} key is {age.days} days old: nothing rotates it"
            yield Finding("warning", "server", detail, "OIDC Core §10.1.1", "see that the worker runs")
        if not any(key.state == "next" for key in keys):
            detail = f"no {line} key is published in advance"
            yield Finding("warning", "server", detail, "OIDC Core §10.1.1", "see that the worker runs")


def of_api(api: Api, profile: Profile) -> Iterator[Finding]:
    """What stands against an API under the profile of the installation."""
    if profile.startswith("fapi2") and api.settings.signing_alg == "RS256":
        detail = "its tokens are signed with RS256"
        yield Finding("error", f"api {api.audience}", detail, "FAPI 2.0 SP §5.4.1 (1)", "set signing_alg to ES256")
    if profile.startswith("fapi2") and not api.settings.require_sender_constraint:
        detail = "takes tokens that are bound to nothing from clients outside the profile"
        yield Finding(
            "note", f"api {api.audience}", detail, "FAPI 2.0 SP §5.3.4 (5)", "say settings.require_sender_constraint"
        )


def of_route(route: Route) -> Iterator[Finding]:
    """What a route leaves open."""
    subject = f"route {route.name}"
    if route.public and not set(route.methods or ("POST",)) <= SAFE_METHODS:
        detail = "anybody may change something: it is public for more than reading"
        yield Finding("warning", subject, detail, "RFC 6750 §2", "name an api, or limit methods to GET")
    if route.audience is not None and not route.scopes and not route.roles:
        detail = "any token for its API opens it: it asks for no scope and no role"
        yield Finding("note", subject, detail, "RFC 9700 §2.3", "name the scopes it needs")
