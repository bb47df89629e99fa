"""Sectors: the clients that know a person by the same pairwise identifier (OIDC Core §8.1). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from kronborg.clients.model import Client, ClientDraft

_NOBODYS = ("", "localhost", "127.0.0.1", "::1")


def sector_of(client: Client) -> str:
    """The host of the sector identifier URI, else that of the redirect URIs, else the client alone."""
    if client.settings.sector_identifier_uri is not None:
        return urlsplit(client.settings.sector_identifier_uri).hostname or client.id
    hosts = hosts_of(client.redirect_uris)
    # Apps on people's own devices have no host of their own: sharing that name does not make them one sector.
    return hosts[0] if len(hosts) == 1 and hosts[0] not in _NOBODYS else client.id


def sector_problem(draft: ClientDraft) -> str | None:
    """Why it is not clear which sector a pairwise client belongs to; None when it is."""
    if draft.settings.subject_type == "public" or draft.settings.sector_identifier_uri is not None:
        return None
    # OIDC Core §8.1: with redirect URIs of several hosts, a sector_identifier_uri must be registered.
    return "the redirect URIs have several hosts" if len(hosts_of(draft.redirect_uris)) > 1 else None


def hosts_of(uris: Sequence[str]) -> tuple[str, ...]:
    """The hosts of these URIs, each once."""
    return tuple(dict.fromkeys(urlsplit(uri).hostname or "" for uri in uris))
