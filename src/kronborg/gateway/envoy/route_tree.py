"""Ten thousand routes of one host without asking them one by one: a map from beginnings of paths to short lists.

Envoy finds the longest beginning that fits in one walk. The list behind it holds, in their order, all that could take
a path which begins so, the wider ones among them too: the answer is that of the one long list.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy.resource import typed

FEW = 64
"""Up to this many paths are asked one by one."""
_LEAF = 8
_SMALLEST = 2


@dataclass(frozen=True, slots=True)
class Block:
    """The entries of one path. `literal` is how every path begins that they take; `wide`: they take longer ones too."""

    literal: str
    wide: bool
    entries: Sequence[JsonObject]


def matcher(blocks: Sequence[Block], before: Sequence[JsonObject], after: Sequence[JsonObject]) -> JsonObject:
    """The `matcher` of a virtual host for blocks in their order; `before` and `after` stand around each list."""
    lists: dict[str, JsonValue] = {}
    for key, own in buckets(blocks).items():
        entries = [entry for block in own for entry in block.entries]
        action = typed("envoy.config.route.v3.RouteList", routes=[*before, *entries, *after])
        lists[key] = {"action": {"name": "routes", "typed_config": action}}
    return {
        "matcher_tree": {
            "input": {
                "name": "path",
                "typed_config": typed("envoy.type.matcher.v3.HttpRequestHeaderMatchInput", header_name=":path"),
            },
            "prefix_match_map": {"map": lists},
        }
    }


def buckets(blocks: Sequence[Block]) -> dict[str, list[Block]]:
    """For each beginning of the map the blocks that can take a path for which it is the longest one."""
    literals = sorted({block.literal for block in blocks})
    keys = {"/"}
    _cut(literals, "/", keys)
    lengths = sorted({len(key) for key in keys}, reverse=True)
    found: dict[str, list[int]] = {key: [] for key in keys}
    wide: dict[str, list[int]] = {}
    for place, block in enumerate(blocks):
        key = next((key for n in lengths if (key := block.literal[:n]) in keys and len(key) == n), "/")
        found[key].append(place)
        if block.wide:
            wide.setdefault(block.literal, []).append(place)
    for key, places in found.items():
        for n in range(len(key)):
            places += wide.get(key[:n], ())
    return {key: [blocks[place] for place in sorted(set(places))] for key, places in found.items()}


def _cut(literals: Sequence[str], key: str, keys: set[str]) -> None:
    """Adds the beginnings that split `literals`, sorted and all beginning with `key`, into short lists."""
    if len(literals) <= _LEAF:
        return
    at = 0
    while at < len(literals):
        head = literals[at][: len(key) + 1]
        end = bisect_left(literals, head[:-1] + chr(ord(head[-1]) + 1), at) if len(head) > len(key) else at + 1
        group = literals[at:end]
        if len(head) > len(key) and len(group) >= _SMALLEST:
            pairs = takewhile(lambda pair: pair[0] == pair[1], zip(group[0], group[-1], strict=False))
            beginning = "".join(letter for letter, _ in pairs)
            keys.add(beginning)
            _cut(group, beginning, keys)
        at = end
