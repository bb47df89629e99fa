"""The doctor at the door: what this installation answers to requests that anybody could make.

Each check is told how to ask and gives what it found; none changes anything, none needs a credential.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urlsplit

import httpx
import orjson

from kronborg.cli.doctor_model import Finding, Severity
from kronborg.core.json import JsonObject

STRANGER = "kronborg-doctor-nobody"
"""A client id and an origin that nobody registers."""
ORIGIN = "https://kronborg-doctor.invalid"
MOST_SKEW = timedelta(seconds=10)
ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "introspection_endpoint",
    "revocation_endpoint",
    "end_session_endpoint",
    "pushed_authorization_request_endpoint",
    "device_authorization_endpoint",
    "backchannel_authentication_endpoint",
    "registration_endpoint",
)
FORMS = ("token_endpoint", "introspection_endpoint", "revocation_endpoint")
PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

Found = AsyncIterator[Finding]


@dataclass
class Door:
    """How to ask, and what was learned so far. `issuer` has no trailing slash."""

    http: httpx.AsyncClient
    issuer: str
    now: Callable[[], datetime]
    metadata: JsonObject = field(default_factory=dict)

    @property
    def secure(self) -> bool:
        return self.issuer.startswith("https://")

    @property
    def loopback(self) -> bool:
        return urlsplit(self.issuer).hostname in ("localhost", "127.0.0.1", "::1")

    def address(self, name: str) -> str | None:
        """The address of an endpoint; None when the metadata has none."""
        value = self.metadata.get(name)
        return value if isinstance(value, str) else None

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return await self.http.get(url, headers=dict(headers or {}))

    async def post(self, url: str, body: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        form = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
        return await self.http.post(url, content=body, headers=form)


def _of_server(severity: Severity, detail: str, clause: str, mend: str) -> Finding:
    return Finding(severity, "server", detail, clause, mend)


def _object(answer: httpx.Response) -> JsonObject | None:
    try:
        value = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


async def discovery(door: Door) -> Found:
    """The metadata, at both addresses."""
    parts = urlsplit(door.issuer)
    root, path = f"{parts.scheme}://{parts.netloc}", parts.path
    addresses = (
        (f"{door.issuer}/.well-known/openid-configuration", "OIDC Discovery §4"),
        (f"{root}/.well-known/oauth-authorization-server{path}", "RFC 8414 §3.1"),
    )
    for url, clause in addresses:
        answer = await door.get(url)
        document = _object(answer) if answer.status_code == 200 else None
        if document is None:
            yield _of_server("error", f"no metadata at {url}", clause, "send this path to the identity process")
            continue
        door.metadata = document
        # RFC 8414 §3.3: identical, or clients refuse it.
        if document.get("issuer") != door.issuer:
            yield _of_server("error", "the metadata names another issuer", "RFC 8414 §3.3", "correct server.issuer")
    for finding in _judge(door):
        yield finding


def _judge(door: Door) -> list[Finding]:
    found = []
    document = door.metadata
    if document and document.get("code_challenge_methods_supported") != ["S256"]:
        found.append(_of_server("error", "PKCE is not S256 alone", "RFC 9700 §2.1.1", "offer S256 only"))
    if document and document.get("authorization_response_iss_parameter_supported") is not True:
        found.append(_of_server("error", "answers do not carry iss", "RFC 9207 §3", "switch it on"))
    if not door.secure and not door.loopback:
        found.append(
            _of_server(
                "error", "the issuer is plain http", "RFC 6749 §3.1", "serve https, see docs/how-to/behind-tls.md"
            )
        )
    for name in ("jwks_uri", *ENDPOINTS):
        address = door.address(name)
        if address is not None and not address.startswith(f"{door.issuer}/"):
            found.append(_of_server("error", f"{name} is not below the issuer", "RFC 8414 §2", "correct server.issuer"))
    if isinstance(legacy := document.get("kronborg_legacy_warning"), list) and legacy:
        shown = ", ".join(str(one) for one in legacy)
        found.append(_of_server("warning", f"legacy is offered: {shown}", "RFC 9700 §2", "move its clients to codes"))
    return found


async def endpoints(door: Door) -> Found:
    """Each endpoint of the metadata is there."""
    for name in ("jwks_uri", *ENDPOINTS):
        address = door.address(name)
        if address is None:
            continue
        answer = await door.get(address)
        if answer.status_code == 404 or answer.status_code >= 500:
            detail = f"{name} answers {answer.status_code}"
            yield _of_server("error", detail, "RFC 8414 §2", "send this path to the identity process")


async def keys(door: Door) -> Found:
    """The JWK set: public keys, each with a name of its own."""
    address = door.address("jwks_uri")
    answer = None if address is None else await door.get(address)
    document = None if answer is None or answer.status_code != 200 else _object(answer)
    listed = None if document is None else document.get("keys")
    held = [key for key in listed if isinstance(key, dict)] if isinstance(listed, list) else []
    if not held:
        yield _of_server("error", "there is no JWK set with keys", "RFC 7517 §5", "look at kronborg key list")
        return
    if any(PRIVATE & set(key) or key.get("kty") == "oct" for key in held):
        mend = "rotate with --compromised at once, and find what rewrites the answer"
        yield _of_server("error", "the JWK set shows private keys", "RFC 7517 §9.2", mend)
    names = [key.get("kid") for key in held]
    if None in names or len(set(names)) < len(names):
        yield _of_server("error", "keys share a kid, or have none", "FAPI 2.0 SP §5.4.2 (3)", "rotate the keys")
    if any(key.get("kty") == "RSA" and len(str(key.get("n", ""))) < 342 for key in held):
        yield _of_server("error", "an RSA key has less than 2048 bits", "RFC 7518 §3.3", "rotate the keys")


async def refusals(door: Door) -> Found:
    """Wrong requests get the right answers."""
    unknown = urlencode({"response_type": "code", "client_id": STRANGER, "redirect_uri": f"{ORIGIN}/callback"})
    if (address := door.address("authorization_endpoint")) is not None:
        answer = await door.get(f"{address}?{unknown}")
        if answer.is_redirect and ORIGIN in answer.headers.get("location", ""):
            yield _of_server("error", "an unknown client is redirected to", "RFC 6749 §4.1.2.1", "never redirect there")
        elif answer.is_redirect or answer.status_code < 400:
            yield _of_server("error", "an unknown client is not refused", "RFC 6749 §4.1.2.1", "answer with a page")
    token = door.address("token_endpoint")
    if token is None:
        return
    if (await door.get(token)).status_code != 405:
        yield _of_server("error", "the token endpoint takes GET", "RFC 6749 §3.2", "forward POST only")
    grant = "grant_type=client_credentials"
    if (await door.post(f"{token}?{grant}", "")).status_code != 400:
        yield _of_server("error", "parameters are taken from the query", "RFC 6749 §2.3.1", "refuse a query")
    repeated = _object(await door.post(token, f"{grant}&{grant}&client_id={STRANGER}")) or {}
    if repeated.get("error") != "invalid_request":
        yield _of_server("error", "a repeated parameter is not refused", "RFC 6749 §3.2", "forward bodies as they are")
    stranger = await door.post(token, f"{grant}&client_id={STRANGER}")
    if stranger.status_code != 401 or "www-authenticate" not in stranger.headers:
        detail = "an unknown client is not answered 401 with WWW-Authenticate"
        yield _of_server("error", detail, "RFC 6749 §5.2", "let the status and this header through the proxy")
    inside = door.address("introspection_endpoint")
    if inside is not None and (await door.post(inside, "token=x")).status_code not in (400, 401):
        yield _of_server("error", "introspection answers strangers", "RFC 7662 §2.1", "demand a credential")


async def headers(door: Door) -> Found:
    """What browsers and caches are told."""
    for name in FORMS:
        if (address := door.address(name)) is None:
            continue
        answer = await door.post(address, "")
        if "no-store" not in answer.headers.get("cache-control", ""):
            yield _of_server("error", f"answers of the {name} may be cached", "RFC 6749 §5.1", "pass Cache-Control on")
    page = await door.get(f"{door.issuer}/signin", {"accept": "text/html"})
    policy = page.headers.get("content-security-policy", "")
    if "frame-ancestors 'none'" not in policy or "'unsafe-inline'" in policy or "default-src 'none'" not in policy:
        mend = "let Content-Security-Policy through the proxy as it is"
        yield _of_server("error", "the sign-in page has no strict content policy", "RFC 9700 §4.16", mend)
    if door.secure and "strict-transport-security" not in page.headers:
        yield _of_server("warning", "no Strict-Transport-Security", "RFC 6797 §7.1", "let the header through")
    for cookie in page.headers.get_list("set-cookie"):
        name, _, rest = cookie.partition("=")
        marks = {part.strip().lower() for part in rest.split(";")[1:]}
        strict = "httponly" in marks and marks & {"samesite=lax", "samesite=strict"}
        if not strict or (door.secure and ("secure" not in marks or not name.startswith("__Host-"))):
            mend = "let Set-Cookie through the proxy as it is"
            yield _of_server("error", f"the cookie {name} is not bound to this host", "RFC 6265bis §4.1.3.2", mend)


async def origins(door: Door) -> Found:
    """Scripts of other sites: nowhere unless registered, and never at the authorization endpoint."""
    for name in ("authorization_endpoint", "token_endpoint"):
        if (address := door.address(name)) is None:
            continue
        sent = {"origin": ORIGIN}
        answer = await door.get(address, sent) if name.startswith("auth") else await door.post(address, "", sent)
        if "access-control-allow-origin" in answer.headers:
            mend = "leave CORS to the identity process, and register origins as web_origins"
            yield _of_server("error", f"any site may call the {name}", "RFC 9700 §2.6", mend)


async def clock(door: Door) -> Found:
    """The time as the door tells it and as it is here."""
    answer = await door.get(f"{door.issuer}/.well-known/openid-configuration")
    told = answer.headers.get("date")
    if told is None:
        return
    try:
        skew = abs(parsedate_to_datetime(told).astimezone(UTC) - door.now())
    except ValueError:
        return
    if skew > MOST_SKEW:
        detail = f"the clocks differ by {int(skew.total_seconds())} seconds"
        yield _of_server("warning", detail, "RFC 7519 §4.1.4", "keep the time with NTP on every machine")


CHECKS: tuple[tuple[str, Callable[[Door], Found]], ...] = (
    ("metadata", discovery),
    ("endpoints", endpoints),
    ("keys", keys),
    ("error answers", refusals),
    ("headers and cookies", headers),
    ("cross-origin calls", origins),
    ("clock", clock),
)


async def examine(door: Door, progress: Callable[[str], None]) -> list[Finding]:
    """Every check. Raises `httpx.TransportError` when nobody answers."""
    found = []
    for name, check in CHECKS:
        progress(name)
        found += [finding async for finding in check(door)]
    return found


Handshake = Callable[[str, int], Awaitable[bool]]


async def old_tls(issuer: str, handshake: Handshake) -> list[Finding]:
    """Whether the door still speaks TLS 1.0 or 1.1."""
    parts = urlsplit(issuer)
    if parts.scheme != "https" or parts.hostname is None or not await handshake(parts.hostname, parts.port or 443):
        return []
    mend = "allow TLS 1.2 and 1.3 only, at the proxy"
    return [_of_server("error", "TLS 1.0 or 1.1 is accepted", "RFC 9325 §3.1.1", mend)]
