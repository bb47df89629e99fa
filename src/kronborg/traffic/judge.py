"""One recorded request under another version: the same, newly refused, newly let through, or not to be judged.

A judgement stands on two decisions of `gateway.simulate`, one by the version that served and one by the other. Where
the first does not come to what the record says, something played a part that no record keeps, and nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kronborg.gateway.listener_model import DEFAULT, Listener
from kronborg.gateway.model import Route, Snapshot
from kronborg.gateway.reasons import REASONS
from kronborg.gateway.simulate import decide, prepare
from kronborg.gateway.simulate_find import Group, table_for
from kronborg.gateway.simulate_nouns import Call, Decision
from kronborg.gateway.simulate_path import normal_path
from kronborg.gateway.simulate_way import Ready
from kronborg.traffic.model import AccessRecord
from kronborg.traffic.recorded import NOTHING, ORDER, Part, Parts, call_of, knowable, parts_of

Verdict = Literal["same", "refused", "allowed", "otherwise", "unjudged"]
"""`otherwise`: refused for another reason, or let through to another route or service."""

Why = Literal[
    "claims",
    "roles",
    "policy",
    "binding",
    "step_up",
    "limits",
    "issuers",
    "keys",
    "filters",
    "token",
    "conditions",
    "preflight",
    "body",
    "moment",
    "record",
]
"""Why a request cannot be judged."""

WHYS: Mapping[str, str] = {
    "claims": "The version asks for other claims; a record keeps none.",
    "roles": "The version asks for other roles; a record keeps none.",
    "policy": "The Cedar policy is another one; it may ask for claims, which a record does not keep.",
    "binding": "The version asks otherwise for bound tokens; a record does not say what a token is bound to.",
    "step_up": "The version asks for another sign-in; a record does not say how the person signed in.",
    "limits": "Rates, quotas or bounds are others; how much was used up then cannot be replayed.",
    "issuers": "The version takes tokens of other issuers; a record does not say whose a refused token was.",
    "keys": "The version takes other kinds of credentials; a record does not say of which kind a refused one was.",
    "filters": "The route inspects requests in another way; a record keeps neither headers nor bodies.",
    "token": "The version asks for a token where none was asked for, or for another API; a record does not say "
    "whether the caller had one that fits.",
    "conditions": "Routes of this path are told apart by headers or parameters, which a record does not keep.",
    "preflight": "The answer to a web page's preflight depends on headers, which a record does not keep.",
    "body": "The version takes larger bodies; how large a refused one was is not known.",
    "moment": "It was refused for what was true at that moment: overload, old news, a broken connection.",
    "record": "What happened does not follow from the record alone.",
}
"""The same for people."""

_BY_REASON: Mapping[str, Part] = {
    "missing_claim": "claims",
    "missing_role": "roles",
    "not_permitted": "roles",
    "two_credentials": "keys",
}
_BY_STAGE: Mapping[str, Part] = {
    "policy": "policy",
    "binding": "binding",
    "step_up": "step_up",
    "spike_arrest": "limits",
    "quota": "limits",
    "concurrency": "limits",
    "bots": "filters",
}
_MOMENT = frozenset(
    {
        *("revocation_unknown", "inspection_failed", "token_unknown", "binding_unknown", "quota_unknown"),
        *("overloaded", "client_gone", "too_slow", "other"),
    }
)
_UNREAD = 1024


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one request: `reason` is the new one, `was` and `now` are the routes."""

    verdict: Verdict
    reason: str = ""
    was: str = ""
    now: str = ""
    why: Why | None = None


_SAME = Judged("same")
_PLAIN = Listener()


@dataclass(frozen=True, slots=True)
class Side:
    """A snapshot read for judging; `ready` by listener, each read when a record first names it."""

    snapshot: Snapshot
    known: Snapshot
    routes: Mapping[str, Route]
    ready: dict[Listener, Ready]

    def at(self, here: Listener) -> Ready:
        """What is served at a listener."""
        found = self.ready.get(here)
        if found is None:
            found = self.ready[here] = prepare(self.known, here)
        return found


def read_side(snapshot: Snapshot) -> Side:
    """The costly part, once for each version."""
    known = knowable(snapshot)
    routes = {route.name: route for route in snapshot.routes}
    return Side(snapshot, known, routes, {_PLAIN: prepare(known, _PLAIN)})


def listener_at(record: AccessRecord, served: Route | None) -> Listener:
    """Where the request came in. A record has its name only; of which kind it is shows by the route that it reached."""
    if record.listener in ("gateway", DEFAULT):
        return _PLAIN
    inside = record.listener == "internal" or (served is not None and not _PLAIN.serves(served.listeners))
    return Listener(record.listener, kind="internal" if inside else "external")


def judge(record: AccessRecord, old: Side, new: Side) -> Judged:
    """What `new` would have done with a request that `old` served."""
    reason = REASONS.get(record.reason)
    if record.reason in _MOMENT:
        return Judged("unjudged", was=record.route, why="moment")
    if reason is not None and reason.stage == "connection":
        return _SAME  # no version reads what is no HTTP
    if len(record.path) >= _UNREAD:
        return Judged("unjudged", was=record.route, why="record")
    served = old.routes.get(record.route)
    call = call_of(record, served, old.snapshot.issuer)
    here = listener_at(record, served)
    before = decide(old.at(here), call, now=record.at)
    if not explained(record, before):
        return Judged("unjudged", was=record.route, why="record")
    after = decide(new.at(here), call, now=record.at)
    was, now = old.routes.get(before.route), new.routes.get(after.route)
    blind = _blind(record, call, (before, after), (was, now), (old.at(here), new.at(here)))
    if blind is not None:
        return Judged("unjudged", was=before.route, now=after.route, why=blind)
    if after.ending == "refused":
        return _refused(record, before, after, was, now)
    left = NOTHING if was is None else parts_of(was, record.method, old.snapshot)
    right = NOTHING if now is None else parts_of(now, record.method, new.snapshot)
    return _let_through(record, before, after, (was, now), (left, right))


def part_of(record: AccessRecord) -> Part | None:
    """The part that refused it."""
    reason = REASONS.get(record.reason)
    if reason is None:
        return None
    found = _BY_REASON.get(record.reason) or _BY_STAGE.get(reason.stage)
    return "filters" if found is None and reason.stage == "content" and record.reason != "body_too_large" else found


def _passed(record: AccessRecord) -> bool:
    """Whether it came past every part: a service answered it or failed to, or the gateway answered by itself."""
    return not record.reason or REASONS[record.reason].stage == "service"


def explained(record: AccessRecord, before: Decision) -> bool:
    """Whether what is known leads to what happened."""
    if record.route != before.route and (record.route or before.ending == "service"):
        return False
    if _passed(record) or part_of(record) is not None or record.reason == "revoked":
        return before.ending != "refused"
    return before.reason == record.reason


def _blind(
    record: AccessRecord,
    call: Call,
    decisions: tuple[Decision, Decision],
    routes: tuple[Route | None, Route | None],
    sides: tuple[Ready, Ready],
) -> Why | None:
    """What the outcome hangs on that the record does not say."""
    (before, after), (was, now), (old, new) = decisions, routes, sides
    if was is not None and was == now and before.reason == after.reason:
        # The same route of the same conditions: another may still stand before it.
        return "conditions" if _told_apart(call, old, new) else None
    if call.method == "OPTIONS" and any(one is not None and one.cors for one in (was, now)):
        return "preflight"
    if _told_apart(call, old, new):
        return "conditions"
    larger = was is not None and now is not None and now.max_body > was.max_body
    if record.reason == "body_too_large" and larger:
        return "body"
    if now is None or now.public or after.reason in ("address_refused", "method_not_allowed", "no_route"):
        return None
    if (was is None or was.public) and after.reason == "missing_token":
        return "token"
    if record.reason in ("invalid_token", "missing_token"):
        if was is None or was.audience != now.audience:
            return "token"
        if not set(now.issuers) <= set(was.issuers):
            return "issuers"
        if not set(now.credentials) <= set(was.credentials):
            return "keys"
    return None


def _told_apart(call: Call, old: Ready, new: Ready) -> bool:
    """Whether the routes of this path are told apart by what no record keeps, and otherwise than before."""
    there = _group(call, new)
    if there is None or not any(route.headers or route.query for route in there.routes):
        return False
    here = _group(call, old)
    return here is None or _conditions(here) != _conditions(there)


def _conditions(group: Group) -> list[tuple[object, ...]]:
    return [(route.name, route.methods, route.headers, route.query) for route in group.routes]


def _group(call: Call, ready: Ready) -> Group | None:
    table, path = table_for(ready.tables, call.host), normal_path(call.path)
    return None if table is None or path is None else table.group(path)


def _refused(record: AccessRecord, before: Decision, after: Decision, was: Route | None, now: Route | None) -> Judged:
    if _passed(record):
        return Judged("refused", after.reason, before.route, after.route)
    if before.reason == after.reason or record.reason == after.reason:
        return _SAME
    return Judged("otherwise", after.reason, before.route, after.route)


def _let_through(
    record: AccessRecord,
    before: Decision,
    after: Decision,
    routes: tuple[Route | None, Route | None],
    parts: tuple[Parts, Parts],
) -> Judged:
    """What is known lets it through; what is not known must not stand in the way."""
    (was, now), (left, right) = routes, parts
    part = part_of(record)
    if part is not None and right.asks(part) and left.asked[part] == right.asked[part]:
        return _SAME
    if record.reason == "revoked" and now is not None and not now.public:
        return _SAME
    doubt = next((one for one in ORDER if _in_doubt(one, record, left, right)), None)
    if doubt is not None:
        return Judged("unjudged", was=before.route, now=after.route, why=doubt)
    if not _passed(record):
        return Judged("allowed", record.reason, before.route, after.route)
    if was is not None and now is not None and (was.name, was.services) != (now.name, now.services):
        return Judged("otherwise", "", before.route, after.route)
    if (before.ending, before.status) != (after.ending, after.status):
        return Judged("otherwise", "", before.route, after.route)
    return _SAME


def _in_doubt(part: Part, record: AccessRecord, left: Parts, right: Parts) -> bool:
    """Whether the other version asks for something there that the request has not shown."""
    if part in ("keys", "issuers"):
        # What no longer counts may be what the caller came with.
        had, counts = left.asked[part], right.asked[part]
        return isinstance(had, frozenset) and isinstance(counts, frozenset) and not had <= counts
    if not right.asks(part):
        return False
    refused_by = _stage_of(record)
    shown = refused_by is None or ORDER.index(part) < refused_by
    if not shown:
        # A limit that was not come to is taken to have room.
        return part != "limits" or part_of(record) == "limits"
    if part == "roles":
        return not all(any(one <= wanted for one in left.roles) for wanted in right.roles)
    return left.asked[part] != right.asked[part]


def _stage_of(record: AccessRecord) -> int | None:
    """The place in `ORDER` where it was refused; None when it passed all."""
    if _passed(record):
        return None
    part = part_of(record)
    if part is not None:
        return ORDER.index(part)
    places: Mapping[str, Part] = {"missing_scope": "policy", "revoked": "binding", "body_too_large": "limits"}
    return ORDER.index(places[record.reason]) if record.reason in places else 0
