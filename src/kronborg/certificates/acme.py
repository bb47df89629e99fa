"""Certificates from an ACME server (RFC 8555), proved by HTTP: the `acme` library speaks, we keep the state.

The library blocks, so each step runs in a thread; nothing of it is loaded before the first order. Challenges are rows,
so that whichever gateway is asked can have them answered.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kronborg.certificates.keep import keep_pair
from kronborg.certificates.model import CHALLENGE_LIFETIME, Account, AcmeSettings, Certificate
from kronborg.certificates.pairs import new_key, read_pair, request_for
from kronborg.certificates.store import (
    find_account,
    list_certificates,
    note_failure,
    purge_challenges,
    put_account,
    put_challenge,
)
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.core.log import get_logger

if TYPE_CHECKING:
    from acme.client import ClientV2
    from acme.messages import ChallengeBody, OrderResource

log = get_logger("kronborg.certificates.acme")

_ACTOR = "worker"
_PATIENCE = timedelta(minutes=3)
_REQUEST_SECONDS = 30
_LONGEST_FAILURE = 500


class AcmeFailed(Exception):
    """The server did not make the certificate; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class _Proof:
    """One name to prove: what the server will ask for, and what it shall be told."""

    challenge: ChallengeBody
    token: str
    answer: str


async def renew_due(database: Database, vault: Vault, settings: AcmeSettings, *, now: datetime) -> int:
    """Order every certificate that is due; how many were made. A failure is kept with the certificate."""
    async with database.read() as session:
        due = [one for one in await list_certificates(session) if one.is_due(now)]
    made = 0
    for certificate in due:
        async with database.write() as session:
            await purge_challenges(session, now=now)
        try:
            await order(database, vault, settings, certificate, now=now)
            made += 1
        except AcmeFailed as failed:
            log.warning("acme_failed", certificate=certificate.name, reason=str(failed))
            async with database.write() as session:
                await note_failure(session, certificate.name, str(failed)[:_LONGEST_FAILURE], now=now)
    return made


async def order(
    database: Database, vault: Vault, settings: AcmeSettings, certificate: Certificate, *, now: datetime
) -> Certificate:
    """Have one certificate made and keep it. Raises `AcmeFailed`."""
    client = await _client(database, vault, settings, now=now)
    key = new_key()
    ordered, proofs = await asyncio.to_thread(_begin, client, request_for(certificate.hosts, key))
    async with database.write() as session:
        for proof in proofs:
            await put_challenge(session, proof.token, proof.answer, expires_at=now + CHALLENGE_LIFETIME)
    chain = await asyncio.to_thread(_finish, client, ordered, proofs)
    try:
        pair = read_pair(chain, key, now=clock.now())
    except Invalid as wrong:
        # What one server sends back wrong must not keep the other certificates from their turn.
        raise AcmeFailed(
            "the server made something else: " + "; ".join(one.detail for one in wrong.problems)
        ) from wrong
    async with database.write() as session:
        return await keep_pair(session, vault, certificate.name, pair, source="acme", actor=_ACTOR, now=clock.now())


async def _client(database: Database, vault: Vault, settings: AcmeSettings, *, now: datetime) -> ClientV2:
    """A client with our account, which is made at the first order."""
    context = f"acme:{settings.directory}"
    async with database.read() as session:
        kept = await find_account(session, settings.directory)
    key = new_key() if kept is None else vault.open(kept.key, context=context).decode()
    client, registration = await asyncio.to_thread(_connect, settings, key, None if kept is None else kept.registration)
    if kept is None:
        sealed = vault.seal(key.encode(), context=context)
        async with database.write() as session:
            await put_account(session, Account(settings.directory, sealed, registration), now=now)
    return client


def _connect(settings: AcmeSettings, key: str, registration: str | None) -> tuple[ClientV2, str]:
    import requests
    from acme import client, errors, messages
    from josepy.errors import Error as JoseError
    from josepy.jwa import ES256
    from josepy.jwk import JWK

    loaded = JWK.load(key.encode())
    net = client.ClientNetwork(
        loaded,
        alg=ES256,
        user_agent="kronborg",
        timeout=_REQUEST_SECONDS,
        verify_ssl=str(settings.ca_file) if settings.ca_file else True,  # type: ignore[arg-type]  # handed to requests
    )
    net.session.trust_env = False
    try:
        made = client.ClientV2(client.ClientV2.get_directory(settings.directory, net), net)
        if registration is not None:
            net.account = messages.RegistrationResource.json_loads(registration)
            return made, registration
        account = made.new_account(
            messages.NewRegistration.from_data(
                email=",".join(settings.contact) or None, terms_of_service_agreed=settings.terms_agreed
            )
        )
        return made, account.json_dumps()
    except (errors.Error, messages.Error, JoseError, requests.RequestException, ValueError) as error:
        raise AcmeFailed(_said(error)) from error


def _begin(client: ClientV2, request: bytes) -> tuple[OrderResource, list[_Proof]]:
    import requests
    from acme import challenges, errors, messages

    try:
        ordered = client.new_order(request)
        proofs = []
        for authorization in ordered.authorizations:
            if authorization.body.status == messages.STATUS_VALID:
                continue
            offered = [one for one in authorization.body.challenges if isinstance(one.chall, challenges.HTTP01)]
            if not offered:
                raise AcmeFailed("the server offers no proof by HTTP (http-01) for one of the names")
            _, answer = offered[0].response_and_validation(client.net.key)
            proofs.append(_Proof(offered[0], offered[0].chall.encode("token"), answer))
    except (errors.Error, messages.Error, requests.RequestException) as error:
        raise AcmeFailed(_said(error)) from error
    return ordered, proofs


def _finish(client: ClientV2, ordered: OrderResource, proofs: list[_Proof]) -> str:
    import requests
    from acme import errors, messages

    try:
        for proof in proofs:
            client.answer_challenge(proof.challenge, proof.challenge.response(client.net.key))
        # The library compares with the local time without a zone.
        deadline = clock.now().astimezone().replace(tzinfo=None) + _PATIENCE
        return str(client.poll_and_finalize(ordered, deadline).fullchain_pem)
    except (errors.Error, messages.Error, requests.RequestException) as error:
        raise AcmeFailed(_said(error)) from error


def _said(error: BaseException) -> str:
    """What went wrong, on one line."""
    failed = getattr(error, "failed_authzrs", ())
    reasons = [str(one.error.detail) for authz in failed for one in authz.body.challenges if one.error is not None]
    return " ".join("; ".join(reasons).split() or f"{type(error).__name__}: {error}".split())[:_LONGEST_FAILURE]
