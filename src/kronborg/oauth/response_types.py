"""What a request asks to be answered with, and how the answer travels. Pure.

The order of words in a response type does not count (OAuth 2.0 Multiple Response Types §3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from kronborg.clients.settings import ResponseMode, ResponseType

Carrier = Literal["query", "fragment", "form_post"]

RESPONSE_TYPES: Final[tuple[ResponseType, ...]] = get_args(ResponseType)
RESPONSE_MODES: Final[tuple[ResponseMode, ...]] = get_args(ResponseMode)

_BY_WORDS: Final[dict[frozenset[str], ResponseType]] = {frozenset(name.split()): name for name in RESPONSE_TYPES}


@dataclass(frozen=True, slots=True)
class Way:
    """How an answer travels; `jwt` when its parameters are signed as one JWT (JARM §2.3)."""

    carrier: Carrier
    jwt: bool = False


def response_type(text: str | None) -> ResponseType | None:
    """The response type that is meant, in its registered spelling; None for none that we know."""
    words = (text or "").split(" ")
    return _BY_WORDS.get(frozenset(words)) if len(set(words)) == len(words) else None


def words_of(kind: ResponseType) -> frozenset[str]:
    """What the answer holds: `code`, `id_token`, `token`, or `none`."""
    return frozenset(kind.split())


def in_front_channel(kind: ResponseType) -> bool:
    """Whether a token comes through the browser."""
    return bool(words_of(kind) & {"id_token", "token"})


def default_carrier(kind: ResponseType | None) -> Carrier:
    """OAuth 2.0 Multiple Response Types §5: tokens in the fragment, a code or nothing in the query."""
    return "fragment" if kind is not None and in_front_channel(kind) else "query"


def mode_problem(mode: str | None, kind: ResponseType) -> str | None:
    """Why this mode does not go with this type; None when it does."""
    if mode is None:
        return None
    if mode not in RESPONSE_MODES:
        return "response_mode holds an unknown value"
    # OAuth 2.0 Multiple Response Types §3.0: tokens never in the query, where logs and histories keep them. JARM §2.3.1
    # has the same rule, unless the response is encrypted; we make no exception.
    if mode in ("query", "query.jwt") and in_front_channel(kind):
        return "a response type with tokens does not go into the query"
    return None


def takes_posts(uri: str) -> bool:
    """Whether a form can be posted there: to a web server, and to no other kind of address."""
    return uri.startswith(("https://", "http://"))


def way_of(mode: str | None, kind: ResponseType | None, target: str) -> Way:
    """How the answer travels to this address; for a mode that is wrong, as if none had been named."""
    usual = default_carrier(kind)
    if not takes_posts(target):
        mode = (mode or "").replace("form_post.jwt", "jwt").replace("form_post", "") or None
    match mode:
        case "form_post":
            return Way("form_post")
        case "form_post.jwt":
            return Way("form_post", jwt=True)
        case "fragment":
            return Way("fragment")
        case "fragment.jwt":
            return Way("fragment", jwt=True)
        case "query.jwt" | "jwt":
            return Way(usual, jwt=True)
        case _:
            return Way(usual)
