"""Phantom tokens: a reference token is exchanged for a short-lived JWT before `jwt` verifies it.

The work is done by `phantom.lua` next to this file; a matcher keeps every other request out of Lua.
"""

from __future__ import annotations

from importlib.resources import files

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import typed

NAME = "phantom"
CLUSTER = "exchange"
_MARK = "[Bb]earer kro_at_.*"


def script(proxy: Proxy) -> str:
    """The Lua source with the place of the secret filled in; the secret itself stays in its file."""
    source = files("kronborg.gateway.envoy.filters").joinpath("phantom.lua").read_text()
    return source.replace("@SECRET_FILE@", _quoted(str(proxy.secret))).replace("@CLUSTER@", _quoted(CLUSTER))


def listener_filter(proxy: Proxy) -> JsonObject:
    """Lua for requests that bear a reference token, nothing for others."""
    is_reference: JsonObject = {
        "single_predicate": {
            "input": {
                "name": "authorization",
                "typed_config": typed("envoy.type.matcher.v3.HttpRequestHeaderMatchInput", header_name="authorization"),
            },
            "value_match": {"safe_regex": {"google_re2": {}, "regex": _MARK}},
        }
    }
    skip: JsonObject = {
        "action": {
            "name": "skip",
            "typed_config": typed("envoy.extensions.filters.common.matcher.action.v3.SkipFilter"),
        }
    }
    return {
        "name": NAME,
        "typed_config": typed(
            "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
            extension_config={
                "name": NAME,
                "typed_config": typed(
                    "envoy.extensions.filters.http.lua.v3.Lua",
                    default_source_code={"inline_string": script(proxy)},
                ),
            },
            xds_matcher={
                "matcher_list": {"matchers": [{"predicate": {"not_matcher": is_reference}, "on_match": skip}]}
            },
        ),
    }


def _quoted(text: str) -> str:
    """A Lua string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
