"""Legacy: what a client may be allowed to for the sake of an old system, and what is told about it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kronborg.clients.model import Client, ClientDraft

METADATA = "kronborg_legacy_warning"
"""Our member of the server's metadata that names what is offered to at least one client and should go."""


@dataclass(frozen=True, slots=True)
class Legacy:
    """One allowance: where it stands, a word for it, what is wrong with it, the clause, and what to do instead."""

    where: str
    word: str
    detail: str
    clause: str
    mend: str

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        return f"{self.detail} ({self.clause}): {self.mend}"


def legacy_of(client: Client | ClientDraft) -> tuple[Legacy, ...]:
    """Every legacy allowance of a client; none for most."""
    settings = client.settings
    usual = settings.response_types == ("code",) and not settings.legacy_client_assertions
    if usual and "implicit" not in client.grants and "password" not in client.grants:
        return ()
    return tuple(_each(client))


def _each(client: Client | ClientDraft) -> Iterator[Legacy]:
    if "password" in client.grants:
        yield Legacy(
            "grants",
            "password",
            "the password grant shows the application what only this server may see, and knows no second factor",
            "RFC 9700 §2.4",
            "use authorization_code",
        )
    fronts = [kind for kind in client.settings.response_types if "token" in kind.split()]
    if "implicit" in client.grants or fronts:
        yield Legacy(
            "grants" if "implicit" in client.grants else "settings.response_types",
            "implicit",
            "access tokens in the front channel leak through histories, logs and referrers, bound to nobody",
            "RFC 9700 §2.1.2",
            "use authorization_code with PKCE",
        )
    if client.settings.legacy_client_assertions:
        yield Legacy(
            "settings.legacy_client_assertions",
            "client_assertion",
            "a client assertion for several audiences, or for an endpoint, can be carried from one server to another",
            "RFC 10070 §2",
            "have the client name the issuer alone, and switch it off",
        )
    if any("id_token" in kind.split() for kind in client.settings.response_types):
        yield Legacy(
            "settings.response_types",
            "id_token",
            "ID tokens in the front channel show personal data to histories and logs",
            "OIDC Core §3.2",
            "use the response type code",
        )
