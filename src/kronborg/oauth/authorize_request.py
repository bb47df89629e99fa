"""What an authorization request says: its parameters, read once into a frozen value, before anything is believed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from kronborg.oauth import parameters
from kronborg.oauth.parameters import MAX_QUERY, Parameters, Unreadable

MARK = "kronborg_asked"
"""A parameter of our own: since when this request waits for its user (see `asked.py`)."""
ALLOWED = "kronborg_allowed"
"""Another one: its user allowed exactly this."""
OURS = frozenset({MARK, ALLOWED})

PARAMETERS = (
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "resource",
    "authorization_details",
    "claims",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "prompt",
    "max_age",
    "login_hint",
    "idp_hint",
    "organization",
    "id_token_hint",
    "ui_locales",
    "display",
    "acr_values",
    "request",
    "request_uri",
)
MAX_KEPT = 32 * 1024
"""Characters of a request that is kept here, and does not travel on through the browser."""
LIMITS = {
    "state": 2048,
    "id_token_hint": 4096,
    "scope": 2048,
    "claims": 4096,
    "authorization_details": 16 * 1024,
    "request": 16 * 1024,
}


@dataclass(frozen=True, slots=True)
class AuthorizeRequest:
    """The parameters as sent; None means absent. `repeated` and `malformed` name the parameters that are wrong as such.

    A repeated or malformed parameter counts as absent here, so that nothing of it is ever used or echoed. `mark` and
    `allowed` are our own, and no part of the request.
    """

    client_id: str | None = None
    redirect_uri: str | None = None
    response_type: str | None = None
    response_mode: str | None = None
    scope: str | None = None
    resources: tuple[str, ...] = ()
    authorization_details: str | None = None
    claims: str | None = None
    state: str | None = None
    nonce: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    dpop_jkt: str | None = None
    prompt: str | None = None
    max_age: str | None = None
    login_hint: str | None = None
    idp_hint: str | None = None
    organization: str | None = None
    id_token_hint: str | None = None
    ui_locales: str | None = None
    display: str | None = None
    acr_values: str | None = None
    request: str | None = None
    request_uri: str | None = None
    mark: str | None = None
    allowed: str | None = None
    repeated: frozenset[str] = frozenset()
    malformed: frozenset[str] = frozenset()

    @property
    def prompts(self) -> frozenset[str]:
        """The values of `prompt`."""
        return frozenset((self.prompt or "").split(" ")) - {""}

    def query(self) -> str:
        """The request written again, without our own marks: what sign-in and consent come back to."""
        pairs = []
        for name in PARAMETERS:
            if name == "resource":
                pairs += [(name, value) for value in self.resources]
            elif (value := getattr(self, name)) is not None:
                pairs.append((name, value))
        return urlencode(pairs, quote_via=quote)


def parse(query: str) -> AuthorizeRequest:
    """Read a query string or a form-encoded body. Raises `Unreadable`; every other mistake is noted in the value."""
    # RFC 8707 §2: `resource` is the one parameter that may stand more than once. A repeated mark is none.
    read = parameters.read(query, (*PARAMETERS, *OURS), repeatable=("resource",), limits=LIMITS)
    request = _request(read)
    # A character as sent is at most twelve as we write it: four bytes of UTF-8.
    if len(query) * 12 > MAX_QUERY and len(request.query()) > MAX_QUERY:
        raise Unreadable("the request is too large: it can be pushed to /oauth/par")
    return request


def collect(pairs: Iterable[tuple[str, str]]) -> AuthorizeRequest:
    """The same of names and values that came in another way, from the client itself; larger, and without our marks."""
    # RFC 6749 §3.1: a parameter without a value counts as omitted.
    given = [(name, value) for name, value in pairs if value]
    return _request(parameters.sort_out(given, PARAMETERS, repeatable=("resource",), limits=LIMITS))


def kept(query: str) -> AuthorizeRequest:
    """Read what `AuthorizeRequest.query` wrote of a request that was checked."""
    return collect(parse_qsl(query, strict_parsing=True))


def _request(read: Parameters) -> AuthorizeRequest:
    single = {name: read.one(name) for name in PARAMETERS if name != "resource"}
    return AuthorizeRequest(
        **single,
        resources=tuple(dict.fromkeys(read.values.get("resource", ()))),
        mark=read.one(MARK),
        allowed=read.one(ALLOWED),
        repeated=read.repeated - OURS,
        malformed=read.malformed - OURS,
    )
