"""Who a person is to a client: its user id, or a pairwise identifier (OIDC Core §8).

A pairwise identifier is the user id under AES-SIV (RFC 5297), keyed by the vault, with the client's sector as
associated data: always the same for one sector, unrelated between sectors, and ours alone to turn back.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from kronborg.clients.model import Client
from kronborg.clients.sectors import sector_of
from kronborg.core.base64url import b64
from kronborg.core.crypto import Vault
from kronborg.core.jose import BadJwt, unb64
from kronborg.tokens.engine import Engine
from kronborg.tokens.model import Access

PREFIX = "p:"
"""RFC 9700 §4.15: neither a user id nor a client id looks like this."""
_PURPOSE = "pairwise-subjects"


def is_pairwise(client: Client) -> bool:
    """Whether this client knows people by identifiers of its sector only."""
    return client.settings.subject_type == "pairwise"


def subject_for(vault: Vault, client: Client, user_id: str) -> str:
    """The `sub` that this client is told."""
    if not is_pairwise(client):
        return user_id
    return PREFIX + b64(_cipher(vault).encrypt(UUID(user_id).bytes, [sector_of(client).encode()]))


async def subject_told(engine: Engine, access: Access, *, reader: str, reference: bool, now: datetime) -> str:
    """The `sub` of a person's access token, as it is told to a client with the id `reader`.

    A JWT says what its client may know, who can read it. An API learns the user id from a reference token, and from a
    JWT that only it can decrypt (how-to/token-formats.md).
    """
    client = await engine.directory.client(access.client_id, now=now)
    if client is None or not is_pairwise(client):
        return access.subject
    if reader != client.id:
        api = (await engine.directory.apis(now=now)).by_audience.get(access.audience)
        if reference or (api is not None and api.settings.encryption_jwks is not None):
            return access.subject
    return subject_for(engine.vault, client, access.subject)


def user_behind(vault: Vault, client: Client, subject: str) -> str | None:
    """The user id behind a `sub` that this client was told; None for one that it was not."""
    if not subject.startswith(PREFIX):
        return subject
    try:
        raw = _cipher(vault).decrypt(unb64(subject.removeprefix(PREFIX)), [sector_of(client).encode()])
    except (BadJwt, InvalidTag, ValueError):
        return None
    return str(UUID(bytes=raw)) if len(raw) == 16 else None


def _cipher(vault: Vault) -> AESSIV:
    return AESSIV(vault.derive(_PURPOSE))
