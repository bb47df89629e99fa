"""The `server:` section: where the installation is known and where its processes listen. Read by `config.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from kronborg.api_keys.model import KeySettings
from kronborg.clients.admission import ANYTHING_USUAL, Admission, RegistrationPolicy
from kronborg.clients.model import AuthMethod, GrantName
from kronborg.clients.settings import Profile
from kronborg.core.forwarded_certificate import CertificateHeader
from kronborg.core.quantities import Duration, parse_duration
from kronborg.core.tls import MutualTlsSettings, TlsListener
from kronborg.core.token_address import HELD_ALGORITHMS, HeldAlgorithm, HeldKeysSettings
from kronborg.gateway.access_model import Addresses
from kronborg.gateway.content_model import Bots
from kronborg.gateway.declare.listener_section import AcmeSection, ListenerSection
from kronborg.gateway.declare.parts import Host, Key, Name, Port, SecretReference, Section, Uri, Words
from kronborg.gateway.declare.people_section import BrandSection, MailSection, PeopleSection, SignInSection
from kronborg.gateway.fleet_model import NODE_NAME, FleetSettings
from kronborg.gateway.revocation_model import DEFAULT_POLICY, RevocationPolicy
from kronborg.gateway.telemetry_model import MetricsSettings, TracingSettings, TrafficSettings
from kronborg.gateway.watch_model import AlertSettings, SurfaceSettings
from kronborg.limits.policy import QuotaPolicy


def _without_password(url: str) -> str:
    try:
        has_password = urlsplit(url).password is not None
    except ValueError:
        raise PydanticCustomError("database", "is not a database URL; write postgresql://user@host:port/name") from None
    if has_password:
        raise PydanticCustomError(
            "inline_secret",
            "holds a password in the clear; give the URL in KRONBORG_DATABASE, or leave the password to PGPASSWORD",
        )
    if not url.startswith(("sqlite:///", "postgresql://")):
        raise PydanticCustomError("database", "is not a database URL; write sqlite:///path or postgresql://…")
    return url


class GatewayListener(Section):
    """Where the gateway listens."""

    host: Host = "127.0.0.1"
    """The address to bind."""
    port: Port = 8080
    """The port of the gateway."""
    name: Annotated[str, StringConstraints(pattern=NODE_NAME)] = "gateway-1"
    """What the gateway of this machine is called in the fleet; machines on one database need different names."""
    revocation: RevocationPolicy = DEFAULT_POLICY
    """Revoked tokens: what happens without news of them, and how often the way to here is measured."""
    traffic: TrafficSettings = TrafficSettings()
    """What is kept of the requests that passed."""
    tracing: TracingSettings | None = None
    """OpenTelemetry traces; none when absent."""
    metrics: MetricsSettings | None = None
    """OpenTelemetry metrics; none when absent."""
    addresses: Addresses | None = None
    """Where requests to any route may come from; a route may narrow it down."""
    bots: Bots | None = None
    """Rules against scanners and odd clients on every route; none when absent."""
    trusted_proxies: Annotated[tuple[Host, ...], Field(max_length=50)] = ()
    """Addresses or networks of load balancers in front of the gateway, whose `X-Forwarded-For` and `X-Forwarded-Proto`
    are believed. From anywhere else these headers are taken away."""
    certificate_header: CertificateHeader | None = None
    """The header in which those load balancers pass the certificate of a caller on, for tokens that are bound to it."""
    listeners: Annotated[dict[Name, ListenerSection], Field(max_length=16)] = Field(default_factory=dict)
    """Where it listens, by name, in place of `host` and `port`."""
    acme: AcmeSection | None = None
    """Who makes the certificates that are not uploaded."""
    quotas: QuotaPolicy = QuotaPolicy()
    """Who keeps the counters of quotas, and what answers tell about limits."""


class TlsSection(Section):
    """HTTPS by the identity process itself, on a port of its own; the plain one stays for this machine."""

    host: Host = "0.0.0.0"  # noqa: S104  # it is meant to be reached
    """The address to bind."""
    port: Port = 8443
    """The port of HTTPS."""
    certificate: Uri
    """The certificate with its chain (PEM), relative to this file; read again when it changes."""
    key: Uri
    """Its private key (PEM), relative to this file."""


class MutualTlsSection(Section):
    """Clients with certificates (RFC 8705): where they call, and whose certificates count."""

    url: Uri
    """The https URL of the protocol endpoints for them, announced as `mtls_endpoint_aliases`."""
    authorities: Uri | None = None
    """Those who vouch for clients of `tls_client_auth` (PEM), relative to this file."""
    header: CertificateHeader | None = None
    """The header in which the proxies of `trusted_proxies` pass the certificate of a client on."""
    host: Host = "0.0.0.0"  # noqa: S104  # it is meant to be reached
    """The address to bind, when the identity process itself asks for certificates."""
    port: Port | None = None
    """The port on which it does; none when absent."""
    certificate: Uri | None = None
    """The certificate of that port with its chain (PEM), relative to this file; read again when it changes."""
    key: Uri | None = None
    """Its private key (PEM), relative to this file."""

    @model_validator(mode="after")
    def _complete(self) -> MutualTlsSection:
        if (self.port, self.certificate, self.key).count(None) not in (0, 3):
            raise PydanticCustomError("mtls", "needs port, certificate and key together")
        return self


class IdentityListener(Section):
    """Where the identity process listens."""

    host: Host = "127.0.0.1"
    """The address to bind."""
    port: Port = 8081
    """The port of sign-in, tokens and the admin API."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Identity processes that share the port; one for each processor core that they may use."""
    tls: TlsSection | None = None
    """HTTPS without a proxy in front."""
    mtls: MutualTlsSection | None = None
    """Clients with certificates."""


class ControlListener(Section):
    """Where the control process listens."""

    host: Host = "127.0.0.1"
    """The address to bind; loopback only."""
    port: Port = 8082
    """The port that the gateway asks."""


class WorkerListener(Section):
    """Where the worker answers health checks."""

    host: Host = "127.0.0.1"
    """The address to bind; loopback only."""
    port: Port = 8083
    """The port of its health and metrics."""


class FleetListenerSection(Section):
    """Where gateways on other machines reach the control process, over TLS with certificates of the fleet."""

    host: Host = "0.0.0.0"  # noqa: S104  # it is meant to be reached
    """The address to bind."""
    port: Port = 8444
    """The port of the fleet."""
    url: Uri
    """The https URL by which gateways reach it."""


class SessionTimes(Section):
    """How long people stay signed in."""

    idle: Duration = parse_duration("12h")
    """A session unused for this long ends."""
    absolute: Duration = parse_duration("14d")
    """A session ends this long after sign-in, whatever happens."""


class EnvoySection(Section):
    """How Envoy is run."""

    concurrency: Annotated[int, Field(ge=1, le=256)] = 2
    """Worker threads of the gateway."""


class FetchSection(Section):
    """How the server calls URLs that clients registered: their keys, request objects, logout notices."""

    allow: Annotated[tuple[Host, ...], Field(max_length=50)] = ()
    """Networks that may be called although they are not public, like `10.1.0.0/16`. For development and for clients
    inside your own network: whoever registers a client can make the server call what is in them. Loopback networks
    may then be called by plain http too."""
    ca_file: Uri | None = None
    """Certificate authorities (PEM) trusted for these calls besides the system's; relative to this file."""


class PolicySection(Section):
    """What clients that no administrator made may be."""

    grants: Annotated[tuple[GrantName, ...], Field(max_length=9)] = ANYTHING_USUAL.grants
    """The grants they may use."""
    scopes: Words | None = None
    """The scopes they may ask for; every scope but those of the admin API when absent."""
    redirect_hosts: Annotated[tuple[Host, ...], Field(max_length=100)] = ()
    """The hosts of their redirect URIs: `app.example`, or `*.app.example` for all below it; any host when empty."""
    redirect_schemes: Annotated[tuple[Key, ...], Field(max_length=20)] = ANYTHING_USUAL.redirect_schemes
    """The schemes of their redirect URIs. `http` is for the loopback only; an app on a phone has one like
    `com.example.app`."""
    max_clients: Annotated[int, Field(ge=1, le=100_000)] = ANYTHING_USUAL.max_clients
    """How many of them there may be."""
    unused: Duration = ANYTHING_USUAL.unused
    """One that nobody has used for this long is removed."""


class RegistrationSection(PolicySection):
    """Dynamic client registration (RFC 7591) without an initial access token. Each of those has a policy of its own."""

    open: bool = False
    """Let anybody register a client, within what stands here."""
    auth_methods: Annotated[tuple[AuthMethod, ...], Field(max_length=7)] = ANYTHING_USUAL.auth_methods
    """How they may authenticate."""


class DocumentsSection(PolicySection):
    """Client ID metadata documents: clients whose id is the https URL of a document that describes them."""

    enabled: bool | None = None
    """Take them. When absent, as the profile of the installation says: `mcp` takes them, no other does."""
    allow: Annotated[tuple[Host, ...], Field(max_length=200)] = ()
    """The only hosts whose documents are fetched: `app.example`, or `*.app.example` for all below it; any when
    empty."""
    deny: Annotated[tuple[Host, ...], Field(max_length=200)] = ()
    """Hosts whose documents are not fetched."""
    max_clients: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """How many of them are remembered; one that nobody ever used gives way to a new one."""


class Pkcs11Section(Section):
    """A PKCS#11 token that makes and keeps signing keys: a hardware module, or a key service with such a library."""

    module: Uri
    """The path of the PKCS#11 library, like `/usr/lib/softhsm/libsofthsm2.so`."""
    token: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    """The label of the token."""
    pin: SecretReference
    """The user's PIN."""
    algorithms: Annotated[tuple[HeldAlgorithm, ...], Field(min_length=1, max_length=3)] = HELD_ALGORITHMS
    """What the token signs; keys for other algorithms are sealed in the database as ever."""


class KeysSection(Section):
    """Where the keys that sign tokens are kept."""

    pkcs11: Pkcs11Section | None = None
    """A PKCS#11 token; without one they are sealed in the database under the master key."""


class ServerSection(Section):
    """Settings of this installation, not objects in its store: they hold from the next start."""

    issuer: Uri = "http://localhost:8081"
    """The URL by which clients know the identity process; it is in every token and cannot change later."""
    gateway_url: Uri = "http://localhost:8080"
    """The URL by which clients know the gateway."""
    database: Annotated[str, AfterValidator(_without_password)] | None = None
    """`sqlite:///path` or `postgresql://user@host:port/name`; an SQLite file in the data folder when absent."""
    gateway: GatewayListener = GatewayListener()
    """Where the gateway listens."""
    identity: IdentityListener = IdentityListener()
    """Where the identity process listens."""
    control: ControlListener = ControlListener()
    """Where the control process listens."""
    worker: WorkerListener = WorkerListener()
    """Where the worker answers health checks."""
    fleet: FleetListenerSection | None = None
    """Where gateways on other machines reach the control process; absent: nowhere."""
    surface: SurfaceSettings = SurfaceSettings()
    """When something of the attack surface becomes a finding."""
    alerts: AlertSettings = AlertSettings()
    """Who is told of alerts; the rules themselves are in the section `alerts` of this file."""
    allow_plain_http: bool = False
    """Serve plain HTTP beyond this machine; without it every address but loopback is refused."""
    trusted_proxies: Annotated[tuple[Host, ...], Field(max_length=50)] = ()
    """Addresses or networks of the proxies in front of the identity process, whose `X-Forwarded-For` is believed."""
    profile: Profile = "none"
    """The profile that every client is held to: `oauth21`, `fapi2-security`, `fapi2-message-signing` or `mcp`."""
    require_dpop_nonce: bool = False
    """Every DPoP proof carries a nonce of the server's, so that none can be made in advance (RFC 9449 §8)."""
    session: SessionTimes = SessionTimes()
    """How long people stay signed in."""
    envoy: EnvoySection = EnvoySection()
    """How Envoy is run."""
    fetch: FetchSection = FetchSection()
    """How URLs that clients registered are called."""
    registration: RegistrationSection = RegistrationSection()
    """Clients that register themselves."""
    client_id_metadata_documents: DocumentsSection = DocumentsSection()
    """Clients that describe themselves at a URL of theirs."""
    keys: KeysSection = KeysSection()
    """Where the keys that sign tokens are kept."""
    brand: BrandSection = BrandSection()
    """How the pages look."""
    mail: MailSection = MailSection()
    """How letters leave."""
    sign_in: SignInSection = SignInSection()
    """How people sign in."""
    api_keys: KeySettings = KeySettings()
    """How long API keys and personal access tokens may last, and who may make them."""
    people: PeopleSection = PeopleSection()
    """Who may register, and what is known of everyone."""
    policies: Uri | None = None
    """A folder of Cedar policies (`*.cedar`) besides those that come with Kronborg: who may do what in the console and,
    for people, in the admin API; relative to this file."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """How much is logged."""


def listeners_in(identity: IdentityListener, folder: Path) -> tuple[TlsListener | None, MutualTlsSettings | None]:
    """TLS of the identity process, with files relative to the folder of the document."""
    tls, mtls = identity.tls, identity.mtls
    listener = (
        None if tls is None else TlsListener(tls.host, tls.port, str(folder / tls.certificate), str(folder / tls.key))
    )
    if mtls is None:
        return listener, None
    own = None
    if mtls.port is not None and mtls.certificate is not None and mtls.key is not None:
        own = TlsListener(mtls.host, mtls.port, str(folder / mtls.certificate), str(folder / mtls.key))
    authorities = None if mtls.authorities is None else str(folder / mtls.authorities)
    return listener, MutualTlsSettings(mtls.url, authorities, mtls.header, own)


def fleet_in(server: ServerSection) -> FleetSettings | None:
    """Where gateways elsewhere reach us."""
    fleet = server.fleet
    return None if fleet is None else FleetSettings(fleet.host, fleet.port, fleet.url)


def held_keys_in(server: ServerSection, folder: Path) -> HeldKeysSettings | None:
    """The PKCS#11 token, with files relative to the folder of the document."""
    section = server.keys.pkcs11
    if section is None:
        return None
    pin_file = None if section.pin.file is None else str(folder / section.pin.file)
    return HeldKeysSettings(section.module, section.token, section.pin.env, pin_file, section.algorithms)


def admission_in(server: ServerSection) -> Admission:
    """Who may become a client without an administrator, as the file says."""
    registration, documents = server.registration, server.client_id_metadata_documents
    enabled = server.profile == "mcp" if documents.enabled is None else documents.enabled
    return Admission(
        open_policy=_policy(registration, registration.auth_methods) if registration.open else None,
        documents=enabled,
        document_hosts=documents.allow,
        document_denied=documents.deny,
        document_policy=_policy(documents, ANYTHING_USUAL.auth_methods),
    )


def _policy(section: PolicySection, auth_methods: tuple[AuthMethod, ...]) -> RegistrationPolicy:
    return RegistrationPolicy(
        grants=section.grants,
        scopes=section.scopes,
        auth_methods=auth_methods,
        redirect_hosts=section.redirect_hosts,
        redirect_schemes=section.redirect_schemes,
        max_clients=section.max_clients,
        unused=section.unused,
    )
