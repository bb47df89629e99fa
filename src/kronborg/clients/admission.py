"""Who may become a client without an administrator: by dynamic registration, or by a client ID metadata document."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from kronborg.clients.model import AUTH_METHODS, GRANTS, AuthMethod, GrantName
from kronborg.core.errors import Problem
from kronborg.core.json import JsonObject

USUAL_GRANTS: tuple[GrantName, ...] = ("authorization_code", "refresh_token")
USUAL_METHODS: tuple[AuthMethod, ...] = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
ADMIN_SCOPES = frozenset(
    {"admin:read", "admin:write", "revocations:read", "scim:read", "scim:write", "services:register"}
)
"""What nobody gets who came without an administrator, whatever a policy says."""
MAX_CLIENTS = 100_000
LONGEST_UNUSED = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """What clients that register themselves may be."""

    grants: tuple[GrantName, ...] = USUAL_GRANTS
    """The grants they may use."""
    scopes: tuple[str, ...] | None = None
    """The scopes they may ask for; every scope but those of the admin API when absent."""
    auth_methods: tuple[AuthMethod, ...] = USUAL_METHODS
    """How they may authenticate."""
    redirect_hosts: tuple[str, ...] = ()
    """The hosts of their redirect URIs: `app.example`, or `*.app.example` for all below it; any host when empty."""
    redirect_schemes: tuple[str, ...] = ("https", "http")
    """The schemes of their redirect URIs; http is for the loopback only."""
    max_clients: int = 1000
    """How many of them there may be."""
    unused: timedelta = timedelta(days=30)
    """One that nobody has used for this long is removed."""


ANYTHING_USUAL = RegistrationPolicy()


@dataclass(frozen=True, slots=True)
class Admission:
    """How this installation lets clients in that no administrator made. Nobody, by default.

    With `open_policy` anybody may register; without it an initial access token is needed. `documents` switches on
    client ID metadata documents; then `document_hosts` are the only hosts that may have them (any when empty), and
    `document_denied` may not; both may begin with `*.`.
    """

    open_policy: RegistrationPolicy | None = None
    documents: bool = False
    document_hosts: tuple[str, ...] = ()
    document_denied: tuple[str, ...] = ()
    document_policy: RegistrationPolicy = ANYTHING_USUAL


NOBODY = Admission()


def host_matches(host: str, patterns: Iterable[str]) -> bool:
    """Whether a host is one of these, or below one that begins with `*.`."""
    return any(host.endswith(p[1:]) if p.startswith("*.") else host == p for p in patterns)


def redirect_allowed(policy: RegistrationPolicy, uri: str) -> bool:
    """Whether the policy lets a redirect URI be; that it is well-formed is checked elsewhere."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    if parts.scheme not in policy.redirect_schemes:
        return False
    return not policy.redirect_hosts or host_matches(parts.hostname or "", policy.redirect_hosts)


def scopes_within(policy: RegistrationPolicy, asked: Iterable[str] | None, known: Collection[str]) -> tuple[str, ...]:
    """The scopes that a client gets: what it asks for and may have, or all it may have when it asks for none.

    RFC 7591 §2 lets a server narrow what is asked for; the answer says what was registered.
    """
    may = set(known if policy.scopes is None else policy.scopes).intersection(known) - ADMIN_SCOPES
    return tuple(sorted(may if asked is None else may.intersection(asked)))


def policy_json(policy: RegistrationPolicy) -> JsonObject:
    """A policy as it is stored and shown."""
    return {
        "grants": list(policy.grants),
        "scopes": None if policy.scopes is None else list(policy.scopes),
        "auth_methods": list(policy.auth_methods),
        "redirect_hosts": list(policy.redirect_hosts),
        "redirect_schemes": list(policy.redirect_schemes),
        "max_clients": policy.max_clients,
        "unused": int(policy.unused.total_seconds()),
    }


def policy_problems(policy: RegistrationPolicy, where: str = "policy") -> tuple[Problem, ...]:
    """Everything that makes a policy impossible."""
    problems = []
    if not 1 <= policy.max_clients <= MAX_CLIENTS:
        problems.append(Problem(f"{where}.max_clients", "must be between 1 and 100000"))
    if not timedelta(hours=1) <= policy.unused <= LONGEST_UNUSED:
        problems.append(Problem(f"{where}.unused", "must be between an hour and 366 days"))
    if not policy.grants or any(grant not in GRANTS for grant in policy.grants):
        problems.append(Problem(f"{where}.grants", "must name at least one grant, and only grants that there are"))
    if not policy.auth_methods or any(method not in AUTH_METHODS for method in policy.auth_methods):
        problems.append(Problem(f"{where}.auth_methods", "must name at least one method, and only those there are"))
    if not policy.redirect_schemes:
        problems.append(Problem(f"{where}.redirect_schemes", "must name at least one scheme", "write [https]"))
    return tuple(problems)


def policy_of(stored: JsonObject) -> RegistrationPolicy:
    """The policy that `policy_json` wrote."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
    unused = timedelta(seconds=int(str(values.pop("unused"))))
    return RegistrationPolicy(**values, unused=unused)  # type: ignore[arg-type]  # as written above
