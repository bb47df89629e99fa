"""Who holds the access token that a request to an API of ours carries: the admin API and the SCIM server ask here.

A token counts when it is for this audience, is used by whom it is bound to, and has the scope; what the answer to a
refusal looks like is the API's own business.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kronborg.core.client_certificate import certificates_of
from kronborg.oauth.errors import InvalidRequest, OAuthError
from kronborg.oauth.presentation import InsufficientScope, InvalidToken, Use, challenge, check_holder, presented
from kronborg.tokens.engine import Engine
from kronborg.tokens.model import Access
from kronborg.tokens.reference import resolve


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """Why a request is not let through, and the challenges that go with it (RFC 6750 §3)."""

    status: int
    title: str
    detail: str
    challenges: tuple[tuple[bytes, bytes], ...]


async def holder_of(
    engine: Engine, scope: MutableMapping[str, Any], *, audience: str, needed: str, now: datetime
) -> Access | TokenRefused:
    """The token of a request that may do what needs the scope `needed` at `audience`, or why not."""
    headers = scope["headers"]

    def refused(
        status: int, title: str, refusal: OAuthError | None, *, dpop: bool = False, lacking: str | None = None
    ) -> TokenRefused:
        detail = "this API needs an access token" if refusal is None else refusal.detail
        told = challenge(refusal, dpop=dpop, realm=audience, scope=lacking)
        return TokenRefused(status, title, f"{detail[0].upper()}{detail[1:]}.", tuple(told))

    try:
        shown = presented(headers)
    except OAuthError as refusal:
        return refused(400, "Bad request", refusal)
    if shown is None:
        if any(name == b"authorization" for name, _ in headers):
            return refused(400, "Bad request", InvalidRequest("the Authorization header holds no token"))
        # RFC 6750 §3.1: without credentials the challenge carries no error.
        return refused(401, "Unauthorized", None)
    access = await resolve(engine, shown.token, now=now)
    try:
        if access is None or access.audience != audience:
            raise InvalidToken("the access token is not valid here")
        url = engine.issuer + scope["path"]
        use = Use(scope["method"], url, headers, certificates_of(scope), now)
        await check_holder(engine, access, shown, use)
    except OAuthError as refusal:
        return refused(401, "Unauthorized", refusal, dpop=shown.dpop)
    if needed not in access.scopes:
        lacking = InsufficientScope("the access token lacks a scope")
        return refused(403, "Forbidden", lacking, dpop=shown.dpop, lacking=needed)
    return access
