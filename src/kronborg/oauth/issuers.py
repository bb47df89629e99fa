"""Register, change and remove trusted issuers of assertions. Every verb works in the caller's transaction."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime
from typing import cast, get_args

from kronborg.clients.check import registered_keys
from kronborg.clients.redirects import audience_problem, redirect_problem
from kronborg.core.db import Session
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.events import changes, record
from kronborg.core.jose import BadKey
from kronborg.oauth import issuers_store as store
from kronborg.oauth.model import SubjectKind, TrustedIssuer, TrustedIssuerDraft

MAX_ISSUERS = 100
SUBJECTS: tuple[SubjectKind, ...] = get_args(SubjectKind)

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


def issuer_problems(draft: TrustedIssuerDraft, *, own: str, taken: Collection[str]) -> tuple[Problem, ...]:
    """Every problem of a draft; `own` is our issuer, `taken` are those that other entries trust."""
    return tuple(_problems(draft, own, taken))


async def save_issuer(
    session: Session, draft: TrustedIssuerDraft, *, own: str, actor: str, now: datetime
) -> TrustedIssuer:
    """Make the trusted issuer `draft.name` as drafted. Raises `Invalid` with everything that is wrong."""
    others = {each.name: each for each in await store.list_issuers(session)}
    known = others.pop(draft.name, None)
    problems = issuer_problems(draft, own=own, taken={each.issuer for each in others.values()})
    if known is None and len(others) >= MAX_ISSUERS:
        problems = (*problems, Problem("name", "there are 100 trusted issuers already"))
    if problems:
        raise Invalid(*problems)
    issuer = TrustedIssuer(
        draft.name,
        draft.issuer,
        draft.jwks,
        draft.jwks_uri,
        draft.audience,
        cast("SubjectKind", draft.subject),
        known.created_at if known else now,
        now,
    )
    if known is not None and replace(issuer, updated_at=known.updated_at) == known:
        return known
    if known is None:
        await store.insert_issuer(session, issuer)
        await record(session, "issuer.created", actor=actor, subject=issuer.name, now=now, detail=changes(None, issuer))
    else:
        await store.replace_issuer(session, issuer)
        await record(
            session, "issuer.changed", actor=actor, subject=issuer.name, now=now, detail=changes(known, issuer)
        )
    return issuer


async def remove_issuer(session: Session, name: str, *, actor: str, now: datetime) -> None:
    """Trust it no more; what was given for its assertions ends by itself. Raises `NotFound`."""
    known = await store.find_issuer(session, name)
    if known is None or not await store.delete_issuer(session, name):
        raise NotFound("there is no trusted issuer with this name")
    await record(session, "issuer.removed", actor=actor, subject=name, now=now, detail=changes(known, None))


def _problems(draft: TrustedIssuerDraft, own: str, taken: Collection[str]) -> Iterator[Problem]:
    if not _NAME.fullmatch(draft.name):
        yield Problem("name", "a name is at most 63 lower-case letters, digits and dashes")
    if not 0 < len(draft.issuer) <= 500 or not draft.issuer.isprintable():
        yield Problem("issuer", "must be the text that its assertions carry as iss", "often an https address")
    elif draft.issuer == own:
        yield Problem("issuer", "this server does not trust itself as somebody else")
    elif draft.issuer in taken:
        yield Problem("issuer", "another entry trusts this issuer")
    if (draft.jwks is None) == (draft.jwks_uri is None):
        yield Problem("jwks", "needs either jwks or jwks_uri")
    if draft.jwks is not None:
        try:
            registered_keys(draft.jwks)
        except BadKey as wrong:
            yield Problem("jwks", str(wrong))
    if draft.jwks_uri is not None:
        wrong_uri = redirect_problem(draft.jwks_uri, public=False)
        if wrong_uri:
            yield Problem("jwks_uri", wrong_uri)
    if draft.audience is not None and audience_problem(draft.audience):
        yield Problem("audience", "an audience is an absolute URI without fragment")
    if draft.subject not in SUBJECTS:
        yield Problem("subject", f"must be one of {', '.join(SUBJECTS)}")
