"""Read what machines send: form bodies and credentials, strictly and bounded, without a framework in between.

RFC 6749 §3.2: parameters come form-encoded in the body, never in the query; none may stand twice; one without a value
counts as absent; unknown ones are ignored.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from kronborg.oauth.errors import InvalidRequest
from kronborg.oauth.parameters import JSON_PARAMETERS

MAX_FORM = 32 * 1024
MAX_PARAMETERS = 50
MAX_CREDENTIALS = 2048
FORM_TYPE = b"application/x-www-form-urlencoded"

_PRINTABLE = bytes(range(0x20, 0x7F))
_HEX = b"0123456789ABCDEFabcdef"
# What each percent encoding stands for; control characters do not stand in any parameter.
_OCTETS = {
    bytes(pair): bytes([octet])
    for pair in product(_HEX, repeat=2)
    if (octet := int(bytes(pair), 16)) >= 0x20 and octet != 0x7F
}
# ... but for the white space of JSON.
_OCTETS_OF_JSON = _OCTETS | {code: bytes([int(code, 16)]) for code in (b"09", b"0A", b"0a", b"0D", b"0d")}
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
    if body.translate(None, _PRINTABLE):
        raise InvalidRequest("the request is not form-encoded")
    values: dict[str, str] = {}
    several: dict[str, tuple[str, ...]] = {}
    pairs = body.decode("ascii").split("&") if body else []
    if len(pairs) > MAX_PARAMETERS:
        raise InvalidRequest("there are too many parameters")
    for pair in pairs:
        name, _, value = pair.partition("=")
        if "%" in name or "+" in name:
            name = _text(name)
        if "%" in value or "+" in value:
            value = _text(value, _OCTETS_OF_JSON if name in JSON_PARAMETERS else _OCTETS)
        if name not in values:
            values[name] = value
        elif name in repeatable:
            several[name] = (*several.get(name, (values[name],)), value)
        elif pair:
            # RFC 6749 §3.2: request parameters must not be included more than once.
            raise InvalidRequest("a parameter stands twice")
    if "" in values.values():
        # RFC 6749 §3.1: parameters sent without a value are treated as if they were omitted.
        values = {name: value for name, value in values.items() if value}
    return Form(values, several)


def decode(raw: bytes) -> str:
    """A form-encoded name or value as text. Raises `InvalidRequest`."""
    if raw.translate(None, _PRINTABLE):
        raise InvalidRequest("the request is not form-encoded")
    return _text(raw.decode("ascii"))


def _text(encoded: str, octets: Mapping[bytes, bytes] = _OCTETS) -> str:
    """What stands behind the encoding of printable ASCII."""
    first, *rest = encoded.replace("+", " ").encode().split(b"%")
    try:
        return (first + b"".join([octets[part[:2]] + part[2:] for part in rest])).decode()
    except (KeyError, UnicodeDecodeError) as error:
        raise InvalidRequest("a parameter is not form-encoded UTF-8, or contains control characters") from error


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
