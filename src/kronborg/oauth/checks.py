"""The checks of an authorization request, in their order: small functions that are silent or refuse.

BEFORE_REDIRECT come first and end on a page: as long as the client and its redirect URI are in doubt, no answer is
sent anywhere (RFC 6749 §4.1.2.1). What AFTER_REDIRECT refuses, the client learns by a redirect.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kronborg.clients.model import Client
from kronborg.oauth import redirects
from kronborg.oauth.authorize_errors import (
    NoRedirect,
    RequestNotSupported,
    RequestUriNotSupported,
    UnsupportedResponseType,
)
from kronborg.oauth.authorize_request import AuthorizeRequest
from kronborg.oauth.errors import InvalidRequest, UnauthorizedClient
from kronborg.oauth.pkce import is_challenge

PROMPTS = frozenset({"none", "login", "consent", "select_account"})
DISPLAYS = frozenset({"page", "popup", "touch", "wap"})
_MAX_AGE = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Case:
    """A request, and the client it names; None when there is no such client."""

    request: AuthorizeRequest
    client: Client | None


@dataclass(frozen=True, slots=True)
class KnownCase:
    """A request of a client that is known, at a redirect URI of its own."""

    request: AuthorizeRequest
    client: Client


def client_is_named(case: Case) -> None:
    """There is one well-formed `client_id`."""
    # RFC 6749 §3.1: parameters must not be included more than once.
    if case.request.client_id is None:
        raise NoRedirect("the request does not name the application in one well-formed client_id")


def client_is_known(case: Case) -> None:
    """The client is registered and not disabled."""
    if case.client is None or case.client.disabled:
        raise NoRedirect("the application is not known here, or was switched off")


def redirect_is_named(case: Case) -> None:
    """It is clear which redirect URI is meant."""
    request, client = case.request, case.client
    if "redirect_uri" in request.repeated | request.malformed:
        raise NoRedirect("the redirect_uri is repeated or malformed")
    if request.redirect_uri is not None or client is None:
        return
    # OIDC Core §3.1.2.1: required. RFC 6749 §3.1.2.3: may be left out when exactly one is registered.
    if "openid" in (request.scope or "").split(" "):
        raise NoRedirect("the request names no redirect_uri, which a sign-in needs")
    if len(client.redirect_uris) != 1:
        raise NoRedirect("the request names no redirect_uri, and the application has none or several")


def redirect_is_registered(case: Case) -> None:
    """The redirect URI is one of the client's own."""
    uri, client = case.request.redirect_uri, case.client
    # RFC 6749 §3.1.2.4: never redirect to an address that is not registered.
    if uri is None or client is None:
        return
    if not redirects.matches(uri, client.redirect_uris, native=client.kind == "public"):
        raise NoRedirect("the redirect_uri is not registered for the application")


def nothing_is_repeated(case: KnownCase) -> None:
    """No parameter stands twice."""
    # RFC 6749 §3.1
    if case.request.repeated:
        raise InvalidRequest("a parameter is given more than once")


def nothing_is_malformed(case: KnownCase) -> None:
    """Every parameter is text of a sane length."""
    if case.request.malformed:
        raise InvalidRequest("a parameter is too long, or not well-formed text")


def no_request_object(case: KnownCase) -> None:
    """The request is made of its parameters alone."""
    # OIDC Core §6.1, §6.2: said so, because ignoring it would change the meaning of the request.
    if case.request.request is not None:
        raise RequestNotSupported("request objects are not supported")
    if case.request.request_uri is not None:
        raise RequestUriNotSupported("request_uri is not supported")


def response_type_is_code(case: KnownCase) -> None:
    """The client asks for a code."""
    # RFC 6749 §4.1.2.1
    if case.request.response_type is None:
        raise InvalidRequest("response_type is missing")
    if case.request.response_type != "code":
        raise UnsupportedResponseType("the only response_type is code")


def response_mode_is_known(case: KnownCase) -> None:
    """The answer is wanted in the query or the fragment."""
    # OAuth 2.0 Multiple Response Types §2.1
    if case.request.response_mode not in (None, *redirects.RESPONSE_MODES):
        raise InvalidRequest("response_mode is query or fragment")


def client_uses_codes(case: KnownCase) -> None:
    """The client is registered for this grant."""
    # RFC 6749 §4.1.2.1
    if "authorization_code" not in case.client.grants:
        raise UnauthorizedClient("the client is not registered for the authorization code grant")


def proof_key_is_given(case: KnownCase) -> None:
    """Public clients send a challenge; whoever sends one sends S256."""
    request = case.request
    if request.code_challenge is None:
        # RFC 9700 §2.1.1: public clients must use PKCE.
        if case.client.kind == "public":
            raise InvalidRequest("code_challenge is missing: public clients use PKCE")
        if request.code_challenge_method is not None:
            raise InvalidRequest("code_challenge_method without a code_challenge")
        return
    # RFC 7636 §4.3: a missing method means `plain`, which shows the verifier to whoever sees the request.
    if request.code_challenge_method != "S256":
        raise InvalidRequest("code_challenge_method must be S256")
    # RFC 7636 §4.2: the base64url form of 32 bytes.
    if not is_challenge(request.code_challenge):
        raise InvalidRequest("code_challenge is not 43 characters of base64url")


def prompt_is_known(case: KnownCase) -> None:
    """`prompt` holds known values, and `none` stands alone."""
    # OIDC Core §3.1.2.1
    prompts = case.request.prompts
    if prompts - PROMPTS:
        raise InvalidRequest("prompt holds an unknown value")
    if "none" in prompts and len(prompts) > 1:
        raise InvalidRequest("prompt none goes with no other value")


def max_age_is_a_number(case: KnownCase) -> None:
    """`max_age` is a number of seconds."""
    # OIDC Core §3.1.2.1
    if case.request.max_age is not None and not _MAX_AGE.fullmatch(case.request.max_age):
        raise InvalidRequest("max_age is not a number of seconds")


def display_is_known(case: KnownCase) -> None:
    """`display` is one of the defined words; all of them get the same pages, which fit any screen."""
    # OIDC Core §3.1.2.1
    if case.request.display not in (None, *DISPLAYS):
        raise InvalidRequest("display holds an unknown value")


BEFORE_REDIRECT: tuple[Callable[[Case], None], ...] = (
    client_is_named,
    client_is_known,
    redirect_is_named,
    redirect_is_registered,
)

AFTER_REDIRECT: tuple[Callable[[KnownCase], None], ...] = (
    nothing_is_repeated,
    nothing_is_malformed,
    no_request_object,
    response_type_is_code,
    response_mode_is_known,
    client_uses_codes,
    proof_key_is_given,
    prompt_is_known,
    max_age_is_a_number,
    display_is_known,
)


def before_redirect(request: AuthorizeRequest, client: Client | None) -> KnownCase:
    """Run BEFORE_REDIRECT. Raises `NoRedirect`."""
    case = Case(request, client)
    for check in BEFORE_REDIRECT:
        check(case)
    if client is None:
        raise NoRedirect("the application is not known here, or was switched off")
    return KnownCase(request, client)


def after_redirect(case: KnownCase) -> None:
    """Run AFTER_REDIRECT. Raises the `OAuthError` that the client is told."""
    for check in AFTER_REDIRECT:
        check(case)


def redirect_target(case: KnownCase) -> str:
    """Where the answer goes: what `redirect_uri` says, else the only one registered."""
    return case.request.redirect_uri or case.client.redirect_uris[0]
