"""The two halves of a sign-in at an OpenID Connect or OAuth 2.0 provider: sending away, understanding what returns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from kronborg.core.base64url import b64
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.fetch import Fetcher
from kronborg.core.ids import random_token
from kronborg.core.json import JsonObject, NotJson, read_object
from kronborg.federation.attempts import send_away
from kronborg.federation.claims import NoSubject, subject_of, told_by
from kronborg.federation.id_tokens import check_id_token
from kronborg.federation.model import EMAIL, Attempt, Told
from kronborg.federation.presets import Known
from kronborg.federation.upstream import (
    Endpoints,
    UpstreamRefused,
    authorization_url,
    endpoints_of,
    primary_email,
    redeem,
    userinfo,
)

MAX_CODE = 4096
MAX_HINT = 254
PROMPTS = frozenset({"login", "select_account", "consent"})


@dataclass(frozen=True, slots=True)
class Upstream:
    """What every step works with."""

    database: Database
    vault: Vault
    fetcher: Fetcher
    issuer: str
    """Ours."""

    def callback(self, key: str) -> str:
        """Where a provider sends people back to: an address for each, so that answers cannot be mixed up."""
        return f"{self.issuer}/federation/{key}/callback"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a sign-in page passes on to the provider."""

    login_hint: str = ""
    prompt: str = ""
    ui_locales: str = ""


async def begin(upstream: Upstream, known: Known, attempt: Attempt, wish: Wish, *, browser: str, now: datetime) -> str:
    """The address at the provider to send the browser to. Raises `UpstreamRefused`."""
    settings, preset = known.settings, known.preset
    endpoints = await endpoints_of(upstream.fetcher, known, now=now)
    # RFC 9700 §2.1.1: PKCE binds the code to this attempt, the nonce binds the ID token to it (OIDC Core §15.5.2).
    attempt = replace(
        attempt,
        issuer=endpoints.issuer,
        verifier=random_token() if preset.pkce else "",
        nonce=random_token() if preset.nonce and known.provider.kind == "oidc" else "",
    )
    state = await send_away(upstream.database, upstream.vault, attempt, browser=browser, now=now)
    is_oidc = known.provider.kind == "oidc"
    prompt = "login" if attempt.again else wish.prompt if wish.prompt in PROMPTS else ""
    parameters = {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": upstream.callback(known.key),
        "scope": " ".join(settings.scopes),
        "state": state,
        "nonce": attempt.nonce,
        "code_challenge": challenge_of(attempt.verifier),
        "code_challenge_method": "S256" if attempt.verifier else "",
        "response_mode": "form_post" if preset.post_to_callback else "",
        "login_hint": wish.login_hint[:MAX_HINT] if is_oidc else "",
        "prompt": prompt if is_oidc else "",
        # OIDC Core §3.1.2.1: asks for auth_time, by which it can be seen that the person was really asked.
        "max_age": "0" if attempt.again and is_oidc else "",
        "ui_locales": wish.ui_locales[:100] if is_oidc else "",
    }
    return authorization_url(endpoints, known, parameters)


async def understand(
    upstream: Upstream, known: Known, attempt: Attempt, answer: Mapping[str, str], *, asked_at: datetime, now: datetime
) -> Told:
    """What the provider says of the person whom it sent back with `answer`. Raises `UpstreamRefused`."""
    endpoints = await endpoints_of(upstream.fetcher, known, now=now)
    _check_answer(known, endpoints, attempt, answer)
    tokens = await redeem(
        upstream.fetcher,
        upstream.vault,
        known,
        endpoints,
        attempt,
        code=answer["code"],
        redirect_uri=upstream.callback(known.key),
        now=now,
    )
    try:
        if known.provider.kind == "oauth2":
            return told_by(known, {}, await _of_api(upstream.fetcher, known, endpoints, tokens.access_token))
        claims = await check_id_token(
            upstream.fetcher,
            known,
            endpoints,
            attempt,
            tokens.id_token,
            access_token=tokens.access_token,
            asked_at=asked_at,
            now=now,
        )
        extra = await _more(upstream.fetcher, known, endpoints, claims, tokens.access_token)
        return told_by(known, claims, {**extra, **_named_beside(known, answer)})
    except NoSubject:
        raise UpstreamRefused("the provider does not say who this is") from None


def _check_answer(known: Known, endpoints: Endpoints, attempt: Attempt, answer: Mapping[str, str]) -> None:
    # RFC 9207 §2.4: what is told must be right, and what was announced must be told. A placeholder cannot be compared.
    told = answer.get("iss")
    if told is None and endpoints.tells_issuer:
        raise UpstreamRefused("the answer lacks iss, which the provider announces")
    if told is not None and "{" not in endpoints.issuer and told not in (endpoints.issuer, attempt.issuer):
        raise UpstreamRefused("the answer is another issuer's")
    if endpoints.issuer != attempt.issuer:
        raise UpstreamRefused("the provider was changed meanwhile")
    if "error" in answer:
        error = answer["error"]
        raise UpstreamRefused(f"the provider refused: {error if error.isidentifier() and len(error) < 60 else 'error'}")
    if not 0 < len(answer.get("code", "")) <= MAX_CODE:
        raise UpstreamRefused("the answer holds no code")


async def _of_api(fetcher: Fetcher, known: Known, endpoints: Endpoints, access_token: str) -> JsonObject:
    """Who somebody is by an API, for providers that sign nothing."""
    if not endpoints.userinfo:
        raise UpstreamRefused("the provider has no API that tells who somebody is")
    said = dict(await userinfo(fetcher, known, endpoints, access_token))
    url = known.preset.emails_endpoint
    if url and known.settings.userinfo_endpoint != known.preset.userinfo_endpoint:
        url = f"{known.settings.userinfo_endpoint}/emails"  # an installation of one's own
    if url:
        # What the profile says of an address is what somebody wrote there.
        said[EMAIL], said[known.preset.verified_claim] = await primary_email(fetcher, known, access_token, url)
    return said


async def _more(
    fetcher: Fetcher, known: Known, endpoints: Endpoints, claims: JsonObject, access_token: str
) -> JsonObject:
    """What userinfo adds, when the ID token does not say everything."""
    settings = known.settings
    wanted = {settings.email_claim, settings.name_claim, settings.username_claim, *settings.attributes.values()}
    wanted |= {settings.groups_claim} if settings.groups else set()
    if not endpoints.userinfo or wanted <= claims.keys():
        return {}
    said = await userinfo(fetcher, known, endpoints, access_token)
    # OIDC Core §5.3.2: of the same person, or it must not be used.
    if said.get("sub") != claims.get("sub") or subject_of(claims, settings) != subject_of({**said, **claims}, settings):
        raise UpstreamRefused("userinfo speaks of somebody else")
    return said


def _named_beside(known: Known, answer: Mapping[str, str]) -> JsonObject:
    """The name that one provider tells beside the code, the first time only; unsigned, so nothing but a name."""
    if not known.preset.post_to_callback or "user" not in answer:
        return {}
    try:
        name = read_object(answer["user"].encode()).get("name")
    except NotJson:
        return {}
    if not isinstance(name, Mapping):
        return {}
    parts = [part for part in (name.get("firstName"), name.get("lastName")) if isinstance(part, str)]
    return {known.settings.name_claim: " ".join(parts)[:100]} if parts else {}


def challenge_of(verifier: str) -> str:
    """RFC 7636 §4.2, S256; empty without a verifier."""
    if not verifier:
        return ""
    return b64(hashlib.sha256(verifier.encode()).digest())
