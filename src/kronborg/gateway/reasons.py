"""Why the gateway says no: each refusal has a name, a stage on the way of a request, and a sentence for the operator.

The name goes into the access record and into the problem that the caller gets (`reason`); the sentence is for
whoever runs the gateway. Where the proxy decides natively, `reason_of` reads its `response.code_details`; where one
of our scripts or processes decides, it states the name itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal[
    "connection",
    "routing",
    "address",
    "bots",
    "token",
    "access",
    "revocation",
    "binding",
    "step_up",
    "policy",
    "spike_arrest",
    "quota",
    "concurrency",
    "content",
    "service",
]
"""The stages of a request in their order; a decision trail shows each as passed, refused, or never reached."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One way to be refused."""

    name: str
    stage: Stage
    status: int
    meaning: str


REASONS: dict[str, Reason] = {
    one.name: one
    for one in (
        Reason("missing_token", "token", 401, "The route needs a token and the request had none."),
        Reason("invalid_token", "token", 401, "The token is malformed, expired, not ours, or for another API."),
        Reason("missing_scope", "access", 403, "The token lacks a scope that the route asks for."),
        Reason("missing_role", "access", 403, "The person has none of the roles that the route asks for."),
        Reason("revoked", "revocation", 401, "The token was revoked, or its session, grant, client, user or key."),
        Reason("revocation_unknown", "revocation", 503, "The gateway has no news of revocations, or too old ones."),
        Reason("inspection_failed", "revocation", 503, "The gateway failed to inspect the request, so it refused it."),
        Reason("not_bound", "binding", 401, "The route takes bound tokens only, and this one is bound to nothing."),
        Reason("proof_missing", "binding", 401, "The token is bound to a key and came without a proof of it."),
        Reason("proof_invalid", "binding", 401, "The proof is malformed, old, used before, or for something else."),
        Reason("proof_needs_nonce", "binding", 401, "The proof must carry the nonce of the answer."),
        Reason("wrong_certificate", "binding", 401, "The token is bound to another certificate than the caller's."),
        Reason("binding_unknown", "binding", 503, "Nobody could check the proof just now."),
        Reason("spike_arrest", "spike_arrest", 429, "Calls came faster than the spike arrest of the route lets pass."),
    )
}
"""Every reason by its name."""
