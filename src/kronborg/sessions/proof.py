"""What a person has proved so far on the way to a session, carried by the browser between two pages.

Whoever proves something (a password, a passkey, a provider, a directory) seals it here and sends the browser to
`continue_path`. The sign-in journey opens it there and decides alone what is still missing. The seal is bound to the
browser's own cookie: the text is worth nothing in another browser, and nothing after ten minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

import orjson

from kronborg.core.crypto import KeyProblem, Vault
from kronborg.core.db import from_micros, to_micros

LIFETIME = timedelta(minutes=10)
MAX_PROOF = 4096


@dataclass(frozen=True, slots=True)
class Proof:
    """Somebody proved to be `user_id`, by the methods `amr` (RFC 8176), the first of them at `at`.

    `by` is who vouches: empty for Kronborg itself, else `ldap:corp` or `provider:okta`. `login` is what was typed,
    which throttles count by. `told` is what a provider said that the session should remember, like its own `sid`.
    `renews` says that nothing was proved just now: a session told it, and it ends nowhere without a factor on top.
    """

    user_id: str
    amr: tuple[str, ...]
    at: datetime
    by: str = ""
    login: str = ""
    told: str = ""
    renews: bool = False


def seal_proof(vault: Vault, proof: Proof, *, browser: str) -> str:
    """The proof as a text for this browser (the value of its `kronborg_browser` cookie) alone."""
    values = [proof.user_id, proof.amr, to_micros(proof.at), proof.by, proof.login, proof.told]
    values.append(proof.renews)
    return vault.seal(orjson.dumps(values), context=_context(vault, browser))


def open_proof(vault: Vault, text: str, *, browser: str, now: datetime) -> Proof | None:
    """The proof, or None when it is not ours, another browser's, or older than ten minutes."""
    if not text or not browser or len(text) > MAX_PROOF:
        return None
    try:
        user_id, amr, at, by, login, told, renews = orjson.loads(vault.open(text, context=_context(vault, browser)))
    except KeyProblem:
        return None
    proof = Proof(user_id, tuple(amr), from_micros(at), by, login, told, renews)
    return proof if timedelta() <= now - proof.at <= LIFETIME else None


def continue_path(sealed: str, *, next_path: str, ticket: str = "") -> str:
    """Where the journey goes on with a sealed proof; `next` and `ticket` are those the sign-in page was opened with."""
    return "/signin/continue?" + urlencode({"proof": sealed, "next": next_path, "ticket": ticket})


def _context(vault: Vault, browser: str) -> str:
    return f"signin.proof:{vault.digest(browser, context='signin.proof').hex()}"
