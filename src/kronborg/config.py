"""Settings: where the installation lives and where it listens. The only module that reads the environment.

A setting comes from, in order: the command line, the environment (`KRONBORG_…`), the `server:` section of
`kronborg.yaml`, the default. Everything else in the product receives a `Settings` value.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from kronborg.accounts.settings import PeopleSettings, people_problems
from kronborg.api_keys.model import KeySettings
from kronborg.certificates.model import AcmeSettings
from kronborg.clients.admission import NOBODY, Admission, policy_problems
from kronborg.clients.settings import Profile
from kronborg.core.addresses import network as plain_network
from kronborg.core.brand import Brand
from kronborg.core.crypto import Vault
from kronborg.core.errors import Invalid, Problem
from kronborg.core.mail import MailSettings, mail_problems
from kronborg.core.mail_delivery import PostOffice
from kronborg.core.policy import policy_problems as cedar_problems
from kronborg.core.tls import MutualTlsSettings, TlsListener, tls_problems
from kronborg.core.token_address import HeldKeysSettings, TokenAddress
from kronborg.core.values import freeze, thaw
from kronborg.factors.model import SmsSettings, sms_problems
from kronborg.gateway.access_model import Addresses
from kronborg.gateway.content_model import Bots
from kronborg.gateway.content_problems import bots_problems
from kronborg.gateway.fleet_model import FleetSettings, fleet_problems
from kronborg.gateway.listener_model import Listener
from kronborg.gateway.listener_problems import acme_problems, listener_problems
from kronborg.gateway.revocation_model import DEFAULT_POLICY, RevocationPolicy
from kronborg.gateway.telemetry_model import MetricsSettings, TracingSettings, TrafficSettings
from kronborg.gateway.telemetry_problems import telemetry_problems
from kronborg.gateway.watch_model import AlertSettings, SurfaceSettings, watch_problems
from kronborg.limits.policy import QuotaPolicy
from kronborg.signin.model import SignInSettings

if TYPE_CHECKING:
    from kronborg.gateway.declare.server_section import GatewayListener

RESOLVED = "KRONBORG_RESOLVED_SETTINGS"
"""Set by the supervisor for its children, so that each of them need not read and check the file again."""
_OURS = ("KRONBORG_", "PG")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a process listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Its plain HTTP URL."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Settings:
    """One installation. `issuer` and `gateway_url` are what clients see, without a trailing slash."""

    data: Path = Path(".kronborg")
    file: Path | None = None
    issuer: str = "http://localhost:8081"
    gateway_url: str = "http://localhost:8080"
    gateway: Address = Address("127.0.0.1", 8080)
    gateway_name: str = "gateway-1"
    revocation: RevocationPolicy = DEFAULT_POLICY
    addresses: Addresses | None = None
    bots: Bots | None = None
    gateway_proxies: tuple[str, ...] = ()
    gateway_certificate_header: str | None = None
    traffic: TrafficSettings = field(default_factory=TrafficSettings)
    tracing: TracingSettings | None = None
    metrics: MetricsSettings | None = None
    quotas: QuotaPolicy = field(default_factory=QuotaPolicy)
    surface: SurfaceSettings = field(default_factory=SurfaceSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    identity: Address = Address("127.0.0.1", 8081)
    identity_workers: int = 1
    tls: TlsListener | None = None
    mtls: MutualTlsSettings | None = None
    require_dpop_nonce: bool = False
    listeners: tuple[Listener, ...] = ()
    acme: AcmeSettings | None = None
    control: Address = Address("127.0.0.1", 8082)
    worker: Address = Address("127.0.0.1", 8083)
    fleet: FleetSettings | None = None
    database: str = ""
    master_key: str | None = None
    allow_plain_http: bool = False
    trusted_proxies: tuple[str, ...] = ()
    session_idle: timedelta = timedelta(hours=12)
    session_absolute: timedelta = timedelta(days=14)
    profile: Profile = "none"
    envoy_concurrency: int = 2
    log_level: str = "INFO"
    fetch_allow: tuple[str, ...] = ()
    fetch_ca_file: Path | None = None
    admission: Admission = NOBODY
    held_keys: HeldKeysSettings | None = None
    brand: Brand = field(default_factory=Brand)
    mail: MailSettings = field(default_factory=MailSettings)
    sign_in: SignInSettings = field(default_factory=SignInSettings)
    people: PeopleSettings = field(default_factory=PeopleSettings)
    api_keys: KeySettings = field(default_factory=KeySettings)
    policies: Path | None = None
    """A folder of Cedar policies besides ours."""

    @property
    def database_url(self) -> str:
        """The configured database, or the SQLite file in the data folder."""
        return self.database or f"sqlite:///{self.data.resolve() / 'kronborg.db'}"

    @property
    def sqlite_file(self) -> Path | None:
        """The file of an SQLite database."""
        scheme, _, path = self.database_url.partition(":///")
        return Path(path) if scheme == "sqlite" else None

    def vault(self) -> Vault:
        """The vault of this installation; makes the master key at the first start."""
        held = None if self.held_keys is None else _token_address(self.held_keys)
        return Vault.load(self.data / "master.key", self.master_key, held=held)

    def post_office(self) -> PostOffice:
        """How letters leave this installation; the password is read now. Raises `Invalid` when it is not there."""
        folder = self.mail.folder or self.data / "mail"
        return PostOffice(self.mail, folder, urlsplit(self.issuer).hostname or "localhost", _mail_password(self.mail))


def load_settings(
    file: Path | None = None, data: Path | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """The settings of this start. Raises `Invalid` naming every setting that cannot stand.

    A `kronborg.yaml` that does not parse raises `Invalid` too, with file, line and the nearest known key.
    """
    env = os.environ if environ is None else environ
    if env.get(RESOLVED):
        return replace(thaw(Settings, orjson.loads(env[RESOLVED])), master_key=_master_key(env))
    path = file or (Path(env["KRONBORG_FILE"]) if env.get("KRONBORG_FILE") else None)
    settings = _from_file(path) if path else Settings()
    folder = data or (Path(env["KRONBORG_DATA"]) if env.get("KRONBORG_DATA") else settings.data)
    settings = replace(
        settings,
        data=folder.absolute(),
        database=env.get("KRONBORG_DATABASE", settings.database),
        master_key=_master_key(env),
        log_level=env.get("KRONBORG_LOG_LEVEL", settings.log_level).upper(),
    )
    problems = check(settings)
    if problems:
        raise Invalid(*problems)
    return settings


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """What a child process starts with: our own environment and `extra`.

    A child that is not handed our settings is not a process of ours: it gets neither our settings nor our secrets.
    """
    ours = RESOLVED in extra
    return {**{name: value for name, value in os.environ.items() if ours or not name.startswith(_OURS)}, **extra}


def resolved(settings: Settings) -> dict[str, str]:
    """The environment that gives a child process these settings as they are; the master key is not in it."""
    return {RESOLVED: orjson.dumps(freeze(replace(settings, master_key=None))).decode()}


def environment() -> dict[str, str]:
    """Our own environment, in which a document may name its secrets."""
    return dict(os.environ)


def check(settings: Settings) -> tuple[Problem, ...]:
    """Everything that makes these settings unsafe or unusable."""
    problems: list[Problem] = []
    if settings.database and not settings.database.startswith(("sqlite:///", "postgresql://")):
        problems.append(
            Problem("server.database", "is not a database URL", "write sqlite:///path or postgresql://user@host/name")
        )
    if settings.log_level not in LOG_LEVELS:
        problems.append(Problem("server.log_level", "is not a level", f"use one of {', '.join(LOG_LEVELS)}"))
    for name, url in (("issuer", settings.issuer), ("gateway_url", settings.gateway_url)):
        problems += _check_url(name, url, plain=settings.allow_plain_http)
    listeners = (*(() if settings.listeners else (("gateway", settings.gateway),)), ("identity", settings.identity))
    for name, address in listeners:
        if not address.loopback and not settings.allow_plain_http:
            problems.append(
                Problem(
                    f"server.{name}.host",
                    "would serve plain HTTP beyond this machine",
                    "bind 127.0.0.1 behind a TLS proxy, or say allow_plain_http: true if you mean it",
                )
            )
    problems += tls_problems(settings.tls, settings.mtls, proxies=bool(settings.trusted_proxies))
    problems += _network_problems("trusted_proxies", settings.trusted_proxies, "write 127.0.0.1 or 10.0.0.0/8")
    problems += _gateway_problems(settings)
    problems += _network_problems("fetch.allow", settings.fetch_allow, "write 10.1.0.0/16")
    if settings.fetch_ca_file is not None and not settings.fetch_ca_file.is_file():
        problems.append(Problem("server.fetch.ca_file", "is no file", "give a file of certificates in PEM"))
    problems += sms_problems(settings.sign_in.factors.sms)
    admission = settings.admission
    if admission.open_policy is not None:
        problems += policy_problems(admission.open_policy, "server.registration")
    problems += policy_problems(admission.document_policy, "server.client_id_metadata_documents")
    problems += cedar_problems(settings.policies)
    problems += people_problems(settings.people)
    problems += mail_problems(settings.mail)
    problems += fleet_problems(settings.fleet)
    problems += watch_problems(settings.surface, settings.alerts)
    private = (("control", settings.control), ("worker", settings.worker))
    for name, address in private:
        if not address.loopback:
            problems.append(Problem(f"server.{name}.host", "must stay on this machine", "bind 127.0.0.1"))
    ports = [address.port for _, address in (*listeners, *private)]
    asking = settings.mtls.listener if settings.mtls is not None else None
    ports += [listener.port for listener in (settings.tls, asking, settings.fleet) if listener is not None]
    ports += [listener.port for listener in settings.listeners]
    if len(set(ports)) != len(ports):
        problems.append(Problem("server", "two processes are given the same port", "give each its own"))
    return tuple(problems)


def _gateway_problems(settings: Settings) -> Iterator[Problem]:
    yield from listener_problems(settings.listeners, plain=settings.allow_plain_http)
    yield from acme_problems(settings.acme, settings.listeners)
    yield from telemetry_problems(settings.tracing, settings.metrics)
    yield from bots_problems("server.gateway.bots", settings.bots)
    given = settings.addresses or Addresses()
    yield from _network_problems("gateway.addresses", (*given.allow, *given.deny), "write 192.0.2.0/24")
    yield from _network_problems("gateway.trusted_proxies", settings.gateway_proxies, "write 10.0.0.0/8")
    if any(network.endswith("/0") for network in settings.gateway_proxies):
        mend = "name the networks of the proxies only"
        yield Problem("server.gateway.trusted_proxies", "believes everybody", mend)
    if settings.gateway_certificate_header is not None and not settings.gateway_proxies:
        mend = "name them in server.gateway.trusted_proxies"
        yield Problem("server.gateway.certificate_header", "is believed of trusted proxies only", mend)


def _network_problems(name: str, networks: tuple[str, ...], mend: str) -> list[Problem]:
    problems = []
    for network in networks:
        try:
            plain_network(network)
        except ValueError:
            problems.append(Problem(f"server.{name}", "holds no address or network", mend))
    return problems


def _check_url(name: str, url: str, *, plain: bool) -> list[Problem]:
    parts = urlsplit(url)
    where = f"server.{name}"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return [Problem(where, "must be an absolute http or https URL", "write for example https://id.example.com")]
    if parts.query or parts.fragment or url.endswith("/"):
        return [Problem(where, "must have no query, fragment or trailing slash", "cut it off")]
    if parts.scheme == "http" and not plain and not Address(parts.hostname, 0).loopback:
        return [Problem(where, "is plain HTTP beyond this machine", "use https, or allow_plain_http: true")]
    return []


def _master_key(env: Mapping[str, str]) -> str | None:
    if env.get("KRONBORG_MASTER_KEY_FILE"):
        try:
            return Path(env["KRONBORG_MASTER_KEY_FILE"]).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            raise Invalid(Problem("KRONBORG_MASTER_KEY_FILE", "cannot be read", "check the path and who may")) from None
    return env.get("KRONBORG_MASTER_KEY") or None


def sms_secret(sms: SmsSettings) -> str | None:
    """The secret of the webhook that sends text messages, from where the settings say. Raises `Invalid`."""
    return _secret("server.sign_in.factors.sms.secret", sms.secret_env, sms.secret_file)


def _mail_password(mail: MailSettings) -> str | None:
    return _secret("server.mail.password", mail.password_env, mail.password_file)


def _token_address(held: HeldKeysSettings) -> TokenAddress:
    pin = _secret("server.keys.pkcs11.pin", held.pin_env, None if held.pin_file is None else Path(held.pin_file))
    return TokenAddress(held.module, held.token, pin or "", held.algorithms)


def _secret(where: str, env: str | None, file: Path | None) -> str | None:
    """A secret that the settings name a variable or a file for; None when they name neither. Raises `Invalid`."""
    if env is None and file is None:
        return None
    found = os.environ.get(env, "") if env else ""
    if file is not None:
        try:
            found = file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise Invalid(Problem(f"{where}.file", "cannot be read", "check the path and who may")) from None
    if not found:
        raise Invalid(Problem(where, "is empty or not set", "set the variable or fill the file"))
    return found


def _from_file(path: Path) -> Settings:
    from kronborg.gateway.declare.document import load
    from kronborg.gateway.declare.people_section import brand_in, mail_in, people_in, sign_in_in
    from kronborg.gateway.declare.server_section import admission_in, fleet_in, held_keys_in, listeners_in

    server = load(path).server
    default = Settings()
    tls, mtls = listeners_in(server.identity, path.absolute().parent)
    return replace(
        _gateway_in(server.gateway, path.absolute().parent),
        file=path.absolute(),
        issuer=server.issuer,
        gateway_url=server.gateway_url,
        surface=server.surface,
        alerts=server.alerts,
        fleet=fleet_in(server),
        identity=Address(server.identity.host, server.identity.port),
        identity_workers=server.identity.workers,
        tls=tls,
        mtls=mtls,
        require_dpop_nonce=server.require_dpop_nonce,
        control=Address(server.control.host, server.control.port),
        worker=Address(server.worker.host, server.worker.port),
        database=server.database or "",
        allow_plain_http=server.allow_plain_http,
        trusted_proxies=server.trusted_proxies,
        session_idle=server.session.idle,
        session_absolute=server.session.absolute,
        profile=server.profile,
        envoy_concurrency=server.envoy.concurrency,
        log_level=server.log_level or default.log_level,
        fetch_allow=server.fetch.allow,
        fetch_ca_file=None if server.fetch.ca_file is None else path.absolute().parent / server.fetch.ca_file,
        admission=admission_in(server),
        held_keys=held_keys_in(server, path.absolute().parent),
        brand=brand_in(server.brand, path.absolute().parent),
        mail=mail_in(server.mail, path.absolute().parent),
        sign_in=sign_in_in(server.sign_in, path.absolute().parent),
        people=people_in(server.people),
        api_keys=server.api_keys,
        policies=None if server.policies is None else path.absolute().parent / server.policies,
    )


def _gateway_in(gateway: GatewayListener, folder: Path) -> Settings:
    from kronborg.gateway.declare.listener_section import acme_in, gateway_listeners_in

    return Settings(
        gateway=Address(gateway.host, gateway.port),
        gateway_name=gateway.name,
        revocation=gateway.revocation,
        addresses=gateway.addresses,
        bots=gateway.bots,
        gateway_proxies=gateway.trusted_proxies,
        gateway_certificate_header=gateway.certificate_header,
        traffic=gateway.traffic,
        tracing=gateway.tracing,
        metrics=gateway.metrics,
        quotas=gateway.quotas,
        listeners=gateway_listeners_in(gateway.listeners, folder),
        acme=acme_in(gateway.acme, folder),
    )
