"""Finds the secrets of a file that differ from what it gave last. None of them is ever part of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kronborg.accounts.model import User
from kronborg.accounts.users import NewUser
from kronborg.audit.model import WebhookDraft
from kronborg.audit.webhooks import signs_with, webhook_secret_problem
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import SECRET_DIGEST, serves
from kronborg.core.db import from_micros
from kronborg.core.errors import Invalid, Problem
from kronborg.federation.client_secrets import open_secret, secret_mark
from kronborg.federation.directory_changes import MAX_PASSWORD, opened_password, password_context
from kronborg.federation.directory_model import Directory
from kronborg.federation.model import ProviderDraft
from kronborg.federation.providers import secret_problem
from kronborg.gateway.declare.current import Current
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.objects import SECRET_OF, Ref
from kronborg.gateway.declare.read import Loaded
from kronborg.gateway.declare.secret_sources import Secrets, how_to_give
from kronborg.gateway.declare.wanted import Wanted


@dataclass(slots=True)
class SecretNews:
    """What became of the secrets a document refers to. `fresh` are those to be set, `marks` recognise them later."""

    fresh: dict[Ref, str] = field(default_factory=dict, repr=False)
    marks: dict[Ref, str] = field(default_factory=dict, repr=False)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


async def compare_secrets(
    installation: Installation, loaded: Loaded, wanted: Mapping[Ref, Wanted], current: Current, secrets: Secrets
) -> SecretNews:
    """Which secrets differ from what the file gave last; none is ever part of the plan."""
    news = SecretNews()
    for ref, one in wanted.items():
        stored = current.client(ref)
        if one.keeps_jwks and (stored is None or stored.jwks is None):
            problem = loaded.source.problem((*one.path, "jwks", "file"), "the file cannot be read", "create it")
            news.problems.append(problem)
        if one.secret is None:
            continue
        name = SECRET_OF.get(ref.kind, "secret")
        value = secrets.read(one.secret)
        if value is None:
            detail, mend = how_to_give(one.secret)
            # A new webhook has a secret that is made here.
            if _has_secret(ref, current) or ref.kind == "webhook":
                news.notes.append(f"{detail}: the {name} of {one.label} stays as it is")
            else:
                news.problems.append(loaded.source.problem((*one.path, name), detail, mend))
            continue
        problem_found = _secret_problem(installation, one, value)
        if problem_found is not None:
            path = (*one.path, name)
            news.problems.append(loaded.source.problem(path, problem_found.detail, problem_found.mend))
        else:
            mark = _mark(installation, ref, value, current)
            if mark is not None:
                news.marks[ref] = mark
            if not await _is_known(installation, one, value, mark, current):
                news.fresh[ref] = value
    return news


def _has_secret(ref: Ref, current: Current) -> bool:
    provider = current.provider(ref)
    if provider is not None:
        return provider.secret is not None
    webhook = current.webhook(ref)
    if webhook is not None:
        return bool(webhook.secrets)
    directory = current.directory(ref)
    if directory is not None:
        return bool(directory.sealed)
    client = current.client(ref)
    return bool(client.secrets) if client is not None else current.hashes.get(ref) is not None


def _secret_problem(installation: Installation, wanted: Wanted, value: str) -> Problem | None:
    """What is wrong with a secret, without a word of it."""
    thing = wanted.thing
    if isinstance(thing, ClientDraft):
        if 32 <= len(value) <= 200 and value.isascii() and value.isprintable():
            return None
        return Problem("secret", "must be 32 to 200 visible ASCII characters", "make one with openssl rand -base64 32")
    if isinstance(thing, Directory):
        return None if 0 < len(value) <= MAX_PASSWORD else Problem("bind_password", "is longer than 500 characters")
    if isinstance(thing, ProviderDraft):
        return secret_problem(thing, value)
    if isinstance(thing, WebhookDraft):
        return webhook_secret_problem(value)
    try:
        installation.passwords.check(value, user=_as_user(thing) if isinstance(thing, NewUser) else None)
    except Invalid as invalid:
        return invalid.problems[0]
    return None


def _as_user(new: NewUser) -> User:
    """The user that would be made, as far as the choice of a password cares."""
    never = from_micros(0)
    return User("", new.username, new.email, new.name, new.disabled, new.roles, (), never, never)


def _mark(installation: Installation, ref: Ref, value: str, current: Current) -> str | None:
    """What recognises a secret: its keyed digest for a client, for a person the hash of what the file gave last.

    People change their passwords, and a file must not change them back: so what is compared is the file's value with
    the file's last value, not with the password of today.
    """
    if ref.kind == "client":
        return installation.vault.digest(value, context=SECRET_DIGEST).hex()
    if ref.kind == "directory":
        return installation.vault.digest(value, context=password_context(ref.key)).hex()
    if ref.kind == "provider":
        return secret_mark(installation.vault, ref.key, value)
    if ref.kind == "webhook":
        return installation.vault.digest(value, context="webhook-secret").hex()
    declared = current.declared.get(ref)
    return declared.mark if declared and declared.mark else current.hashes.get(ref)


async def _is_known(installation: Installation, wanted: Wanted, value: str, mark: str | None, current: Current) -> bool:
    """Whether the object has this secret already, or got it from the file and has moved on since."""
    ref, method = wanted.ref, wanted.thing.auth_method if isinstance(wanted.thing, ClientDraft) else ""
    if ref not in current.objects or mark is None:
        return False
    provider = current.provider(ref)
    if provider is not None:
        return open_secret(installation.vault, provider) == value
    webhook = current.webhook(ref)
    if webhook is not None:
        return signs_with(installation.vault, webhook, value)
    directory = current.directory(ref)
    if directory is not None:
        return opened_password(installation.vault, directory) == value
    client = current.client(ref)
    if client is not None:
        same = [known for known in client.secrets if known.digest.hex() == mark and known.expires_at is None]
        return any(serves(known, method) for known in same)
    return await installation.passwords.matches(value, mark)
