"""Why a route's conditions, changes, streams or shares cannot be published."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import timedelta
from difflib import get_close_matches
from urllib.parse import urlsplit

from kronborg.core.errors import Problem
from kronborg.gateway.envoy.hygiene import unwanted
from kronborg.gateway.model import Path, Route, Service
from kronborg.gateway.path_problems import host_is_valid, is_absolute, path_is_valid
from kronborg.gateway.pattern_model import substitution
from kronborg.gateway.traffic_model import Condition, HeaderEdits

_STRIPPED = re.compile(unwanted(cookies=True))
# RFC 9110 section 5.1, in lower case, without underscores (refused by the listener) and dots (taken away).
_HEADER = re.compile(r"[a-z0-9!#$&'*+^`|~-]{1,64}")
_WORD = re.compile(r"[A-Za-z0-9_~-]{1,64}")
_PARAMETER = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?")
_IN_QUERY = re.compile(r"[A-Za-z0-9\-._~!$'()*,:@/?]{0,256}")
_IN_COOKIE = re.compile(r"[A-Za-z0-9!#$&'()*+\-./:<=>?@\[\]^_`{|}~]{1,128}")
# What RE2 does not know: look-around, conditions, back references, possessive and atomic groups.
_NOT_RE2 = re.compile(r"\(\?(?!:)|\\[1-9kgZz]|[*+?}]\+")
_TIMES = re.compile(r"\{(\d*)(?:,(\d*))?\}")
_MOST_REPETITIONS = 200
# Where a message ends, where it goes and who sent it is nothing to change or to decide on.
_FRAMING = frozenset(
    [
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    ]
)
_SENDER = frozenset({"authorization", "cookie", "dpop", "forwarded", "grpc-timeout", "x-request-id"})
_OWN_ANSWERS = frozenset({"server", "www-authenticate", "x-request-id"})
_OURS = ("x-kronborg-", "x-envoy-", "x-forwarded-", "access-control-", ":")
_CODES = (301, 302, 303, 307, 308)
_DAY = timedelta(days=1)
_YEAR = timedelta(days=366)


def problems_of(route: Route, services: dict[str, Service]) -> Iterator[Problem]:
    """Every reason against the traffic of one route."""
    where = f"routes.{route.name}"
    yield from _conditions(route, where)
    yield from _cors(route, where)
    yield from _changes(route, where)
    yield from _edits(route.request_headers, f"{where}.request_headers", _FRAMING | _SENDER, incoming=True)
    yield from _edits(route.response_headers, f"{where}.response_headers", _FRAMING | _OWN_ANSWERS, incoming=False)
    yield from _streams(route, where, services)
    yield from _shares(route, where, services)
    yield from _sticky(route, where)


def _conditions(route: Route, where: str) -> Iterator[Problem]:
    for one in route.headers:
        yield from _header_name(one.name, f"{where}.headers", _FRAMING | _SENDER)
        yield from _condition(one, f"{where}.headers", _VALUE)
    for one in route.query:
        if _PARAMETER.fullmatch(one.name) is None:
            yield Problem(f"{where}.query", "is not a plain parameter name", "use letters, digits and - . _ ~")
        yield from _condition(one, f"{where}.query", _IN_QUERY)


def _condition(one: Condition, where: str, value: re.Pattern[str]) -> Iterator[Problem]:
    if sum(part is not None for part in (one.present, one.exact, one.prefix, one.regex)) > 1:
        yield Problem(where, "says more than one thing", "use one of present, exact, prefix, regex")
    for text in (one.exact, one.prefix):
        if text is not None and value.fullmatch(text) is None:
            yield Problem(where, "is not a value that can be compared", "use plain printable ASCII, not encoded")
    if one.regex is not None and not is_re2(one.regex):
        yield Problem(where, "is not a regular expression of RE2", "no look-around or back references, 256 letters")


def is_re2(text: str) -> bool:
    """Whether this is a regular expression that takes time in proportion to what it reads, of a bounded size."""
    counts = (int(most or least or 0) for least, most in _TIMES.findall(text))
    if not 0 < len(text) <= 256 or not text.isascii() or _NOT_RE2.search(text) or sum(counts) > _MOST_REPETITIONS:
        return False
    try:
        re.compile(text)
    except (re.error, OverflowError):
        return False
    return text.isprintable()


def _header_name(name: str, where: str, kept: Collection[str]) -> Iterator[Problem]:
    if _HEADER.fullmatch(name) is None or name in kept or name.startswith(_OURS):
        yield Problem(where, "is not a header for this", "use a lower-case name that frames and identifies nothing")
    elif _STRIPPED.fullmatch(name):
        yield Problem(where, "is taken away from every request at the door", "use a name without x- and of no identity")


def _cors(route: Route, where: str) -> Iterator[Problem]:
    if route.cors is None:
        return
    for origin in route.cors.origins:
        plain = origin.replace("://*.", "://", 1)
        below = plain == origin or (urlsplit(plain).hostname or "").count(".") > 0
        if not is_absolute(plain) or urlsplit(plain).path or not below:
            yield Problem(f"{where}.cors.origins", "is not an origin", "write https://host[:port]")
    for name in route.cors.headers:
        yield from _header_name(name, f"{where}.cors.headers", _FRAMING)
    for name in route.cors.exposed:
        if _HEADER.fullmatch(name) is None:
            yield Problem(f"{where}.cors.exposed", "is not a header name", "write it in lower case")
    if not timedelta(0) <= route.cors.max_age <= _DAY:
        yield Problem(f"{where}.cors.max_age", "is out of range", "use at most a day")


def _changes(route: Route, where: str) -> Iterator[Problem]:
    rewrite, redirect = route.rewrite, route.redirect
    if rewrite is not None:
        yield from _target(route.path, rewrite.prefix, rewrite.path, f"{where}.rewrite")
        if rewrite.host is not None and not host_is_valid(rewrite.host):
            yield Problem(f"{where}.rewrite.host", "is not a host name", "use a plain lower-case name without a port")
    if redirect is None:
        return
    yield from _target(route.path, redirect.prefix, redirect.path, f"{where}.redirect")
    if redirect.host is not None and not host_is_valid(redirect.host):
        yield Problem(f"{where}.redirect.host", "is not a host name", "use a plain lower-case name without a port")
    if redirect.code not in _CODES:
        yield Problem(f"{where}.redirect.code", "is not a redirect", "use 301, 302, 303, 307 or 308")
    if redirect.port is not None and not 1 <= redirect.port <= 65535:
        yield Problem(f"{where}.redirect.port", "is out of range", "use 1 to 65535")
    if (redirect.scheme, redirect.host, redirect.port, redirect.prefix, redirect.path) == (None,) * 5:
        yield Problem(f"{where}.redirect", "leads back to where it came from", "name a scheme, host, port or path")
    flags = route.websocket or route.stream or route.grpc or route.compress
    if flags or route.rewrite or route.cors or route.split or route.canary or route.mirror or route.sticky:
        yield Problem(where, "redirects and yet says how a service is reached", "drop `redirect`, or the rest")


def _target(path: Path, prefix: str | None, whole: str | None, where: str) -> Iterator[Problem]:
    if prefix is not None and whole is not None:
        yield Problem(where, "names both a prefix and a path", "use one of them")
    if prefix is not None and path.kind != "prefix":
        yield Problem(f"{where}.prefix", "stands on a route without a prefix", "use `path`")
    if prefix is not None and not path_is_valid(Path("prefix", prefix)):
        yield Problem(f"{where}.prefix", "is not a path in normal form", "start with /")
    if whole is None:
        return
    names = path.pattern.names if path.pattern else ()
    made = substitution(whole, names)
    if made is None or "\\" in whole or not path_is_valid(Path("exact", re.sub(r"\\[1-9]", "x", made))):
        yield Problem(
            f"{where}.path", "is not a path in normal form", "start with /, and name places of the route's template"
        )


def _edits(told: HeaderEdits | None, where: str, kept: Collection[str], *, incoming: bool) -> Iterator[Problem]:
    if told is None:
        return
    lines = (*told.set, *told.append)
    if len(lines) + len(told.remove) > 40:
        yield Problem(where, "there are too many changes", "use at most 40")
    for name in (*(line.name for line in lines), *told.remove):
        if _HEADER.fullmatch(name) is None or name in kept or name.startswith(_OURS):
            yield Problem(
                where, "is not a header to change", "use a lower-case name that frames and identifies nothing"
            )
        elif incoming and _STRIPPED.fullmatch(name) and _STRIPPED.fullmatch(name.removeprefix("x-")):
            yield Problem(where, "is a name that services take for an identity", "use another name")
    for line in lines:
        if _VALUE.fullmatch(line.value) is None:
            yield Problem(where, "is not a header value", "use printable ASCII, at most 1024 characters")


def _streams(route: Route, where: str, services: dict[str, Service]) -> Iterator[Problem]:
    endless = route.websocket or route.stream or route.grpc
    if route.idle is not None and (not endless or not timedelta(0) < route.idle <= _DAY):
        yield Problem(f"{where}.idle", "is out of range, or there is no stream", "use it on streams, at most a day")
    if route.websocket and route.grpc:
        yield Problem(where, "is both a WebSocket and gRPC", "make two routes")
    if route.websocket and route.methods and "GET" not in route.methods:
        # RFC 6455 section 4.1: the handshake is a GET.
        yield Problem(f"{where}.methods", "a WebSocket begins with GET", "let GET through")
    if route.grpc:
        for name in sorted(set(route.services)):
            if name in services and not services[name].http2:
                yield Problem(f"{where}.grpc", "a service does not speak HTTP/2", "say `http2: true` at the service")
    if route.compress and (route.cookies or route.stream or route.grpc or route.websocket):
        # BREACH: beside what a stranger may choose, the length of a compressed answer tells its secrets.
        yield Problem(f"{where}.compress", "compresses a stream, or answers to cookies", "drop one of the two")
    if route.mirror is not None and endless:
        yield Problem(f"{where}.mirror", "a stream cannot be copied", "drop one of the two")


def _shares(route: Route, where: str, services: dict[str, Service]) -> Iterator[Problem]:
    named = [(f"{where}.split", one.service) for one in route.split]
    named += [(f"{where}.canary", one.service) for one in route.canary]
    named += [(f"{where}.mirror", route.mirror.service)] if route.mirror else []
    for place, name in named:
        if name not in services:
            near = get_close_matches(name, sorted(services), 1)
            yield Problem(place, "the service is unknown", f"did you mean {near[0]}?" if near else "declare it first")
    parts = [one.service for one in route.split]
    if len({route.service, *parts}) <= len(parts):
        yield Problem(f"{where}.split", "a service is named twice", "the route's own service gets what is left")
    if any(not 0 <= one.percent <= 100 for one in route.split) or sum(one.percent for one in route.split) > 100:
        yield Problem(f"{where}.split", "is more than a hundred per cent", "the parts are together at most 100")
    for one in route.canary:
        if (one.header is None) == (one.cookie is None):
            yield Problem(f"{where}.canary", "needs either header or cookie", "name one of them")
        if one.header is not None:
            yield from _header_name(one.header, f"{where}.canary", _FRAMING | _SENDER)
        if one.cookie is not None and _WORD.fullmatch(one.cookie) is None:
            yield Problem(f"{where}.canary", "is not a cookie name", "use letters, digits, - and _")
        if one.value is not None and (_VALUE if one.header else _IN_COOKIE).fullmatch(one.value) is None:
            yield Problem(f"{where}.canary", "is not a value that can be compared", "use plain printable ASCII")
    if route.mirror is not None and (not 1 <= route.mirror.percent <= 100 or route.mirror.service == route.service):
        yield Problem(f"{where}.mirror", "copies nothing, or to the same service", "use 1 to 100 and another service")


def _sticky(route: Route, where: str) -> Iterator[Problem]:
    sticky = route.sticky
    if sticky is None:
        return
    if sticky.by == "cookie" and _WORD.fullmatch(sticky.name) is None:
        yield Problem(f"{where}.sticky.name", "is not a cookie name", "use letters, digits, - and _")
    if sticky.by == "cookie" and not route.cookies:
        # Envoy looks for it after it took away what the service is not to see.
        yield Problem(f"{where}.sticky", "the cookie is taken away from requests", "say `cookies: true` too")
    if sticky.by == "header":
        yield from _header_name(sticky.name, f"{where}.sticky.name", _FRAMING | _SENDER)
    if sticky.by == "user" and route.public:
        yield Problem(f"{where}.sticky.by", "a public route knows no user", "use cookie, header or address")
    if sticky.ttl is not None and not timedelta(seconds=1) <= sticky.ttl <= _YEAR:
        yield Problem(f"{where}.sticky.ttl", "is out of range", "use a second to a year")
