"""Which right each operation of the admin API needs of a person, by method and path.

A token's scope says what an application may do for somebody; this says what that somebody may do. A path nobody thought
of here needs the right of its first word, which only administrators have until a policy says otherwise.
"""

from __future__ import annotations

import re

from kronborg.core.policy import Resource, Wish

_NOUNS = {
    "events": "audit",
    "audit": "audit",
    "snapshots": "routes",
    "deliveries": "routes",
    "drafts": "routes",
    "fleet-invitations": "fleet",
    "versions": "routes",
    "registration-tokens": "registration",
    "revocations": "access",
    "tokens": "access",
    "sessions": "access",
    "invitations": "users",
    "attributes": "settings",
    "members": "users",
    "token-issuers": "issuers",
    "scim": "provisioning",
}
_KINDS = {"access": "access", "directories": "directory", "policies": "policy"}
"""What one of them is called where taking away an "s" does not tell."""
_VERBS = {"GET": "read", "HEAD": "read", "OPTIONS": "read", "DELETE": "delete"}
_SPECIAL: tuple[tuple[str, str, str], ...] = (
    ("POST", r"/config/plan", "config:read"),
    ("POST", r"/audit/verify", "audit:read"),
    ("POST", r"/simulate", "routes:read"),
    ("GET", r"/routes/[^/]+/callers", "clients:read"),
    # What is only wished for reaches nobody; to publish it may change services and routes alike.
    ("POST|PUT|DELETE", r"/drafts/[^/]+(/(services|routes|policies|changes)/.*)?|/drafts/[^/]+/rebase", "routes:write"),
    ("POST", r"/drafts/[^/]+/publish|/versions/[^/]+/rollback", "config:write"),
    ("POST", r"/tokens/revoke", "access:revoke"),
    ("GET|HEAD", r"/traffic/people/.*", "traffic:people"),
    ("POST", r"/keys/rotate", "keys:rotate"),
    ("POST", r"/keys/[^/]+/revoke", "keys:revoke"),
    ("POST|PUT|DELETE", r"/clients/[^/]+/secrets(/.*)?", "clients:secrets"),
    ("DELETE", r"/users/[^/]+/sessions(/.*)?", "users:end-sessions"),
    ("POST", r"/users/[^/]+/sessions/end", "users:end-sessions"),
    ("DELETE", r"/users/[^/]+/(factors|mfa)(/.*)?", "users:reset-mfa"),
    ("POST", r"/users/[^/]+/(factors|mfa)/reset", "users:reset-mfa"),
    # To put anybody into an organisation would give its administrators power over them: that takes `write`.
    ("DELETE", r"/organisations/[^/]+/members(/.*)?", "organisations:members"),
)


def wish_of(method: str, path: str) -> Wish:
    """What somebody wants who sends this to the admin API; `path` is that below its root, like `/users/x`."""
    words = [word for word in path.split("/") if word]
    first = words[0] if words else "api"
    noun = _NOUNS.get(first, first)
    kind, name = _KINDS.get(noun, noun.removesuffix("s")), words[1] if len(words) > 1 else ""
    resource = Resource(kind, name, name if noun == "organisations" else "")
    for methods, pattern, action in _SPECIAL:
        if method in methods.split("|") and re.fullmatch(pattern, path):
            return Wish(action, resource)
    return Wish(f"{noun}:{_VERBS.get(method, 'write')}", resource)
