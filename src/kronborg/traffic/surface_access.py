"""What is to be said of who has access, and of what it runs on: clients, keys, certificates, gateways. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.metadata import version
from urllib.parse import quote

from kronborg.core.durations import write_duration
from kronborg.traffic.surface_facts_model import SETTLED, ClientFact, Facts
from kronborg.traffic.surface_model import Finding
from kronborg.traffic.surface_routes import finding

_LEGACY = ("password", "implicit")
_SERVER_REFRESH = timedelta(days=90)
"""What refresh tokens last where a client says nothing."""
_LATE_MS = 1000
_OPENID = frozenset({"openid", "profile", "email", "offline_access"})


def access_findings(facts: Facts, *, now: datetime) -> Iterator[Finding]:
    """Everything about clients, their secrets and keys, APIs, certificates and gateways."""
    yield from _clients(facts, now)
    yield from _secrets(facts, now)
    yield from _keys(facts, now)
    for api in facts.apis:
        if api.token_lifetime > facts.settings.longest_token:
            yield finding(
                "long_tokens",
                api.name,
                f"{write_duration(api.token_lifetime)}; at most {write_duration(facts.settings.longest_token)}",
                f"/console/apis/{api.id}",
                at=api.audience,
            )
    yield from _certificates(facts, now)
    yield from _gateways(facts, now)


def _clients(facts: Facts, now: datetime) -> Iterator[Finding]:
    asked, used = _scopes_of_routes(facts)
    enough = facts.evidence.since is not None and facts.evidence.since <= now - facts.settings.unused
    for client in facts.clients:
        link = _client_link(client.id)
        legacy = [grant for grant in client.grants if grant in _LEGACY]
        if legacy:
            yield finding("legacy_grant", client.id, f"Grants {', '.join(legacy)}", link)
        if "refresh_token" in client.grants:
            lasts = _SERVER_REFRESH if client.refresh_seconds is None else timedelta(seconds=client.refresh_seconds)
            if lasts > facts.settings.longest_refresh:
                detail = f"{write_duration(lasts)}; at most {write_duration(facts.settings.longest_refresh)}"
                yield finding("long_refresh", client.id, detail, link)
        if enough and client.created_at <= now - facts.settings.unused:
            # Only of scopes that some route asks for can the traffic tell whether they are used.
            unused = [
                scope
                for scope in client.scopes
                if scope not in _OPENID and scope in asked and scope not in used.get(client.id, frozenset())
            ]
            if unused:
                detail = f"{', '.join(unused)}: not within {write_duration(facts.settings.unused)}"
                yield finding("unused_scopes", client.id, detail[:300], link)
        for ends in _ends_of(client):
            if ends <= now + facts.settings.certificates:
                yield finding("client_certificate_ends", client.id, f"Ends on {ends.date().isoformat()}", link)
                break


def _client_link(client_id: str) -> str:
    return f"/console/clients/{quote(client_id, safe='')}"


def _scopes_of_routes(facts: Facts) -> tuple[frozenset[str], dict[str, set[str]]]:
    """The scopes that routes ask for, and which of them each client used: it was let through where they are asked."""
    by_route = {
        route.name: {*route.scopes, *(scope for rule in route.rules for scope in rule.scopes)}
        for route in facts.snapshot.routes
    }
    used: dict[str, set[str]] = {}
    for client, route in facts.evidence.calls:
        used.setdefault(client, set()).update(by_route.get(route, ()))
    return frozenset(scope for scopes in by_route.values() for scope in scopes), used


def _ends_of(client: ClientFact) -> Iterator[datetime]:
    """When the certificates in its keys end."""
    if not client.certificates:
        return
    from cryptography.x509 import load_der_x509_certificate

    for text in client.certificates:
        try:
            yield load_der_x509_certificate(base64.b64decode(text, validate=True)).not_valid_after_utc
        except (ValueError, binascii.Error):
            continue


def _secrets(facts: Facts, now: datetime) -> Iterator[Finding]:
    oldest: dict[str, datetime] = {}
    for secret in facts.secrets:
        if now - secret.created_at > facts.settings.oldest_secret:
            oldest[secret.client_id] = min(secret.created_at, oldest.get(secret.client_id, secret.created_at))
    for client_id, since in oldest.items():
        detail = f"Made on {since.date().isoformat()}; at most {write_duration(facts.settings.oldest_secret)}"
        yield finding("old_secret", client_id, detail, _client_link(client_id))


def _keys(facts: Facts, now: datetime) -> Iterator[Finding]:
    longest, unused = facts.settings.longest_key, facts.settings.unused
    for key in facts.keys:
        if not key.stands(now):
            continue
        link = _client_link(key.client_id) if key.client_id else f"/console/users/{key.user_id}"
        place = f"{key.name} ({key.shown}…) of {key.owner}"
        if key.expires_at - key.created_at > longest:
            lasts = write_duration(timedelta(days=(key.expires_at - key.created_at).days))
            yield finding("long_key", place, f"{lasts}; at most {write_duration(longest)}", link, at=key.id)
        if (key.last_used_at or key.created_at) <= now - unused:
            when = f"last on {key.last_used_at.date().isoformat()}" if key.last_used_at else "never"
            yield finding("unused_key", place, f"Used {when}", link, at=key.id)
        elif now - key.created_at > longest and key.rotated_at is None:
            yield finding("old_key", place, f"Made on {key.created_at.date().isoformat()}", link, at=key.id)


def _certificates(facts: Facts, now: datetime) -> Iterator[Finding]:
    link = "/console/surface/listeners"
    for one in facts.certificates:
        if one.not_after is not None and one.not_after <= now + facts.settings.certificates:
            kind = "certificate_ended" if one.not_after <= now else "certificate_ends"
            said = f"; the last try failed: {one.failure}" if one.failure else ""
            detail = f"{', '.join(one.hosts)}: ends on {one.not_after.date().isoformat()}{said}"
            yield finding(kind, one.name, detail[:300], link)


def _gateways(facts: Facts, now: datetime) -> Iterator[Finding]:
    ours = version("kronborg")
    settled = facts.published_at is None or now - facts.published_at >= SETTLED
    for one in facts.gateways:
        link = f"/console/fleet/{one.name}"
        if one.certificate_expires_at is not None and (one.ends_soon or one.certificate_expires_at <= now):
            kind = "certificate_ended" if one.certificate_expires_at <= now else "certificate_ends"
            detail = f"The gateway's certificate ends on {one.certificate_expires_at.date().isoformat()}"
            yield finding(kind, one.name, detail, link, at=f"gateway {one.name}")
        if one.state == "rejected" or (one.state == "behind" and settled):
            reason = f": {one.reason}" if one.reason else ""
            yield finding("gateway_behind", one.name, f"Version {one.version} of {one.newest}{reason}"[:300], link)
        if one.state == "silent":
            yield finding("gateway_silent", one.name, "No report for half a minute or longer", link)
            continue
        if one.kronborg and one.kronborg != ours:
            yield finding("gateway_old", one.name, f"{one.kronborg} there, {ours} here", link)
        if one.revocation_ms is not None and one.revocation_ms > _LATE_MS:
            yield finding("revocation_stale", one.name, f"{one.revocation_ms} ms behind", link)
