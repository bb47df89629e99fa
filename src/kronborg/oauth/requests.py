"""Read what machines send: form bodies and credentials, strictly and bounded, without a framework in between.

RFC 6749 §3.2: parameters come form-encoded in the body, never in the query; none may stand twice; one without a value
counts as absent; unknown ones are ignored.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from kronborg.oauth.errors import InvalidRequest

MAX_FORM = 32 * 1024
MAX_PARAMETERS = 50
MAX_CREDENTIALS = 2048
FORM_TYPE = b"application/x-www-form-urlencoded"

_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CHARSET = re.compile(rb"\s*(?:;\s*charset\s*=\s*\"?utf-8\"?\s*)?", re.IGNORECASE)
_BASIC = re.compile(rb"(?i:basic) +([A-Za-z0-9+/]+={0,2}) *")

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Form:
    """The parameters of one request. `several` holds those that came more than once and may (`resource`)."""

    values: dict[str, str]
    several: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        """The value, or None when it is absent or empty."""
        return self.values.get(name)

    def require(self, name: str) -> str:
        """The value. Raises `InvalidRequest` when it is absent."""
        value = self.values.get(name)
        if value is None:
            raise InvalidRequest(f"the parameter {name} is missing")
        return value


def parse_form(body: bytes, *, repeatable: Iterable[str] = ()) -> Form:
    """The parameters of a form body, or of a query string. Raises `InvalidRequest`."""
    if len(body) > MAX_FORM:
        raise InvalidRequest("the request is too large")
    values: dict[str, str] = {}
    several: dict[str, tuple[str, ...]] = {}
    seen: set[str] = set()
    pairs = body.split(b"&") if body else []
    if len(pairs) > MAX_PARAMETERS:
        raise InvalidRequest("there are too many parameters")
    for pair in pairs:
        raw_name, _, raw_value = pair.partition(b"=")
        name, value = decode(raw_name), decode(raw_value)
        if not name and not value:
            continue
        if name in seen:
            # RFC 6749 §3.2: request parameters must not be included more than once.
            if name not in repeatable:
                raise InvalidRequest("a parameter stands twice")
            several[name] = (*several.get(name, (values[name],) if name in values else ()), value)
            continue
        seen.add(name)
        if value:
            values[name] = value
    return Form(values, several)


def decode(raw: bytes) -> str:
    """A form-encoded name or value as text. Raises `InvalidRequest`."""
    try:
        if b"%" in raw:
            if _BAD_PERCENT.search(raw):
                raise InvalidRequest("the request is not form-encoded")
            raw = unquote_to_bytes(raw.replace(b"+", b" "))
        elif b"+" in raw:
            raw = raw.replace(b"+", b" ")
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest("the request is not UTF-8") from error
    if _UNSAFE.search(text):
        raise InvalidRequest("the request contains control characters")
    return text


def is_form(content_type: bytes) -> bool:
    """Whether a Content-Type names a form in UTF-8."""
    return content_type[: len(FORM_TYPE)].lower() == FORM_TYPE and (
        _CHARSET.fullmatch(content_type, len(FORM_TYPE)) is not None
    )


def header(headers: Headers, name: bytes) -> bytes | None:
    """The one value of a header, None when it is absent. Raises `InvalidRequest` when it stands twice."""
    found: bytes | None = None
    for key, value in headers:
        if key == name:
            if found is not None:
                raise InvalidRequest("a header stands twice")
            found = value
    return found


def basic_credentials(authorization: bytes) -> tuple[str, str] | None:
    """Client id and secret of an Authorization header; None when it is not well-formed Basic.

    RFC 6749 §2.3.1: both are form-encoded before they are joined by a colon and base64-encoded.
    """
    match = _BASIC.fullmatch(authorization)
    if match is None or len(authorization) > MAX_CREDENTIALS:
        return None
    try:
        pair = base64.b64decode(match[1], validate=True)
        if base64.b64encode(pair) != match[1]:
            return None
        client_id, colon, secret = pair.partition(b":")
        return (decode(client_id), decode(secret)) if colon else None
    except (binascii.Error, InvalidRequest):
        return None
