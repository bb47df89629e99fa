"""Kinds of application that somebody may want to register, each with what is usual and safe for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from kronborg.clients.model import ClientDraft
from kronborg.clients.settings import ClientSettings

_SIGN_IN = ("openid", "profile", "email")


@dataclass(frozen=True, slots=True)
class ApplicationKind:
    """A choice on the way to a new client. `browser`: people come back to it, so it needs redirect URIs."""

    key: str
    title: str
    text: str
    draft: ClientDraft
    browser: bool = True
    example: str = "https://app.example.com/callback"


KINDS = (
    ApplicationKind(
        "web",
        "Web application",
        "Runs on a server of yours, which keeps a secret. Signs people in with a code and PKCE.",
        ClientDraft(
            "",
            "",
            grants=("authorization_code", "refresh_token"),
            scopes=_SIGN_IN,
            settings=ClientSettings(require_pkce=True),
        ),
    ),
    ApplicationKind(
        "spa",
        "Single-page application",
        "Runs in the browser and can keep no secret. A code with PKCE; its own origin may call the token endpoint.",
        ClientDraft("", "", "public", "none", grants=("authorization_code", "refresh_token"), scopes=_SIGN_IN),
    ),
    ApplicationKind(
        "native",
        "App on a phone or desktop",
        "Installed by people, without a secret. Comes back by a scheme of its own or to the loopback (RFC 8252).",
        ClientDraft(
            "",
            "",
            "public",
            "none",
            grants=("authorization_code", "refresh_token"),
            scopes=(*_SIGN_IN, "offline_access"),
        ),
        example="com.example.app:/callback",
    ),
    ApplicationKind(
        "machine",
        "Service or job",
        "No person is there: it asks for tokens in its own name, with a secret (client credentials).",
        ClientDraft("", "", grants=("client_credentials",)),
        browser=False,
    ),
    ApplicationKind(
        "mcp",
        "MCP client",
        "An assistant that uses tools behind an MCP server. Public, held to the profile of MCP.",
        ClientDraft(
            "",
            "",
            "public",
            "none",
            grants=("authorization_code", "refresh_token"),
            settings=ClientSettings(profile="mcp"),
        ),
        example="http://127.0.0.1/callback",
    ),
)


def kind_of(key: str) -> ApplicationKind | None:
    """The kind with this key."""
    return next((kind for kind in KINDS if kind.key == key), None)


def finished(kind: ApplicationKind, draft: ClientDraft) -> ClientDraft:
    """The draft with what follows from what was typed: a single-page application calls us from its own origins."""
    if kind.key != "spa":
        return draft
    found = [urlsplit(uri) for uri in draft.redirect_uris]
    origins = dict.fromkeys(f"{one.scheme}://{one.netloc}" for one in found if one.scheme in ("http", "https"))
    return replace(draft, web_origins=tuple(origins))
