"""A request inside TLS for another host than the one that TLS was begun for is answered with 421.

The certificate that was shown is for the name that the caller asked for in the handshake (SNI). RFC 9110 section
15.5.20: whoever asks for another host on that connection is told to open one of its own.
"""

from __future__ import annotations

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.replies import MISDIRECTED
from kronborg.gateway.envoy.resource import typed

NAME = "misdirected"


def listener_filter() -> JsonObject:
    """For listeners with TLS. Callers that ask for no name, as those of an address do, are shown the first one."""
    rules: JsonObject = {
        "action": "DENY",
        "policies": {
            MISDIRECTED: {
                "permissions": [{"any": True}],
                "principals": [{"any": True}],
                "condition": _call("_&&_", _differs(_SNI, _text("")), _call("_&&_", *_no_host_of(_SNI))),
                "cel_config": {"enable_string_concat": True, "enable_string_functions": True},
            }
        },
    }
    return {"name": NAME, "typed_config": typed("envoy.extensions.filters.http.rbac.v3.RBAC", rules=rules)}


def _no_host_of(name: JsonObject) -> tuple[JsonObject, JsonObject]:
    """Neither the name alone nor the name with a port."""
    begins = _method(_HOST, "startsWith", _call("_+_", name, _text(":")))
    return _differs(_HOST, name), _call("!_", begins)


def _differs(one: JsonObject, other: JsonObject) -> JsonObject:
    return _call("_!=_", one, other)


def _field(of: str, name: str) -> JsonObject:
    return {"select_expr": {"operand": {"ident_expr": {"name": of}}, "field": name}}


def _text(text: str) -> JsonObject:
    return {"const_expr": {"string_value": text}}


def _call(function: str, *args: JsonObject) -> JsonObject:
    return {"call_expr": {"function": function, "args": list(args)}}


def _method(target: JsonObject, function: str, *args: JsonObject) -> JsonObject:
    return {"call_expr": {"target": target, "function": function, "args": list(args)}}


_SNI = _field("connection", "requested_server_name")
_HOST = _method(_field("request", "host"), "lowerAscii")
