"""TLS of listeners and to services, and the secrets both read: one file for each certificate (SDS).

A listener names files, never what is in them: a renewed certificate is a renamed file, which new handshakes see, and
neither the listener nor an open connection notices. Private keys are in these files (0600) and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import discovery, seconds, typed
from kronborg.gateway.listener_model import Listener, ListenerTls
from kronborg.gateway.model import Service, Snapshot

FOLDER = "tls"
"""In the proxy's folder; Envoy looks at what is renamed in it."""
_CONTEXTS = "envoy.extensions.transport_sockets.tls.v3."
_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105
_VERSIONS = {"1.2": "TLSv1_2", "1.3": "TLSv1_3"}
# RFC 9325 section 4.2: forward secrecy and authenticated encryption. Those of TLS 1.3 all are.
_CIPHERS = (
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]",
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)
_TRUST = "/etc/ssl/certs/ca-certificates.crt"


def needed(snapshot: Snapshot, proxy: Proxy) -> tuple[str, ...]:
    """The names of all certificates that a proxy shows to somebody, sorted."""
    shown = {name for listener in proxy.listening if listener.tls for name in listener.tls.certificates}
    return tuple(sorted(shown | set(shown_to_services(snapshot))))


def shown_to_services(snapshot: Snapshot) -> Iterator[str]:
    """The names of the certificates that services are shown."""
    for service in snapshot.services:
        if service.tls is not None and service.tls.client_certificate is not None:
            yield service.tls.client_certificate


def path_of(proxy: Proxy, name: str) -> Path:
    """The file of a certificate."""
    return proxy.folder / FOLDER / f"{name}.json"


def authorities_name(listener: Listener) -> str:
    """The name under which a listener asks for those who vouch for callers; no certificate is called so."""
    return f"authorities.{listener.name}"


def certificate_secret(name: str, chain: str, key: str) -> bytes:
    """The file of a certificate with its key."""
    pair: JsonObject = {"certificate_chain": {"inline_string": chain}, "private_key": {"inline_string": key}}
    return discovery([{"@type": _SECRET, "name": name, "tls_certificate": pair}])


def authorities_secret(listener: Listener, authorities: str, revoked: str | None, *, anyone: bool) -> bytes:
    """The file of those who vouch for callers. With `anyone` they only have to be there: any certificate is taken."""
    context: dict[str, JsonValue] = {"trusted_ca": {"inline_string": authorities}}
    if revoked is not None:
        context["crl"] = {"inline_string": revoked}
    if anyone:
        context["trust_chain_verification"] = "ACCEPT_UNTRUSTED"
    return discovery([{"@type": _SECRET, "name": authorities_name(listener), "validation_context": context}])


def transport(tls: ListenerTls, listener: Listener, proxy: Proxy) -> JsonObject:
    """The transport socket of a listener."""
    common: dict[str, JsonValue] = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": _versions(tls.minimum),
        "tls_certificate_sds_secret_configs": [_asked(name, proxy) for name in tls.certificates],
    }
    context: dict[str, JsonValue] = {"common_tls_context": common}
    if tls.client_certificates != "none":
        common["validation_context_sds_secret_config"] = _asked(authorities_name(listener), proxy)
        context["require_client_certificate"] = tls.client_certificates == "required"
        # A resumed session would be believed after its certificate has ended or was revoked.
        context["disable_stateless_session_resumption"] = True
        context["disable_stateful_session_resumption"] = True
    return {"name": "tls", "typed_config": typed(_CONTEXTS + "DownstreamTlsContext", **context)}


def upstream(service: Service, host: str, proxy: Proxy, *, address: bool) -> JsonObject:
    """TLS to a service whose URL names `host`: its names are checked, and who vouches for it."""
    told = service.tls
    sni = (told.sni if told else None) or (None if address else host)
    names = (told.verify_names if told else ()) or ((sni or host),)
    own = told.ca if told else None
    matched: list[JsonObject] = [
        {
            "san_type": "IP_ADDRESS" if address and name == host else "DNS",
            "matcher": {"exact": name},
        }
        for name in names
    ]
    common: dict[str, JsonValue] = {
        "alpn_protocols": ["h2"] if service.http2 else ["http/1.1"],
        "validation_context": {
            "trusted_ca": {"filename": _TRUST} if own is None else {"inline_string": own},
            "match_typed_subject_alt_names": matched,
        },
    }
    if told is not None:
        common["tls_params"] = _versions(told.minimum)
    if told is not None and told.client_certificate is not None:
        common["tls_certificate_sds_secret_configs"] = [_asked(told.client_certificate, proxy)]
    context: dict[str, JsonValue] = {"common_tls_context": common}
    if sni is not None:
        context["sni"] = sni
    return {"name": "tls", "typed_config": typed(_CONTEXTS + "UpstreamTlsContext", **context)}


def stays(tls: ListenerTls) -> JsonObject | None:
    """The filter that says Strict-Transport-Security on every answer (RFC 6797 section 7.1)."""
    if tls.hsts is None:
        return None
    age = seconds(tls.hsts).rstrip("s").partition(".")[0]
    header: JsonObject = {"header": {"key": "strict-transport-security", "value": f"max-age={age}"}}
    said: JsonObject = {"append": {**header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    kind = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
    return {"name": "hsts", "typed_config": typed(kind, mutations={"response_mutations": [said]})}


def _versions(minimum: str) -> JsonObject:
    return {
        "tls_minimum_protocol_version": _VERSIONS[minimum],
        "tls_maximum_protocol_version": "TLSv1_3",
        "cipher_suites": list(_CIPHERS),
    }


def _asked(name: str, proxy: Proxy) -> JsonObject:
    """A secret that is read from its file, and again when the file is replaced."""
    folder = str(proxy.folder / FOLDER)
    return {
        "name": name,
        "sds_config": {
            "resource_api_version": "V3",
            "path_config_source": {"path": f"{folder}/{name}.json", "watched_directory": {"path": folder}},
        },
    }
