"""Says what is wrong with what a route lets requests hold, and with rules against bots."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from kronborg.core.errors import Problem
from kronborg.gateway.bot_rules import IDS
from kronborg.gateway.content_model import LARGEST_CHECKED, BotRule, Bots, Content, JsonBounds, Sizes
from kronborg.gateway.documents_model import Published
from kronborg.gateway.model import Route, Snapshot
from kronborg.gateway.path_problems import is_absolute

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_HEADER = re.compile(r"[a-z0-9-]{1,64}")
_MEDIA = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")
# What RE2 has: no look-around, no back references, no possessive repetition. Counted repetitions stay small, and of
# groups there are none: they would multiply.
_FOREIGN = re.compile(r"\(\?(?!:)|\\[1-9gkKG]|[*+?}]\+|\)\{")
_COUNTED = re.compile(r"\{\d*,?(\d*)\}")
_LONGEST = 256
_MOST_RULES = 50
_MOST_REPEATED = 100
_BOUNDS = (
    ("depth", 1, 512),
    ("members", 1, 100_000),
    ("items", 1, 1_000_000),
    ("string", 1, 1 << 20),
    ("keys", 1, 4096),
)
_SIZES = (("target", 1, 65_536), ("parameters", 0, 10_000), ("headers", 1, 1_000), ("header_bytes", 1, 98_304))


def content_problems(snapshot: Snapshot) -> Iterator[Problem]:
    """Every reason against publishing that this module knows."""
    yield from bots_problems("bots", snapshot.bots)
    for service in snapshot.services:
        yield from _published(f"services.{service.name}.openapi", service.openapi)
    for route in snapshot.routes:
        where = f"routes.{route.name}"
        yield from _sizes(f"{where}.sizes", route.sizes)
        yield from _content(f"{where}.content", route, route.content)
        yield from bots_problems(f"{where}.bots", route.bots)


def _published(where: str, told: Published | None) -> Iterator[Problem]:
    if told is None:
        return
    if bool(told.url) == (told.file is not None):
        yield Problem(where, "needs either url or file", "name one of them")
    elif told.file is not None and not (0 < len(told.file) <= 500 and told.file.isprintable()):
        yield Problem(f"{where}.file", "is no name of a file", "write it relative to kronborg.yaml")
    elif told.url and (not is_absolute(told.url) or len(told.url) > 2000):
        yield Problem(f"{where}.url", "is not an absolute URL", "write https://host/openapi.json")
    if not timedelta(minutes=1) <= told.every <= timedelta(days=7):
        yield Problem(f"{where}.every", "is out of range", "use 1m to 7d")


def _sizes(where: str, sizes: Sizes | None) -> Iterator[Problem]:
    if sizes is None:
        return
    told = [(name, getattr(sizes, name), least, most) for name, least, most in _SIZES]
    if all(value is None for _, value, _, _ in told):
        yield Problem(where, "bounds nothing", "name a bound, or drop it")
    for name, value, least, most in told:
        if value is not None and not least <= value <= most:
            yield Problem(f"{where}.{name}", "is out of range", f"use {least} to {most}")


def _content(where: str, route: Route, content: Content | None) -> Iterator[Problem]:
    if content is None:
        return
    if route.max_body > LARGEST_CHECKED:
        yield Problem(where, "looks into bodies that may be larger than 1 MiB", "lower max_body to 1MiB")
    if route.grpc or route.websocket:
        yield Problem(where, "looks into bodies that are not held back", "drop it, or grpc and websocket")
    if route.redirect is not None:
        yield Problem(where, "looks into requests that no service gets", "drop it, or redirect")
    if content.validate not in ("off", "report", "enforce"):
        yield Problem(f"{where}.validate", "is unknown", "use off, report or enforce")
    if len(content.types) > 20 or any(_MEDIA.fullmatch(one) is None for one in content.types):
        yield Problem(f"{where}.types", "holds something that is no media type, or more than 20")
    yield from _json(f"{where}.json", content.json)


def _json(where: str, bounds: JsonBounds) -> Iterator[Problem]:
    for name, least, most in _BOUNDS:
        if not least <= getattr(bounds, name) <= most:
            yield Problem(f"{where}.{name}", "is out of range", f"use {least} to {most}")


def bots_problems(where: str, bots: Bots | None) -> Iterator[Problem]:
    """What is wrong with rules against bots."""
    if bots is None:
        return
    own = [rule.id for rule in bots.rules]
    if len(own) > _MOST_RULES or len(set(own)) < len(own):
        yield Problem(f"{where}.rules", "are more than 50, or have an id twice")
    for name in bots.skip:
        if name not in IDS and name not in own:
            yield Problem(f"{where}.skip", "names an unknown rule", "see docs/how-to/stop-bots")
    for rule in bots.rules:
        yield from _rule(f"{where}.rules", rule)


def _rule(where: str, rule: BotRule) -> Iterator[Problem]:
    if _ID.fullmatch(rule.id) is None or rule.id in IDS:
        yield Problem(where, "an id is not valid, or that of a known rule", "use a-z, 0-9 and -")
    if rule.path is None and rule.agent is None and rule.header is None:
        yield Problem(where, "a rule fits every request", "name path, agent or header")
    if rule.header is not None and _HEADER.fullmatch(rule.header) is None:
        yield Problem(where, "names something that is no header", "write it in lower case")
    for text in (rule.path, rule.agent):
        if text is not None and not expression_is_safe(text):
            yield Problem(where, "holds no expression of RE2, or one that is too large", "at most 256 characters")


def expression_is_safe(text: str) -> bool:
    """Whether a regular expression is one that Envoy takes, small enough to be asked at every request."""
    if not 0 < len(text) <= _LONGEST or not text.isascii() or _FOREIGN.search(text):
        return False
    counts = [int(most or "0") for most in _COUNTED.findall(text)]
    least = [int(one) for one in re.findall(r"\{(\d+)", text)]
    if sum(counts) + sum(least) > _MOST_REPEATED:
        return False
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError):
        return False
    return True
