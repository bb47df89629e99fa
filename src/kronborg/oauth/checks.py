"""The checks of an authorization request, in their order: small functions that are silent or refuse.

BEFORE_REDIRECT come first and end on a page: as long as the client and its redirect URI are in doubt, no answer is
sent anywhere (RFC 6749 §4.1.2.1). What AFTER_REDIRECT refuses, the client learns by a redirect.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kronborg.clients.model import Client
from kronborg.clients.settings import ResponseType
from kronborg.oauth import redirects
from kronborg.oauth.authorize_errors import NoRedirect, UnsupportedResponseType
from kronborg.oauth.authorize_metadata import DISPLAYS, PROMPTS
from kronborg.oauth.authorize_request import AuthorizeRequest
from kronborg.oauth.dpop import is_thumbprint
from kronborg.oauth.errors import InvalidRequest, UnauthorizedClient
from kronborg.oauth.opening import AS_SENT, Came
from kronborg.oauth.pkce import is_challenge
from kronborg.oauth.response_types import (
    default_carrier,
    in_front_channel,
    mode_problem,
    response_type,
    takes_posts,
    words_of,
)

_MAX_AGE = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Case:
    """A request, the client it names (None when there is no such client), and how it came."""

    request: AuthorizeRequest
    client: Client | None
    came: Came = AS_SENT


@dataclass(frozen=True, slots=True)
class KnownCase:
    """A request of a client that is known, at a redirect URI of its own."""

    request: AuthorizeRequest
    client: Client
    came: Came = AS_SENT


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


def request_is_pushed(case: KnownCase) -> None:
    """The request was pushed, where its client must."""
    # RFC 9126 §6
    if case.client.settings.require_pushed_authorization_requests and not case.came.pushed:
        raise InvalidRequest("the client has to push its requests to /oauth/par")


def request_is_signed(case: KnownCase) -> None:
    """The request is a signed request object, where its client must use them."""
    # RFC 9101 §10.5
    if case.client.settings.require_signed_request_object and not case.came.signed:
        raise InvalidRequest("the client has to send its requests as signed request objects")


def redirect_is_given(case: KnownCase) -> None:
    """The redirect URI is named, where the client always does."""
    # FAPI 2.0 Security Profile §5.3.2.2
    if case.client.settings.require_redirect_uri and case.request.redirect_uri is None:
        raise InvalidRequest("the client has to name its redirect_uri")


def resource_is_given(case: KnownCase) -> None:
    """The resource is named, where the client always does."""
    # RFC 8707 §2
    if case.client.settings.require_resource and not case.request.resources:
        raise InvalidRequest("the client has to name the resource it wants to use")


def response_type_is_known(case: KnownCase) -> None:
    """The client asks for something that there is, and that it may ask for."""
    # RFC 6749 §4.1.2.1
    if case.request.response_type is None:
        raise InvalidRequest("response_type is missing")
    kind = response_type(case.request.response_type)
    if kind is None:
        raise UnsupportedResponseType("there is no such response_type")
    if kind not in case.client.settings.response_types:
        raise UnauthorizedClient("the client is not registered for this response_type")


def response_mode_is_known(case: KnownCase) -> None:
    """The answer is wanted in a way that goes with what it holds, with its address, and with its client."""
    mode, kind = case.request.response_mode, kind_of(case)
    wrong = mode_problem(mode, kind)
    if wrong is not None:
        raise InvalidRequest(wrong)
    allowed = case.client.settings.response_modes
    # FAPI 2.0 Message Signing §5.4.1
    if allowed and (mode or default_carrier(kind)) not in allowed:
        raise InvalidRequest("the client is not registered for this response_mode")
    # A form can only be posted to a web server.
    if (mode or "").startswith("form_post") and not takes_posts(redirect_target(case)):
        raise InvalidRequest("form_post needs a redirect_uri of a web server")


def client_uses_the_flow(case: KnownCase) -> None:
    """The client is registered for the grants that the response type is made of."""
    # RFC 6749 §4.1.2.1, OIDC Registration §2: which response type takes which grants.
    kind = kind_of(case)
    if "code" in words_of(kind) and "authorization_code" not in case.client.grants:
        raise UnauthorizedClient("the client is not registered for the authorization code grant")
    if in_front_channel(kind) and "implicit" not in case.client.grants:
        raise UnauthorizedClient("the client is not registered for tokens in the front channel")


def id_token_is_asked_for_in_full(case: KnownCase) -> None:
    """Whoever wants an ID token through the browser says `openid` and sends a nonce."""
    if "id_token" not in words_of(kind_of(case)):
        return
    if "openid" not in (case.request.scope or "").split(" "):
        raise InvalidRequest("an ID token needs the scope openid")
    # OIDC Core §3.2.2.1, §3.3.2.11: an ID token from the front channel is bound to its request by the nonce.
    if case.request.nonce is None:
        raise InvalidRequest("nonce is missing")


def proof_key_is_given(case: KnownCase) -> None:
    """Public clients send a challenge; whoever sends one sends S256."""
    request = case.request
    if request.code_challenge is None:
        # RFC 9700 §2.1.1: public clients must use PKCE; it protects codes.
        needed = case.client.kind == "public" or case.client.settings.require_pkce
        if needed and "code" in words_of(kind_of(case)):
            raise InvalidRequest("code_challenge is missing: the client uses PKCE")
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
    if not prompts <= set(PROMPTS):
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


def dpop_key_is_a_thumbprint(case: KnownCase) -> None:
    """`dpop_jkt` is the SHA-256 thumbprint of a key."""
    # RFC 9449 §10
    if case.request.dpop_jkt is not None and not is_thumbprint(case.request.dpop_jkt):
        raise InvalidRequest("dpop_jkt is not the thumbprint of a key")


BEFORE_REDIRECT: tuple[Callable[[Case], None], ...] = (
    client_is_named,
    client_is_known,
    redirect_is_named,
    redirect_is_registered,
)

AFTER_REDIRECT: tuple[Callable[[KnownCase], None], ...] = (
    nothing_is_repeated,
    nothing_is_malformed,
    request_is_pushed,
    request_is_signed,
    redirect_is_given,
    resource_is_given,
    response_type_is_known,
    response_mode_is_known,
    client_uses_the_flow,
    id_token_is_asked_for_in_full,
    proof_key_is_given,
    dpop_key_is_a_thumbprint,
    prompt_is_known,
    max_age_is_a_number,
    display_is_known,
)


def before_redirect(request: AuthorizeRequest, client: Client | None, came: Came = AS_SENT) -> KnownCase:
    """Run BEFORE_REDIRECT. Raises `NoRedirect`."""
    case = Case(request, client, came)
    for check in BEFORE_REDIRECT:
        check(case)
    if client is None:
        raise NoRedirect("the application is not known here, or was switched off")
    return KnownCase(request, client, came)


def after_redirect(case: KnownCase) -> None:
    """Run AFTER_REDIRECT. Raises the `OAuthError` that the client is told."""
    for check in AFTER_REDIRECT:
        check(case)


def redirect_target(case: KnownCase) -> str:
    """Where the answer goes: what `redirect_uri` says, else the only one registered."""
    return case.request.redirect_uri or case.client.redirect_uris[0]


def kind_of(case: KnownCase) -> ResponseType:
    """What the client asks for, once `response_type_is_known` has passed; `code` before."""
    return response_type(case.request.response_type) or "code"
