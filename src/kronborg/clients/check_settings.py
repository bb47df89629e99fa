"""What a client may be set to: each function lists the problems of some settings. `check.py` calls them all."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kronborg.clients.check_proofs import proof_problems
from kronborg.clients.check_requests import request_problems
from kronborg.clients.model import ClientDraft
from kronborg.clients.redirects import url_problem
from kronborg.clients.settings import ClientSettings
from kronborg.core.errors import Problem

MAX_CONTACTS = 10
_WORD = re.compile(r"[!-~]{1,200}", re.ASCII)
_CONTACT = re.compile(r"[!-~]{1,254}", re.ASCII)
_CALLED = (
    "jwks_uri",
    "sector_identifier_uri",
    "backchannel_logout_uri",
    "backchannel_client_notification_endpoint",
)
"""URLs that the server calls."""
_SHOWN = ("frontchannel_logout_uri", "logo_uri", "client_uri", "policy_uri", "tos_uri", "initiate_login_uri")
"""URLs that a browser is given."""


def setting_problems(draft: ClientDraft) -> Iterator[Problem]:
    """Every problem of the settings of a client, each at `settings.<name>`."""
    yield from _url_problems(draft.settings)
    yield from _text_problems(draft.settings)
    yield from _key_problems(draft)
    yield from proof_problems(draft)
    yield from request_problems(draft)


def _url_problems(settings: ClientSettings) -> Iterator[Problem]:
    for name in (*_CALLED, *_SHOWN):
        uri = getattr(settings, name)
        wrong = None if uri is None else url_problem(uri)
        if wrong:
            yield Problem(f"settings.{name}", wrong, "write https://app.example/path")


def _text_problems(settings: ClientSettings) -> Iterator[Problem]:
    for name, value in (("software_id", settings.software_id), ("software_version", settings.software_version)):
        if value is not None and not _WORD.fullmatch(value):
            yield Problem(f"settings.{name}", "is 1 to 200 visible ASCII characters")
    if len(settings.contacts) > MAX_CONTACTS:
        yield Problem("settings.contacts", "at most 10")
    for index, contact in enumerate(settings.contacts[:MAX_CONTACTS]):
        if not _CONTACT.fullmatch(contact):
            yield Problem(f"settings.contacts[{index}]", "is 1 to 254 visible ASCII characters, an e-mail address")


def _key_problems(draft: ClientDraft) -> Iterator[Problem]:
    # RFC 7591 §2: jwks and jwks_uri must not both be there.
    if draft.jwks is not None and draft.settings.jwks_uri is not None:
        yield Problem("settings.jwks_uri", "stands beside jwks", "give one of them")
    if draft.auth_method == "private_key_jwt" and draft.jwks is None and draft.settings.jwks_uri is None:
        yield Problem("jwks", "private_key_jwt needs public keys", "give jwks, or settings.jwks_uri")
