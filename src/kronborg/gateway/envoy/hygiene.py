"""Which request headers may come in from outside, and which are taken away before anything reads them.

Of names that begin with `x-` only a short list passes; names with a dot, and names that services or other
proxies are known to trust as an identity, never do. Underscores are refused by the listener. What a service
may trust afterwards was written by the gateway itself: `x-request-id`, `x-forwarded-*`, `x-kronborg-*`.
"""

from __future__ import annotations

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.filters.phantom import KEY_HEADER
from kronborg.gateway.envoy.resource import typed

PASSED = ("x-csrf-token", "x-idempotency-key", "x-requested-with")
"""The only `x-` headers that pass from outside."""

_FAMILIES = (
    r"(?:auth|authenticated|consumer|email|forwarded|group|groups|id|identity|jwt|kronborg|principal"
    r"|proxy|real|remote|role|roles|scope|scopes|ssl|sub|subject|tenant|token|true|username|userid)(?:-.*)?"
)
_USERS = r"user(?:-(?:email|group|groups|id|ip|name|principal|role|roles|scope|scopes))?"
# What well-known proxies and directories write for the services behind them.
_PRODUCTS = (
    r"(?:ajp|amzn|arr|cas|dapr|gap|goog|iap|impersonate|istio|iv|l5d|mellon|oidc|saml|shib|sm|sso|tailscale|wl)-.*"
    r"|access-token|cf-access-.*|eppn|on-behalf-of|web-auth-.*"
)
# The second is read as the name behind it by what stands before gRPC services, ours among them.
_OTHERS = (
    r"base-url|cf-connecting-ip|front-end-.*|grpc-metadata-.*|host-override|http-.*|original-.*|originating-.*|request-uri"
    r"|rewrite-.*|.*-(?:client-?ip|user)|clientip|rlnclientipaddr|user-?info|z-forwarded-for"
)


def all_but(names: tuple[str, ...]) -> str:
    """A regular expression for every non-empty string that is none of `names`, without look-ahead (RE2)."""
    firsts = sorted({name[0] for name in names if name})
    branches = [f"[^{''.join(_in_class(first) for first in firsts)}].*" if firsts else ".+"]
    for first in firsts:
        rests = tuple(name[1:] for name in names if name[:1] == first)
        rest = all_but(rests)
        branches.append(_literal(first) + (f"(?:{rest})" if "" in rests else f"(?:{rest})?"))
    return "|".join(branches)


def _in_class(character: str) -> str:
    return "\\" + character if character in "\\^]-" else character


def _literal(character: str) -> str:
    return character if character.isalnum() or character == "-" else "\\" + character


def unwanted(*, cookies: bool = False, keys: bool = False, more: tuple[str, ...] = ()) -> str:
    """The regular expression of the header names that are taken away; without `cookies` the Cookie header too, without
    `keys` that of API keys. `more` of `x-` and `client-` pass."""
    passed = (*PASSED, KEY_HEADER, *more) if keys else (*PASSED, *more)
    rest = all_but(tuple(name.removeprefix("x-") for name in passed if name.startswith("x-")))
    clients = all_but(tuple(name.removeprefix("client-") for name in passed if name.startswith("client-")))
    cookie = "" if cookies else "|cookie"
    return rf"x-(?:{rest})?|x|.*\..*|{_FAMILIES}|client(?:-(?:{clients})?)?|{_USERS}|{_PRODUCTS}|{_OTHERS}{cookie}"


def stripping(*, cookies: bool, keys: bool = False, more: tuple[str, ...] = ()) -> JsonObject:
    """The extension that strips a request before routing, filters and Envoy's own headers."""
    removal: JsonObject = {
        "remove_on_match": {"key_matcher": {"safe_regex": {"regex": unwanted(cookies=cookies, keys=keys, more=more)}}},
    }
    return {
        "name": "hygiene",
        "typed_config": typed(
            "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            mutations=[removal],
        ),
    }
