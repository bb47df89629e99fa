"""The listeners of the gateway and its ACME server, as `server.gateway` tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from kronborg.certificates.model import AcmeSettings
from kronborg.gateway.declare.parts import Host, Port, Section, Uri
from kronborg.gateway.listener_model import Listener, ListenerTls

Contact = Annotated[str, StringConstraints(pattern=r"^[^@\s,]{1,64}@[^@\s,]{1,190}$")]


class ListenerSection(Section):
    """One address of the gateway."""

    host: Host = "127.0.0.1"
    """The address to bind."""
    port: Port
    """The port."""
    kind: Literal["external", "internal"] = "external"
    """Routes are served on `external` listeners unless they say otherwise; those for `internal` ones are not found
    outside."""
    tls: ListenerTls | None = None
    """HTTPS; plain HTTP when absent."""
    redirect: Port | None = None
    """Send everybody to HTTPS on this port, and answer nothing else but ACME servers."""


class AcmeSection(Section):
    """The ACME server (RFC 8555) that makes certificates of this installation and renews them."""

    directory: Uri
    """The https URL of its directory."""
    contact: Annotated[tuple[Contact, ...], Field(max_length=5)] = ()
    """Mail addresses that it may write to."""
    terms_agreed: bool = False
    """You have read its terms of service and agree."""
    ca_file: Uri | None = None
    """Authorities (PEM) that vouch for the ACME server itself, besides the system's; relative to this file."""


def gateway_listeners_in(sections: Mapping[str, ListenerSection], folder: Path) -> tuple[Listener, ...]:
    """The listeners, with files relative to the folder of the document."""
    return tuple(
        Listener(name, one.host, one.port, one.kind, _tls(one.tls, folder), one.redirect)
        for name, one in sections.items()
    )


def acme_in(section: AcmeSection | None, folder: Path) -> AcmeSettings | None:
    """The ACME server, with its file relative to the folder of the document."""
    if section is None:
        return None
    ca_file = None if section.ca_file is None else folder / section.ca_file
    return AcmeSettings(section.directory, section.contact, section.terms_agreed, ca_file)


def _tls(tls: ListenerTls | None, folder: Path) -> ListenerTls | None:
    if tls is None:
        return None
    authorities = None if tls.authorities is None else str(folder / tls.authorities)
    return replace(tls, authorities=authorities, revoked=None if tls.revoked is None else str(folder / tls.revoked))
