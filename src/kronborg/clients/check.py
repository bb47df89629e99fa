"""What may be registered: each function lists every problem of a draft, and knows nothing of the database."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from kronborg.clients import profiles
from kronborg.clients.check_grants import grant_problems
from kronborg.clients.check_requests import type_problems
from kronborg.clients.check_settings import setting_problems
from kronborg.clients.check_tokens import api_token_problems, client_token_problems
from kronborg.clients.model import (
    AUTH_METHODS,
    BUILT_IN_NAMES,
    KINDS,
    MAX_TOKEN_LIFETIME,
    TOKEN_FORMATS,
    ApiDraft,
    ClientDraft,
)
from kronborg.clients.redirects import audience_problem, document_problem, origin_problem, redirect_problem
from kronborg.clients.settings import Profile
from kronborg.core.errors import Problem
from kronborg.core.jose import BadKey, PublicKey, public_key
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.jwe import encryption_keys

MAX_SECRETS = 5
MAX_URIS = 20
MAX_SCOPES = 200
MAX_KEYS = 10
MAX_NAME = 120

_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,63}", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_SCOPE = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,99}", re.ASCII)
# Control, format (bidirectional overrides among them), surrogate and private characters have no place in a name.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]")


def api_problems(draft: ApiDraft, *, taken: Mapping[str, str]) -> tuple[Problem, ...]:
    """Every problem of an API; `taken` maps the scopes of all other APIs to their audiences."""
    return tuple(_api_problems(draft, taken))


def _api_problems(draft: ApiDraft, taken: Mapping[str, str]) -> Iterator[Problem]:
    wrong = audience_problem(draft.audience)
    if wrong:
        yield Problem("audience", wrong, "for example https://shop.example/catalogue")
    yield from _name_problems(draft.name)
    if draft.token_format not in TOKEN_FORMATS:
        yield Problem("token_format", "must be jwt or reference")
    if not timedelta(seconds=30) <= draft.token_lifetime <= MAX_TOKEN_LIFETIME:
        yield Problem("token_lifetime", "must be between 30 seconds and 24 hours")
    if len(draft.scopes) > MAX_SCOPES:
        yield Problem("scopes", "at most 200 scopes")
    yield from type_problems(draft.settings.authorization_details_types)
    seen: set[str] = set()
    for index, scope in enumerate(draft.scopes[:MAX_SCOPES]):
        where = f"scopes[{index}]"
        if not _SCOPE.fullmatch(scope.name):
            yield Problem(
                where, "a scope is at most 100 lower-case letters, digits and . _ : / -", "like catalogue:read"
            )
        elif scope.name in BUILT_IN_NAMES:
            yield Problem(where, "this scope belongs to OpenID Connect")
        elif scope.name in taken:
            yield Problem(where, "another API has this scope: names are unique", "put the API's name before a colon")
        elif scope.name in seen:
            yield Problem(where, "this scope stands here twice")
        seen.add(scope.name)
        if len(scope.description) > 200 or _UNSAFE.search(scope.description):
            yield Problem(where, "a description is at most 200 visible characters")
    yield from api_token_problems(draft)


def client_problems(
    draft: ClientDraft, *, scopes: Collection[str], audiences: Collection[str], profile: Profile = "none"
) -> tuple[Problem, ...]:
    """Every problem of a client; `scopes` and `audiences` are all that exist, `profile` is that of the installation."""
    return (
        *_identity_problems(draft),
        *_method_problems(draft),
        *grant_problems(draft, audiences=audiences),
        *_address_problems(draft),
        *setting_problems(draft),
        *client_token_problems(draft),
        *_logout_problems(draft),
        *_rotation_problems(draft),
        *profiles.problems(draft, profile),
        *_known_problems("scopes", draft.scopes, scopes, "there is no such scope", MAX_SCOPES),
        *_known_problems("audiences", draft.audiences, audiences, "there is no API with this audience", MAX_URIS),
    )


def registered_keys(jwks: JsonObject | None) -> tuple[PublicKey, ...]:
    """The keys of a registered JWK set that verify what the client signed. Raises `BadKey`."""
    keys = _members(jwks)
    if not 1 <= len(keys) <= MAX_KEYS:
        raise BadKey("a JWK set has a list of one to ten keys")
    parsed = []
    for key in keys:
        if not isinstance(key, Mapping):
            raise BadKey("each key is an object")
        if key.get("use") != "enc":
            parsed.append(public_key(key))
    return tuple(parsed)


def _members(jwks: JsonObject | None) -> Sequence[JsonValue]:
    keys = None if jwks is None else jwks.get("keys")
    return keys if isinstance(keys, (list, tuple)) else ()


def _identity_problems(draft: ClientDraft) -> Iterator[Problem]:
    # The URL of a metadata document is the id of nothing that somebody vouches for.
    if draft.settings.unverified and document_problem(draft.id) is None:
        pass
    elif not _CLIENT_ID.fullmatch(draft.id):
        yield Problem("id", "a client id is 2 to 64 letters, digits and . _ -, beginning with a letter or digit")
    # RFC 9700 §4.15: user ids are UUIDs, so that no client can be taken for a user.
    elif _UUID.fullmatch(draft.id):
        yield Problem("id", "a client id must not look like a UUID", "user ids do")
    yield from _name_problems(draft.name)


def _name_problems(name: str) -> Iterator[Problem]:
    if not 0 < len(name.strip()) <= MAX_NAME or _UNSAFE.search(name):
        yield Problem("name", "a name is 1 to 120 visible characters")


def _method_problems(draft: ClientDraft) -> Iterator[Problem]:
    if draft.kind not in KINDS:
        yield Problem("kind", "must be public or confidential")
    if draft.auth_method not in AUTH_METHODS:
        yield Problem("auth_method", f"must be one of {', '.join(AUTH_METHODS)}")
    if draft.kind == "public" and draft.auth_method != "none":
        yield Problem("auth_method", "a public client cannot keep a secret", "use none, or make it confidential")
    if draft.kind == "confidential" and draft.auth_method == "none":
        yield Problem("auth_method", "a confidential client must authenticate", "use client_secret_basic")
    if draft.jwks is not None:
        try:
            if not registered_keys(draft.jwks) and draft.auth_method == "private_key_jwt":
                raise BadKey("private_key_jwt needs a key for signatures")
            if any(isinstance(key, Mapping) and key.get("use") == "enc" for key in _members(draft.jwks)):
                encryption_keys(draft.jwks)
        except BadKey as wrong:
            yield Problem("jwks", str(wrong))


def _address_problems(draft: ClientDraft) -> Iterator[Problem]:
    public = draft.kind == "public"
    for where, uris in (
        ("redirect_uris", draft.redirect_uris),
        ("post_logout_redirect_uris", draft.post_logout_redirect_uris),
        ("web_origins", draft.web_origins),
    ):
        if len(uris) > MAX_URIS:
            yield Problem(where, "at most 20")
        for index, uri in enumerate(uris[:MAX_URIS]):
            wrong = origin_problem(uri) if where == "web_origins" else redirect_problem(uri, public=public)
            if wrong or uri in uris[:index]:
                yield Problem(f"{where}[{index}]", wrong or "stands here twice")


def _logout_problems(draft: ClientDraft) -> Iterator[Problem]:
    # Front-Channel Logout §2: domain, port and scheme of a registered redirect URI, so that nobody else is framed.
    front = draft.settings.frontchannel_logout_uri
    if front is not None and _origin(front) not in {_origin(uri) for uri in draft.redirect_uris}:
        yield Problem(
            "settings.frontchannel_logout_uri",
            "has another scheme, host or port than every redirect URI",
            "put it beside a registered redirect URI",
        )


def _origin(uri: str) -> tuple[str, str]:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "", uri
    return parts.scheme, parts.netloc


def _rotation_problems(draft: ClientDraft) -> Iterator[Problem]:
    settings = draft.settings
    bound = settings.dpop_bound_access_tokens or settings.tls_client_certificate_bound_access_tokens
    # RFC 9700 §2.2.2: refresh tokens of public clients are sender-constrained or rotated.
    if draft.kind == "public" and not settings.refresh_token_rotation and not bound:
        yield Problem(
            "settings.refresh_token_rotation",
            "a public client rotates its refresh tokens, or binds them to a key (RFC 9700 section 2.2.2)",
            "leave it on, or say dpop_bound_access_tokens: true",
        )


def _known_problems(
    where: str, names: tuple[str, ...], known: Collection[str], wrong: str, most: int
) -> Iterator[Problem]:
    if len(names) > most:
        yield Problem(where, f"at most {most}")
    for index, name in enumerate(names[:most]):
        if name not in known:
            yield Problem(f"{where}[{index}]", wrong)
        elif name in names[:index]:
            yield Problem(f"{where}[{index}]", "stands here twice")
