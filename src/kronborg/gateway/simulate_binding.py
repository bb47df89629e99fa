"""The stage of bound tokens, as `filters/parts/binding.lua` decides it: whoever holds one must show its key."""

from __future__ import annotations

from collections.abc import Mapping

from kronborg.gateway.model import Route
from kronborg.gateway.reasons import REASONS
from kronborg.gateway.simulate_nouns import Decision, Held
from kronborg.gateway.simulate_way import Way

_KEY = "A proof that the caller holds the key of the token."
_CERTIFICATE = "A connection with the certificate of the token."
_PLAIN = "A token that is bound to nothing is sent as a bearer token."
_REQUIRED = "A token that is bound to a key or a certificate."


def binding(way: Way, route: Route) -> Decision | None:
    """RFC 9449 section 7, RFC 8705 section 3: a bound token is worth nothing without a proof."""
    held = way.call.token
    if route.public or not isinstance(held, Held):
        return None
    confirmation = held.claims.get("cnf")
    if confirmation is None:
        if held.scheme == "dpop":
            return _refuse(way, route, "not_bound", _PLAIN, "one that is not bound, as if it were")
        if route.bound == "required" or (route.audience or "") in way.ready.bound:
            return _refuse(way, route, "not_bound", _REQUIRED, "one that is not")
        return None
    members = confirmation if isinstance(confirmation, Mapping) else {}
    certificate, key = members.get("x5t#S256"), members.get("jkt")
    if certificate is None and key is None:
        return _refuse(way, route, "not_bound", _REQUIRED, "one that is bound in a way that nobody here can check")
    if certificate is not None:
        if not way.call.facts.proof:
            return _refuse(way, route, "wrong_certificate", _CERTIFICATE, "another certificate or none")
        way.passed("binding", _CERTIFICATE)
    return _certified(way, route, held) if key is None else _proven(way, route, held)


def _certified(way: Way, route: Route, held: Held) -> Decision | None:
    if held.scheme == "dpop":
        return _refuse(way, route, "not_bound", _PLAIN, "one that is not bound to a key, as if it were")
    return None


def _proven(way: Way, route: Route, held: Held) -> Decision | None:
    proof = way.call.facts.proof
    # RFC 9449 section 7.2: a bound token must not be taken as a bearer token.
    if held.scheme == "bearer" or proof is None:
        return _refuse(way, route, "proof_missing", _KEY, "none")
    if not proof:
        return _refuse(way, route, "proof_invalid", _KEY, "one that is not right")
    way.passed("binding", _KEY)
    return None


def _refuse(way: Way, route: Route, reason: str, asked: str, found: str) -> Decision:
    return way.refuse("binding", REASONS[reason].status, reason, asked, found, route)
