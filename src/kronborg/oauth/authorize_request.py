"""What an authorization request says: its parameters, read once into a frozen value, before anything is believed."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from kronborg.oauth import parameters
from kronborg.oauth.parameters import MAX_QUERY, Unreadable

MARK = "kronborg_asked"
"""A parameter of our own: since when this request waits for its user (see `asked.py`)."""

PARAMETERS = (
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "resource",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "login_hint",
    "id_token_hint",
    "ui_locales",
    "display",
    "acr_values",
    "request",
    "request_uri",
)
LIMITS = {"state": 2048, "id_token_hint": 4096, "scope": 2048, "request": MAX_QUERY}


@dataclass(frozen=True, slots=True)
class AuthorizeRequest:
    """The parameters as sent; None means absent. `repeated` and `malformed` name the parameters that are wrong as such.

    A repeated or malformed parameter counts as absent here, so that nothing of it is ever used or echoed.
    """

    client_id: str | None = None
    redirect_uri: str | None = None
    response_type: str | None = None
    response_mode: str | None = None
    scope: str | None = None
    resources: tuple[str, ...] = ()
    state: str | None = None
    nonce: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    prompt: str | None = None
    max_age: str | None = None
    login_hint: str | None = None
    id_token_hint: str | None = None
    ui_locales: str | None = None
    display: str | None = None
    acr_values: str | None = None
    request: str | None = None
    request_uri: str | None = None
    mark: str | None = None
    repeated: frozenset[str] = frozenset()
    malformed: frozenset[str] = frozenset()

    @property
    def prompts(self) -> frozenset[str]:
        """The values of `prompt`."""
        return frozenset((self.prompt or "").split(" ")) - {""}

    def query(self) -> str:
        """The request written again, without our own mark: what sign-in and consent come back to."""
        pairs = []
        for name in PARAMETERS:
            if name == "resource":
                pairs += [(name, value) for value in self.resources]
            elif (value := getattr(self, name)) is not None:
                pairs.append((name, value))
        return urlencode(pairs, quote_via=quote)

    def marked_query(self) -> str:
        """The same with the mark that came along, if any."""
        return self.query() if self.mark is None else f"{self.query()}&{urlencode({MARK: self.mark})}"


def parse(query: str) -> AuthorizeRequest:
    """Read a query string or a form-encoded body. Raises `Unreadable`; every other mistake is noted in the value."""
    # RFC 8707 §2: `resource` is the one parameter that may stand more than once. A repeated mark is none.
    read = parameters.read(query, (*PARAMETERS, MARK), repeatable=("resource",), limits=LIMITS)
    single = {name: read.one(name) for name in PARAMETERS if name != "resource"}
    request = AuthorizeRequest(
        **single,
        resources=tuple(dict.fromkeys(read.values.get("resource", ()))),
        mark=read.one(MARK),
        repeated=read.repeated - {MARK},
        malformed=read.malformed - {MARK},
    )
    if len(request.query()) > MAX_QUERY:
        raise Unreadable("the request is too large")
    return request
