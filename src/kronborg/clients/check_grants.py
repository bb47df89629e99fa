"""Which grants may be registered together, by which kind of client, and with which settings of theirs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from kronborg.clients.model import GRANTS, ClientDraft
from kronborg.clients.redirects import redirect_problem
from kronborg.core.errors import Problem

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105  # the name of a grant
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CIBA = "urn:openid:params:grant-type:ciba"

CONFIDENTIAL = {
    "client_credentials": "client_credentials is for confidential clients (RFC 6749 section 4.4)",
    JWT_BEARER: "jwt-bearer is for confidential clients: an assertion alone does not say who brings it",
    CIBA: "CIBA is for confidential clients (CIBA section 4)",
    TOKEN_EXCHANGE: "token-exchange is for confidential clients (RFC 8693 section 2.1)",
}
OF_PEOPLE = ("authorization_code", DEVICE, CIBA, "password")
"""The grants that begin with a person and may go on by a refresh token."""
MAX_NAMES = 50

_ISSUER_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


def grant_problems(draft: ClientDraft, *, audiences: Collection[str]) -> Iterator[Problem]:
    """Every problem of the grants of a client; `audiences` are all that exist."""
    grants = draft.grants
    for index, grant in enumerate(grants):
        if grant not in GRANTS:
            yield Problem(f"grants[{index}]", f"must be one of {', '.join(GRANTS)}")
        elif grant in grants[:index]:
            yield Problem(f"grants[{index}]", "stands here twice")
        elif draft.kind == "public" and grant in CONFIDENTIAL:
            yield Problem("grants", CONFIDENTIAL[grant], "leave the grant out, or make the client confidential")
    if "refresh_token" in grants and not set(OF_PEOPLE) & set(grants):
        yield Problem(
            "grants", "refresh_token needs a grant of people: authorization_code, device_code, ciba, password"
        )
    if "authorization_code" in grants and not draft.redirect_uris:
        yield Problem("redirect_uris", "authorization_code needs at least one redirect URI")
    yield from _exchange_problems(draft, audiences)
    yield from _issuer_problems(draft)
    yield from _ciba_problems(draft)


def _exchange_problems(draft: ClientDraft, audiences: Collection[str]) -> Iterator[Problem]:
    settings = draft.settings
    if TOKEN_EXCHANGE not in draft.grants:
        if settings.exchange_audiences:
            yield Problem("settings.exchange_audiences", "needs the token-exchange grant", f"add {TOKEN_EXCHANGE}")
        if settings.may_impersonate:
            yield Problem("settings.may_impersonate", "needs the token-exchange grant", f"add {TOKEN_EXCHANGE}")
        return
    if len(settings.exchange_audiences) > MAX_NAMES:
        yield Problem("settings.exchange_audiences", "at most 50")
    for index, audience in enumerate(settings.exchange_audiences[:MAX_NAMES]):
        if audience not in audiences:
            yield Problem(
                f"settings.exchange_audiences[{index}]", "there is no API with this audience", "register the API first"
            )


def _issuer_problems(draft: ClientDraft) -> Iterator[Problem]:
    names = draft.settings.assertion_issuers
    if JWT_BEARER in draft.grants and not names:
        where = "settings.assertion_issuers"
        yield Problem(
            where, "jwt-bearer needs at least one trusted issuer", "name the issuers whose assertions it brings"
        )
    if len(names) > MAX_NAMES:
        yield Problem("settings.assertion_issuers", "at most 50")
    for index, name in enumerate(names[:MAX_NAMES]):
        if not _ISSUER_NAME.fullmatch(name):
            where = f"settings.assertion_issuers[{index}]"
            yield Problem(where, "is not the name of a trusted issuer", "add the issuer first, and write its name")


def _ciba_problems(draft: ClientDraft) -> Iterator[Problem]:
    settings, endpoint = draft.settings, draft.settings.backchannel_client_notification_endpoint
    where = "settings.backchannel_client_notification_endpoint"
    mode = settings.backchannel_token_delivery_mode
    if CIBA not in draft.grants:
        if mode != "poll" or endpoint is not None:
            named = where if mode == "poll" else "settings.backchannel_token_delivery_mode"
            yield Problem(named, "needs the CIBA grant", f"add {CIBA}")
        return
    # CIBA §4: required with ping and push, and nothing is ever sent with poll.
    if mode == "poll":
        if endpoint is not None:
            yield Problem(where, "is for ping and push only", "remove it, or set backchannel_token_delivery_mode")
        return
    wrong = "is missing" if endpoint is None else redirect_problem(endpoint, public=False)
    if wrong:
        yield Problem(where, wrong, "ping and push need an https address of the client")
    if mode == "push" and (settings.dpop_bound_access_tokens or settings.tls_client_certificate_bound_access_tokens):
        where = "settings.backchannel_token_delivery_mode"
        yield Problem(where, "pushed tokens cannot be bound to a key: nobody proves one", "use ping or poll")
