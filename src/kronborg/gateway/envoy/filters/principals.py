"""Conditions on a request in Envoy's words: headers, claims of the verified token, and the formulas of policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.filters import jwt
from kronborg.gateway.policy_formula import Both, Either, Formula, Not, Plain, Test

_ANY: JsonObject = {"any": True}
_NONE: JsonObject = {"not_id": _ANY}


@dataclass(frozen=True, slots=True)
class Reader:
    """How a policy's words are found in a request. `prefix` stands before the subjects and clients of another issuer,
    whose tokens say them without it."""

    scope: Callable[[str], JsonObject]
    role: Callable[[str], JsonObject]
    prefix: str = ""


def header(name: str, match: JsonObject) -> JsonObject:
    """A request header, or a pseudo-header."""
    return {"header": {"name": name, "string_match": match}}


def claim(path: tuple[str, ...], match: JsonObject) -> JsonObject:
    """A claim of the verified token, by the names that lead to it."""
    return {
        "sourced_metadata": {
            "metadata_matcher": {
                "filter": jwt.METADATA,
                "path": [{"key": jwt.PAYLOAD}, *({"key": name} for name in path)],
                "value": match,
            },
            "metadata_source": "DYNAMIC",
        }
    }


def member(match: JsonObject) -> JsonObject:
    """One member of a list."""
    return {"list_match": {"one_of": match}}


def principal_of(formula: Formula, reader: Reader) -> JsonObject:
    """A formula as a principal: it matches exactly the requests for which the formula is true."""
    match formula:
        case Both(parts):
            return {"and_ids": {"ids": [principal_of(part, reader) for part in parts]}} if parts else _ANY
        case Either(parts):
            return {"or_ids": {"ids": [principal_of(part, reader) for part in parts]}} if parts else _NONE
        case Not(part):
            return {"not_id": principal_of(part, reader)}
        case Test():
            return _test(formula, reader)


def _test(test: Test, reader: Reader) -> JsonObject:
    text = str(test.value)
    match test.kind:
        case "subject" | "client":
            if not text.startswith(reader.prefix):
                return _NONE
            name = jwt.SUBJECT if test.kind == "subject" else jwt.CLIENT
            return header(name, {"exact": text.removeprefix(reader.prefix)})
        case "method":
            return header(":method", {"exact": text})
        case "path":
            return {"url_path": {"path": {"exact": text}}}
        case "path_like":
            return {"url_path": {"path": {"safe_regex": {"regex": f"(?s){text}"}}}}
        case "scope":
            return reader.scope(text)
        case "role":
            return reader.role(text)
        case "present":
            return {
                "and_ids": {
                    "ids": [claim(test.path, {"present_match": True}), {"not_id": claim(test.path, {"null_match": {}})}]
                }
            }
        case "claim":
            return claim(test.path, _value(test.value))
        case _:
            return claim(test.path, member(_value(test.value)))


def _value(value: Plain) -> JsonObject:
    if isinstance(value, bool):
        return {"bool_match": value}
    return {"string_match": {"exact": value}} if isinstance(value, str) else {"double_match": {"exact": value}}
