"""An identity provider of SAML: pysaml2's own, with keys of this process, and what an attacker makes of its answers."""

from __future__ import annotations

import base64
import shutil
import warnings
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from kronborg.core import clock

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the library imports names that cryptography is about to move
    from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
    from saml2.config import IdPConfig
    from saml2.saml import NAMEID_FORMAT_PERSISTENT, NameID
    from saml2.server import Server
    from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

ENTITY = "https://idp.corp.example/metadata"
SSO = "https://idp.corp.example/sso"


@dataclass
class SamlProvider:
    """The provider. `certificate` is what is registered here."""

    folder: Path
    certificate: str
    server: Any

    def respond(
        self,
        location: str,
        *,
        subject: str = "persistent-1",
        identity: dict[str, list[str]] | None = None,
        request_id: str | None = None,
        destination: str = "http://localhost:8081/federation/corp/acs",
        audience: str = "http://localhost:8081/federation/corp/metadata",
        sign: bool = True,
        name_format: str = NAMEID_FORMAT_PERSISTENT,
        **more: Any,
    ) -> bytes:
        """The response to the AuthnRequest that a browser was sent with."""
        asked = self.server.parse_authn_request(
            parse_qs(urlsplit(location).query)["SAMLRequest"][0], BINDING_HTTP_REDIRECT
        ).message
        answer = self.server.create_authn_response(
            identity or {"uid": ["ophelia"], "mail": ["ophelia@corp.example"]},
            in_response_to=asked.id if request_id is None else request_id,
            destination=destination,
            sp_entity_id=audience,
            name_id=NameID(format=name_format, text=subject),
            sign_assertion=sign,
            sign_response=False,
            sign_alg=more.pop("sign_alg", SIG_RSA_SHA256),
            digest_alg=more.pop("digest_alg", DIGEST_SHA256),
            authn={"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"},
            **more,
        )
        return str(answer).encode()


def encoded(xml: bytes) -> str:
    return base64.b64encode(xml).decode()


def saml_provider(folder: Path, metadata: bytes) -> SamlProvider:
    """A provider that knows the service provider with this metadata."""
    key = generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.corp.example")])
    now = clock.now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    (folder / "idp.pem").write_bytes(pem)
    (folder / "idp.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    config = IdPConfig()
    config.load(
        {
            "entityid": ENTITY,
            "xmlsec_binary": shutil.which("xmlsec1"),
            "key_file": str(folder / "idp.key"),
            "cert_file": str(folder / "idp.pem"),
            "metadata": {"inline": [metadata.decode()]},
            "service": {
                "idp": {
                    "endpoints": {"single_sign_on_service": [(SSO, BINDING_HTTP_REDIRECT), (SSO, BINDING_HTTP_POST)]},
                    "policy": {"default": {"lifetime": {"minutes": 5}, "attribute_restrictions": None}},
                }
            },
        }
    )
    return SamlProvider(folder, pem.decode(), Server(config=config))
