"""What the proxy asks about one request: its route's policy, the bounds of its JSON, and the service's document.

Pure: a question in the proxy's framing and what is published go in, a verdict comes out. The framing is a head of
lines and the body behind it: method, target, the claims of the verified token as base64url or `-`, `name:value` for
each header, an empty line. The proxy writes all of it, and no header can hold a line end (RFC 9110 section 5.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from kronborg.core.base64url import from_b64
from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.access_model import TokenIssuer, claim_path
from kronborg.gateway.content_model import Content
from kronborg.gateway.documents_check import Parsed, Sent, check, is_json
from kronborg.gateway.documents_compile import Compiled
from kronborg.gateway.guard_json import Refused, parse
from kronborg.gateway.guard_model import LARGEST_HEAD
from kronborg.gateway.model import Path, Route
from kronborg.gateway.policies import Facts, decide, needs_decision

_XML = ("application/xml", "text/xml")


class Malformed(ValueError):
    """The question is none that a proxy of ours asks."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question."""

    sent: Sent
    claims: JsonObject


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` empty: it passes. `reported`: what it would be refused for if the route did not only report."""

    reason: str = ""
    errors: tuple[Refused, ...] = ()
    reported: str = ""


def read_question(body: bytes) -> Asked:
    """The question that the proxy asked. Raises `Malformed`."""
    head, end, content = body.partition(b"\n\n")
    lines = head.decode("utf-8", "replace").split("\n")
    if not end or len(head) > LARGEST_HEAD or len(lines) < 3:
        raise Malformed("a question without a head")
    method, target, claims, *rest = lines
    headers: dict[str, tuple[str, ...]] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon:
            raise Malformed("a header without a value")
        headers[name.lower()] = (*headers.get(name.lower(), ()), value)
    path, _, query = target.partition("?")
    return Asked(Sent(method, path, query, headers, content), _claims(claims))


def _claims(text: str) -> JsonObject:
    if text == "-":
        return {}
    try:
        claims = orjson.loads(from_b64(text))
    except ValueError as error:
        raise Malformed("claims that are no JSON") from error
    if not isinstance(claims, dict):
        raise Malformed("claims that are no object")
    return claims


def permits(route: Route, asked: Asked, issuers: tuple[TokenIssuer, ...], own: str) -> bool:
    """Whether the policy of the route, if it has one that only we can decide, lets the request pass; `own` is our
    issuer. Nobody learns what a body should be who may not send one."""
    if route.policy is None or route.public or not needs_decision(route.policy, route.name):
        return True
    facts = facts_of(route, asked, issuers, own)
    return facts is not None and decide(route.policy, facts)


def look(route: Route, sent: Sent, document: Compiled | None) -> Verdict:
    """What there is against the contents of a request."""
    content = route.content
    if content is None:
        return Verdict()
    try:
        value = _body(content, sent, described=content.validate == "enforce")
    except Refused as refused:
        return Verdict(refused.reason, (refused,))
    if content.validate == "off":
        return Verdict()
    if document is None:
        return Verdict("document_missing") if content.validate == "enforce" else Verdict(reported="document_missing")
    wrong = check(document, _as_served(route, sent), content.json, value)
    if not wrong:
        return Verdict()
    reason = wrong[0].reason
    return Verdict(reason, tuple(wrong)) if content.validate == "enforce" else Verdict(reported=reason)


def errors_of(verdict: Verdict) -> bytes:
    """What is wrong and where (RFC 9457 section 3), as JSON that names nothing that was sent."""
    told: list[JsonValue] = []
    for one in verdict.errors:
        if one.place == "body":
            told.append({"pointer": one.pointer, "expected": one.expected})
        elif one.pointer:
            told.append({"in": one.place, "parameter": one.pointer, "expected": one.expected})
        else:
            told.append({"in": one.place, "expected": one.expected})
    return orjson.dumps(told)


def facts_of(route: Route, asked: Asked, issuers: tuple[TokenIssuer, ...], own: str) -> Facts | None:
    """What the policy may ask of the request; names of another issuer's people and clients stand behind its own.

    None for a token of an issuer that is not published any more, which the proxy may still know: its people are not
    ours.
    """
    claims = asked.claims
    source = next((one for one in issuers if one.issuer == claims.get("iss")), None)
    if source is None and claims.get("iss") != own:
        return None
    prefix = "" if source is None else f"{source.name}:"
    subject = claims.get("sub" if source is None else source.subject_claim, "")
    client = claims.get("client_id" if source is None else source.client_claim, "")
    scope = claims.get("scope" if source is None else source.scope_claim, "")
    roles = _at(claims, ("roles",) if source is None else claim_path(source.roles_claim))
    return Facts(
        subject=f"{prefix}{subject}",
        client=f"{prefix}{client}",
        method=asked.sent.method,
        route=route.name,
        path=asked.sent.path,
        scopes=tuple(scope.split()) if isinstance(scope, str) else _texts(scope),
        roles=_texts(roles),
        claims=claims,
    )


def _texts(value: JsonValue) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, (list, tuple)) else ()


def _at(value: JsonValue, names: tuple[str, ...]) -> JsonValue:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _body(content: Content, sent: Sent, *, described: bool) -> Parsed | None:
    """What holds for every body, whatever the document says; the value of one that is JSON. Raises `Refused`."""
    # RFC 9110 section 8.4: what is packed would have to be unpacked to be looked at, without knowing how large it is.
    if any(line.strip().lower() not in ("", "identity") for line in sent.headers.get("content-encoding", ())):
        raise Refused("wrong_media_type", "no Content-Encoding")
    if not sent.body:
        return None
    media, charset = sent.media()
    if not described and not _is_taken(media, content.types):
        raise Refused("wrong_media_type", "a Content-Type that the route takes")
    if (media in _XML or media.endswith("+xml")) and not _is_taken(media, content.types):
        raise Refused("wrong_media_type", "no XML")
    if is_json(media):
        # RFC 8259 section 8.1
        if charset not in ("", "utf-8"):
            raise Refused("wrong_media_type", "UTF-8")
        return Parsed(parse(sent.body, content.json))
    return None


def _is_taken(media: str, types: tuple[str, ...]) -> bool:
    if media in types:
        return True
    return "application/json" in types and is_json(media)


def _as_served(route: Route, sent: Sent) -> Sent:
    """The request with the path that the service sees: the document speaks of that one."""
    rewrite = route.rewrite
    if rewrite is None:
        return sent
    path = sent.path
    if rewrite.prefix is not None and path.startswith(route.path.stem):
        path = rewrite.prefix.rstrip("/") + "/" + path[len(route.path.stem) :].lstrip("/")
        path = path if sent.path.endswith("/") or path == "/" else path.rstrip("/")
    elif rewrite.path is not None:
        path = _replaced(route.path, rewrite.path, path)
    return Sent(sent.method, path, sent.query, sent.headers, sent.body)


def _replaced(path: Path, wanted: str, asked: str) -> str:
    import re

    pattern = path.pattern
    found = re.fullmatch(pattern.regex, asked) if pattern is not None and pattern.names else None
    if pattern is None or found is None:
        return wanted
    for name, value in zip(pattern.names, found.groups(), strict=False):
        wanted = wanted.replace(f"{{{name}}}", value)
    return wanted
