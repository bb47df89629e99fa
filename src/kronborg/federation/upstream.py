"""Where a provider's endpoints are, and the two calls of the code flow (RFC 6749 §4.1, OIDC Core §3.1).

    Refusal
    └─ UpstreamRefused   the provider does not answer as it should; `reason` is for the log and the connection test

Everything that a provider names is called by `core/fetch.py` alone: its addresses are as hostile as anybody's.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from kronborg.core.crypto import Vault
from kronborg.core.errors import Refusal
from kronborg.core.fetch import Fetcher, Unreachable
from kronborg.core.fetched import Fetched
from kronborg.core.json import JsonObject, JsonValue, NotJson, read_list, read_object
from kronborg.core.log import get_logger
from kronborg.federation.client_secrets import client_assertion, open_secret, signed_secret
from kronborg.federation.model import Attempt
from kronborg.federation.presets import Known

log = get_logger("kronborg.federation")

DISCOVERY = "/.well-known/openid-configuration"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
MAX_TOKEN = 16 * 1024


class UpstreamRefused(Refusal):
    """A provider said no, or something that cannot be believed. `reason` never goes to the person."""

    def __init__(self, reason: str) -> None:
        super().__init__("the provider did not vouch for you")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider is. `issuer` is what its metadata say, which may hold a placeholder for the tenant."""

    issuer: str
    authorization: str
    token: str
    userinfo: str = ""
    jwks_uri: str = ""
    end_session: str = ""
    tells_issuer: bool = False
    """RFC 9207 §3: its answers carry `iss`."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a code was traded for."""

    access_token: str
    id_token: str


async def endpoints_of(fetcher: Fetcher, known: Known, *, now: datetime, renew: bool = False) -> Endpoints:
    """The endpoints of a provider: its settings, and what discovery says. Raises `UpstreamRefused`."""
    settings = known.settings
    found: JsonObject = {}
    complete = settings.authorization_endpoint and settings.token_endpoint and settings.jwks_uri
    if known.provider.kind == "oidc" and not complete:
        found = await _discovered(fetcher, known, now=now, renew=renew)
    endpoints = Endpoints(
        issuer=_text(found, "issuer") or settings.issuer,
        authorization=settings.authorization_endpoint or _text(found, "authorization_endpoint"),
        token=settings.token_endpoint or _text(found, "token_endpoint"),
        userinfo=settings.userinfo_endpoint or _text(found, "userinfo_endpoint"),
        jwks_uri=settings.jwks_uri or _text(found, "jwks_uri"),
        end_session=_text(found, "end_session_endpoint"),
        tells_issuer=found.get("authorization_response_iss_parameter_supported") is True,
    )
    for url in (endpoints.authorization, endpoints.token):
        if not is_safe(url):
            raise UpstreamRefused("the provider has no authorization or token endpoint that is https")
    if known.provider.kind == "oidc" and not is_safe(endpoints.jwks_uri):
        raise UpstreamRefused("the provider publishes no keys")
    return endpoints


async def _discovered(fetcher: Fetcher, known: Known, *, now: datetime, renew: bool) -> JsonObject:
    issuer = known.settings.issuer
    try:
        found = await fetcher.document(issuer.rstrip("/") + DISCOVERY, now=now, renew=renew)
    except Unreachable as refusal:
        raise UpstreamRefused(f"discovery failed: {refusal.reason}") from refusal
    said = _text(found, "issuer")
    # OIDC Discovery §4.3: exactly the issuer that was asked for; one provider writes a placeholder for any tenant.
    many = known.preset.issuer_is_template and known.settings.tenant in ("", "common", "organizations", "consumers")
    templated = issuer.replace(f"/{known.settings.tenant or 'common'}/", "/{tenantid}/")
    if said != (templated if many else issuer):
        raise UpstreamRefused("discovery names another issuer")
    return found


def is_safe(url: str) -> bool:
    """Whether a browser or this server may be sent there: https, or http on this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if not parts.hostname or len(url) > 2000 or not url.isascii() or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def authorization_url(endpoints: Endpoints, known: Known, parameters: Mapping[str, str]) -> str:
    """Where the browser goes, with these parameters; an endpoint may have a query of its own (RFC 6749 §3.1)."""
    joint = "&" if "?" in endpoints.authorization else "?"
    return endpoints.authorization + joint + urlencode({name: value for name, value in parameters.items() if value})


async def redeem(
    fetcher: Fetcher,
    vault: Vault,
    known: Known,
    endpoints: Endpoints,
    attempt: Attempt,
    *,
    code: str,
    redirect_uri: str,
    now: datetime,
) -> Tokens:
    """Trade the code. Raises `UpstreamRefused`."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    if attempt.verifier:
        form["code_verifier"] = attempt.verifier  # RFC 7636 §4.5
    headers = {"accept": "application/json"}
    _authenticate(vault, known, endpoints, form, headers, now=now)
    try:
        answer = await fetcher.post(
            endpoints.token, urlencode(form).encode(), "application/x-www-form-urlencoded", headers
        )
    except Unreachable as refusal:
        raise UpstreamRefused(f"the token endpoint failed: {refusal.reason}") from refusal
    said = _token_answer(answer)
    if answer.status != 200 or "error" in said:
        # An error code is one of a short list (RFC 6749 §5.2); the description is theirs, and not for our log.
        code_said = _text(said, "error")
        raise UpstreamRefused(f"the token endpoint refused: {code_said if code_said.isidentifier() else 'no code'}")
    access_token, id_token = _text(said, "access_token"), _text(said, "id_token")
    if not access_token or len(access_token) > MAX_TOKEN:
        raise UpstreamRefused("the token endpoint gave no access token")
    return Tokens(access_token, id_token)


def _authenticate(
    vault: Vault,
    known: Known,
    endpoints: Endpoints,
    form: dict[str, str],
    headers: dict[str, str],
    *,
    now: datetime,
) -> None:
    """Say who we are, in the one way that the provider knows."""
    client_id, secret = known.settings.client_id, open_secret(vault, known.provider)
    if known.preset.secret == "es256":  # noqa: S105  # a kind of secret
        secret = signed_secret(known, secret, endpoints.issuer, now=now)
    match known.settings.auth_method:
        case "client_secret_basic":
            # RFC 6749 §2.3.1: both form-encoded before they are joined.
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
            headers["authorization"] = "Basic " + b64encode(pair.encode()).decode()
        case "private_key_jwt":
            form["client_id"] = client_id
            form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            form["client_assertion"] = client_assertion(client_id, secret, endpoints.issuer, now=now)
        case "none":
            form["client_id"] = client_id
        case _:
            form |= {"client_id": client_id, "client_secret": secret}


async def userinfo(fetcher: Fetcher, known: Known, endpoints: Endpoints, access_token: str) -> JsonObject:
    """What the provider says of the owner of the token (OIDC Core §5.3). Raises `UpstreamRefused`."""
    answer = await _get(fetcher, endpoints.userinfo, known.preset.accept_header, access_token)
    try:
        return read_object(answer.body)
    except NotJson:
        raise UpstreamRefused("userinfo is not a JSON object") from None


async def primary_email(fetcher: Fetcher, known: Known, access_token: str, url: str) -> tuple[str, bool]:
    """The primary address of a list of addresses, and whether it is verified. Raises `UpstreamRefused`."""
    answer = await _get(fetcher, url, known.preset.accept_header, access_token)
    try:
        listed = read_list(answer.body)
    except NotJson:
        raise UpstreamRefused("the list of addresses is no JSON list") from None
    for entry in listed:
        if isinstance(entry, Mapping) and entry.get("primary") is True:
            return _text(entry, "email"), entry.get("verified") is True
    return "", False


async def _get(fetcher: Fetcher, url: str, accept: str, access_token: str) -> Fetched:
    if not access_token.isascii() or not access_token.isprintable():
        raise UpstreamRefused("the access token is not one")
    try:
        return await fetcher.get(
            url, accept=("application/json", accept), headers={"authorization": f"Bearer {access_token}"}
        )
    except Unreachable as refusal:
        raise UpstreamRefused(f"userinfo failed: {refusal.reason}") from refusal


def _token_answer(answer: Fetched) -> JsonObject:
    if answer.media_type == "application/x-www-form-urlencoded":
        try:
            return dict(parse_qsl(answer.body.decode("ascii"), max_num_fields=20))
        except ValueError:
            raise UpstreamRefused("the token endpoint answered nonsense") from None
    try:
        return read_object(answer.body)
    except NotJson:
        raise UpstreamRefused("the token endpoint did not answer with JSON") from None


def _text(document: JsonObject, name: str) -> str:
    value: JsonValue = document.get(name)
    return value if isinstance(value, str) else ""
