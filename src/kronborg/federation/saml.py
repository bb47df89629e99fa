"""SAML 2.0 as a service provider: requests, our metadata, and assertions that can be believed.

The optional extra `saml` brings pysaml2, which calls the program xmlsec1 for signatures; both are loaded at the first
use. What somebody posts is looked over before the library sees it, because what SAML libraries got wrong was nearly
always the document around the signature: no DTD (XXE, SAML core §1.3), one assertion, directly in the response, signed
by one signature of its own that covers it as a whole (signature wrapping), and algorithms that still hold.
"""

from __future__ import annotations

import base64
import binascii
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from kronborg.core.json import JsonObject, JsonValue
from kronborg.federation.presets import Known
from kronborg.federation.upstream import UpstreamRefused

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from saml2.client import Saml2Client

MAX_RESPONSE = 256 * 1024
SKEW = 60
MISSING = "SAML needs the optional extra saml and the program xmlsec1"
INSTALL = "pip install 'kronborg[saml]', and xmlsec1 by the system's package manager"
_PROTOCOL = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_ASSERTION = "{urn:oasis:names:tc:SAML:2.0:assertion}"
_SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}"
_HASHES = ("sha256", "sha384", "sha512")
_ALGORITHMS = frozenset(
    f"http://www.w3.org/2001/04/xmldsig-more#{kind}-{hash_}" for kind in ("rsa", "ecdsa") for hash_ in _HASHES
)
_DIGESTS = frozenset(
    f"http://www.w3.org/2001/04/{where}" for where in ("xmlenc#sha256", "xmldsig-more#sha384", "xmlenc#sha512")
)
_TRANSFORMS = frozenset(
    ("http://www.w3.org/2000/09/xmldsig#enveloped-signature", "http://www.w3.org/2001/10/xml-exc-c14n#")
)
_FORMATS = {
    "persistent": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    "email": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "unspecified": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
}
_TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"


@dataclass(frozen=True, slots=True)
class Sent:
    """An AuthnRequest: its id, and where it goes; `form` are the fields of a POST, empty for a redirect."""

    request_id: str
    url: str
    form: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Asserted:
    """What a believed assertion says. `claims` are its attributes by name and friendly name."""

    assertion_id: str
    in_response_to: str
    subject: str
    claims: JsonObject
    expires_at: datetime


def is_installed() -> bool:
    """Whether SAML can be used here."""
    return find_spec("saml2") is not None and shutil.which("xmlsec1") is not None


def acs_of(issuer: str, key: str) -> str:
    """Where assertions are posted to (the assertion consumer service)."""
    return f"{issuer}/federation/{key}/acs"


def entity_id_of(known: Known, issuer: str) -> str:
    """Who we are to the provider: by default the address of our metadata."""
    return known.settings.client_id or f"{issuer}/federation/{known.key}/metadata"


def metadata(known: Known, issuer: str) -> bytes:
    """Our metadata (SAML metadata §2.4.4), for the provider to read."""
    formats = _FORMATS[known.settings.name_id_format]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"'
        f" entityID={quoteattr(entity_id_of(known, issuer))}>"
        '<md:SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true"'
        ' protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        f"<md:NameIDFormat>{formats}</md:NameIDFormat>"
        '<md:AssertionConsumerService index="0" isDefault="true"'
        ' Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"'
        f" Location={quoteattr(acs_of(issuer, known.key))}/>"
        "</md:SPSSODescriptor></md:EntityDescriptor>\n"
    ).encode()


def request(known: Known, issuer: str, relay_state: str, *, again: bool) -> Sent:
    """An AuthnRequest for this provider. Raises `UpstreamRefused` when SAML is not installed. Call it in a thread."""
    client = _client(known, issuer)
    from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT

    posted = known.settings.sso_binding == "post"
    binding, where = BINDING_HTTP_POST if posted else BINDING_HTTP_REDIRECT, known.settings.sso_url
    more = {"force_authn": "true"} if again else {}
    request_id, message = client.create_authn_request(
        where,
        binding=BINDING_HTTP_POST,
        nameid_format=_FORMATS[known.settings.name_id_format],
        sign=False,
        **more,
    )
    if posted:
        encoded = base64.b64encode(str(message).encode()).decode()
        return Sent(str(request_id), where, (("SAMLRequest", encoded), ("RelayState", relay_state)))
    applied = client.apply_binding(binding, str(message), where, relay_state=relay_state)
    [location] = [value for name, value in applied["headers"] if name == "Location"]
    return Sent(str(request_id), str(location))


def believe(known: Known, issuer: str, posted: str, *, now: datetime) -> Asserted:
    """What a posted response asserts, everything about it being right but for what only the browser knows.

    Whether it answers a request of this browser (`in_response_to`) and whether it was used before is for the caller.
    Raises `UpstreamRefused`. Call it in a thread: xmlsec1 is a program of its own.
    """
    client = _client(known, issuer)
    xml = _decoded(posted)
    answers = _looked_over(xml)
    from saml2 import BINDING_HTTP_POST
    from saml2.response import StatusError

    try:
        response = client.parse_authn_request_response(posted, BINDING_HTTP_POST, outstanding={answers: "/"})
    except StatusError as error:
        raise UpstreamRefused("the provider refused") from error
    except Exception as error:  # the library says no by all sorts, down to Exception itself
        raise UpstreamRefused(f"the assertion is not believed: {type(error).__name__}") from error
    if response is None or response.assertion is None or response.in_response_to != answers:
        raise UpstreamRefused("the assertion is not believed")
    if response.issuer() != known.settings.issuer:
        raise UpstreamRefused("the assertion is another issuer's")
    name_id = response.get_subject()
    subject, kind = (name_id.text or "").strip(), name_id.format or ""
    if kind == _TRANSIENT and not known.settings.subject_claim:
        raise UpstreamRefused("the name of the person is a passing one, and no attribute is set that stays")
    claims: dict[str, JsonValue] = dict(_attributes(xml))
    if kind == _FORMATS["email"]:
        claims.setdefault(known.settings.email_claim or "email", subject)
    lifetime = timedelta(hours=1)
    return Asserted(str(response.assertion.id), answers, subject, claims, now + lifetime)


def _client(known: Known, issuer: str) -> Saml2Client:
    if not is_installed():
        raise UpstreamRefused(MISSING)
    from saml2 import BINDING_HTTP_POST
    from saml2.client import Saml2Client
    from saml2.config import SPConfig

    entity_id, acs = entity_id_of(known, issuer), acs_of(issuer, known.key)
    config = SPConfig()
    config.load(
        {
            "entityid": entity_id,
            "xmlsec_binary": shutil.which("xmlsec1"),
            "accepted_time_diff": SKEW,
            "allow_unknown_attributes": True,
            "metadata": {"inline": [_metadata_of(known)]},
            "service": {
                "sp": {
                    "endpoints": {"assertion_consumer_service": [(acs, BINDING_HTTP_POST)]},
                    "allow_unsolicited": False,
                    "authn_requests_signed": False,
                    "want_assertions_signed": True,
                    "want_response_signed": False,
                    "only_use_keys_in_metadata": True,
                }
            },
        }
    )
    return Saml2Client(config=config)


def _metadata_of(known: Known) -> str:
    """The provider as metadata, made of its settings."""
    settings = known.settings
    keys = "".join(
        '<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data>'
        f"<ds:X509Certificate>{_body_of(pem)}</ds:X509Certificate>"
        "</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        for pem in settings.certificates
    )
    services = "".join(
        f'<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-{binding}"'
        f" Location={quoteattr(settings.sso_url)}/>"
        for binding in ("Redirect", "POST")
    )
    return (
        '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"'
        f' xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID={quoteattr(settings.issuer)}>'
        '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        f"{keys}{services}</md:IDPSSODescriptor></md:EntityDescriptor>"
    )


def _body_of(pem: str) -> str:
    return escape("".join(line.strip() for line in pem.splitlines() if line and not line.startswith("-----")))


def _decoded(posted: str) -> bytes:
    if len(posted) > MAX_RESPONSE:
        raise UpstreamRefused("the response is too large")
    try:
        return base64.b64decode("".join(posted.split()), validate=True)
    except (binascii.Error, ValueError):
        raise UpstreamRefused("the response is not base64") from None


def _root(xml: bytes) -> Element:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root: Element = fromstring(xml, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        raise UpstreamRefused("the response is no XML that we take") from None
    return root


def _looked_over(xml: bytes) -> str:
    """The id of the request that a response answers, its shape being the one there can be. Raises `UpstreamRefused`."""
    root = _root(xml)
    assertions = [
        one for one in root.iter() if one.tag in (f"{_ASSERTION}Assertion", f"{_ASSERTION}EncryptedAssertion")
    ]
    if root.tag != f"{_PROTOCOL}Response" or len(assertions) != 1 or assertions[0] not in list(root):
        raise UpstreamRefused("the response does not hold exactly one assertion")
    [assertion] = assertions
    if assertion.tag != f"{_ASSERTION}Assertion":
        raise UpstreamRefused("the assertion is encrypted, which is not supported")
    ids = [one.get("ID") for one in root.iter() if one.get("ID") is not None]
    own = assertion.get("ID")
    if len(set(ids)) != len(ids) or not own:
        raise UpstreamRefused("an id stands twice in the response")
    signatures = list(root.iter(f"{_SIGNATURE}Signature"))
    mine = [one for one in assertion if one.tag == f"{_SIGNATURE}Signature"]
    around = [one for one in root if one.tag == f"{_SIGNATURE}Signature"]
    # SAML core §5.4.1, §5.4.2: a signature of the assertion itself, and at most one of the response around it.
    if len(mine) != 1 or len(around) > 1 or len(signatures) != len(mine) + len(around):
        raise UpstreamRefused("the assertion is not signed by itself")
    for signature, covered in [(mine[0], own), *((one, root.get("ID")) for one in around)]:
        _check_signature(signature, covered or "")
    answers = root.get("InResponseTo") or ""
    if not 0 < len(answers) <= 200:
        raise UpstreamRefused("the response answers no request")
    return answers


def _check_signature(signature: Element, covered: str) -> None:
    references = list(signature.iter(f"{_SIGNATURE}Reference"))
    # SAML core §5.4.2: one reference, to the element that the signature stands in.
    if len(references) != 1 or references[0].get("URI") != f"#{covered}":
        raise UpstreamRefused("the signature covers something else")
    if list(signature.iter(f"{_SIGNATURE}Object")):
        raise UpstreamRefused("the signature holds an object")
    for name, allowed in (("SignatureMethod", _ALGORITHMS), ("DigestMethod", _DIGESTS), ("Transform", _TRANSFORMS)):
        found: Sequence[Element] = list(signature.iter(f"{_SIGNATURE}{name}"))
        if not found or any(one.get("Algorithm") not in allowed for one in found):
            raise UpstreamRefused("the signature is of an algorithm that we do not take")


def _attributes(xml: bytes) -> dict[str, JsonValue]:
    """The attributes of the one assertion, by name and by friendly name."""
    found: dict[str, JsonValue] = {}
    for attribute in _root(xml).iter(f"{_ASSERTION}Attribute"):
        values = [(one.text or "").strip() for one in attribute.iter(f"{_ASSERTION}AttributeValue")]
        value: JsonValue = values[0] if len(values) == 1 else values
        for name in (attribute.get("FriendlyName"), attribute.get("Name")):
            if name:
                found[name] = value
    return found
