"""Who acts for whom: the `act` and `may_act` claims of a token (RFC 8693 §4.1, §4.4). Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kronborg.core.json import JsonObject, JsonValue
from kronborg.oauth.errors import InvalidRequest

LONGEST_CHAIN = 5
"""Parties that may act one after the other in one token: more is a loop, or a design to think about."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The party that acts: a client for itself, or a person by a client."""

    subject: str
    client_id: str

    @property
    def claim(self) -> dict[str, JsonValue]:
        """As `act` names it. RFC 8693 §4.1: who it is and nothing else; no `exp`, no scope."""
        if self.subject == self.client_id:
            return {"sub": self.subject}
        return {"sub": self.subject, "client_id": self.client_id}


def check_may_act(may_act: JsonValue, actor: Actor, *, issuer: str) -> None:
    """Raise `InvalidRequest` unless a token that says who may act for its subject names this actor.

    RFC 8693 §4.4: every member that is there has to match; one that we cannot compare matches nobody.
    """
    if may_act is None:
        return
    known = {"sub": actor.subject, "client_id": actor.client_id, "iss": issuer}
    if not isinstance(may_act, Mapping) or "sub" not in may_act or any(known.get(k) != v for k, v in may_act.items()):
        raise InvalidRequest("the subject_token names another party that may act for its subject")


def chain(actor: Actor, before: JsonValue) -> JsonObject:
    """The `act` claim: this actor, and inside it those who acted before. Raises `InvalidRequest` for too many.

    RFC 8693 §4.1: the outermost is the current actor, the most deeply nested the first.
    """
    depth, inner = 1, before
    while isinstance(inner, Mapping):
        depth, inner = depth + 1, inner.get("act")
    if depth > LONGEST_CHAIN:
        raise InvalidRequest("too many parties act one after the other")
    return {**actor.claim, "act": before} if isinstance(before, Mapping) else actor.claim
