"""The schemas that are served (RFC 7643 §4), and the documents by which clients discover them (§5 to §7)."""

from __future__ import annotations

from collections.abc import Sequence

from kronborg.core.json import JsonObject, JsonValue
from kronborg.provisioning.model import ENTERPRISE, GROUP, USER, Attribute

MAX_PAGE = 200
MAX_BULK = 100
MAX_PAYLOAD = 1 << 20

_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"
_TYPE = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
_CONFIG = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"


def _many(name: str, description: str, *usual: str, more: tuple[Attribute, ...] = ()) -> Attribute:
    return Attribute(
        name,
        "complex",
        description,
        multi=True,
        sub=(
            *(more or (Attribute("value", description="The value itself."),)),
            Attribute("display", description="A name for people."),
            Attribute("type", description="What it is for.", usual=usual),
            Attribute("primary", "boolean", "Whether it is the preferred one; at most one is."),
        ),
    )


_ADDRESS = tuple(
    Attribute(name, description=description)
    for name, description in (
        ("formatted", "The whole address."),
        ("streetAddress", "Street and number."),
        ("locality", "City."),
        ("region", "State or region."),
        ("postalCode", "Postal code."),
        ("country", "Country (ISO 3166-1, two letters)."),
    )
)

USER_ATTRIBUTES = (
    Attribute("userName", description="What the person signs in with.", required=True, uniqueness="server"),
    Attribute(
        "name",
        "complex",
        "The parts of the name.",
        sub=tuple(
            Attribute(part, description=description)
            for part, description in (
                ("formatted", "The full name."),
                ("familyName", "The family name."),
                ("givenName", "The given name."),
                ("middleName", "Middle names."),
                ("honorificPrefix", "A title."),
                ("honorificSuffix", "A suffix."),
            )
        ),
    ),
    Attribute("displayName", description="The name that is shown."),
    Attribute("nickName", description="How the person is called."),
    Attribute("title", description="The title in the company."),
    Attribute("userType", description="How the person belongs to the company."),
    Attribute("preferredLanguage", description="The preferred language (BCP 47)."),
    Attribute("locale", description="Where the person is, for formats (BCP 47)."),
    Attribute("timezone", description="The time zone (IANA)."),
    Attribute("active", "boolean", "Whether the person may sign in."),
    _many("emails", "E-mail addresses.", "work", "home", "other"),
    _many("phoneNumbers", "Telephone numbers.", "work", "home", "mobile", "fax", "pager", "other"),
    _many("addresses", "Postal addresses.", "work", "home", "other", more=_ADDRESS),
    Attribute(
        "groups",
        "complex",
        "The groups of the person.",
        multi=True,
        mutability="readOnly",
        sub=(
            Attribute("value", description="The id of the group.", mutability="readOnly"),
            Attribute("$ref", "reference", "Its address.", mutability="readOnly", refers=("Group",), exact=True),
            Attribute("display", description="Its name.", mutability="readOnly"),
        ),
    ),
)

ENTERPRISE_ATTRIBUTES = (
    Attribute("employeeNumber", description="The number of the person in the company."),
    Attribute("costCenter", description="Who pays."),
    Attribute("organization", description="The company."),
    Attribute("division", description="The division."),
    Attribute("department", description="The department."),
    Attribute(
        "manager",
        "complex",
        "The person's manager.",
        sub=(
            Attribute("value", description="The id of the manager.", exact=True),
            Attribute("$ref", "reference", "The manager's address.", refers=("User",), exact=True),
            Attribute("displayName", description="The manager's name.", mutability="readOnly"),
        ),
    ),
)

GROUP_ATTRIBUTES = (
    Attribute("displayName", description="The name of the group.", required=True, uniqueness="server"),
    Attribute(
        "members",
        "complex",
        "People and groups in it.",
        multi=True,
        sub=(
            Attribute("value", description="The id of the member.", mutability="immutable", exact=True),
            Attribute(
                "$ref",
                "reference",
                "The member's address.",
                mutability="immutable",
                refers=("User", "Group"),
                exact=True,
            ),
            Attribute("type", description="User or Group.", mutability="immutable", usual=("User", "Group")),
        ),
    ),
)

COMMON = (
    Attribute("id", mutability="readOnly", returned="always", exact=True),
    Attribute("externalId", exact=True),
    Attribute("schemas", "reference", multi=True, returned="always", mutability="readOnly", exact=True),
    Attribute(
        "meta",
        "complex",
        mutability="readOnly",
        sub=(
            Attribute("resourceType", exact=True),
            Attribute("created", "dateTime"),
            Attribute("lastModified", "dateTime"),
            Attribute("location", "reference", exact=True),
            Attribute("version", exact=True),
        ),
    ),
)


def attributes_of(kind: str) -> tuple[Attribute, ...]:
    """The attributes of `User` or `Group`, common ones included."""
    return COMMON + (USER_ATTRIBUTES if kind == "User" else GROUP_ATTRIBUTES)


def find_attribute(kind: str, urn: str, name: str) -> Attribute | None:
    """The attribute of a kind of resource, or of its extension when `urn` names that; in any case."""
    if urn.lower() == ENTERPRISE.lower():
        found: Sequence[Attribute] = ENTERPRISE_ATTRIBUTES if kind == "User" else ()
    elif urn and urn.lower() != (USER if kind == "User" else GROUP).lower():
        return None
    else:
        found = attributes_of(kind)
    return next((one for one in found if one.name.lower() == name.lower()), None)


def _told(attribute: Attribute) -> JsonObject:
    told: dict[str, JsonValue] = {
        "name": attribute.name,
        "type": attribute.type,
        "multiValued": attribute.multi,
        "description": attribute.description,
        "required": attribute.required,
        "mutability": attribute.mutability,
        "returned": attribute.returned,
    }
    if attribute.type in ("string", "reference"):
        told["caseExact"] = attribute.exact
    if attribute.type != "complex":
        told["uniqueness"] = attribute.uniqueness
    if attribute.usual:
        told["canonicalValues"] = list(attribute.usual)
    if attribute.refers:
        told["referenceTypes"] = list(attribute.refers)
    if attribute.sub:
        told["subAttributes"] = [_told(one) for one in attribute.sub]
    return told


def schema_documents(base: str) -> list[JsonObject]:
    """Every schema; `base` is the address of the server."""
    served = (
        (USER, "User", "User Account", USER_ATTRIBUTES),
        (GROUP, "Group", "Group", GROUP_ATTRIBUTES),
        (ENTERPRISE, "EnterpriseUser", "Enterprise User", ENTERPRISE_ATTRIBUTES),
    )
    return [
        {
            "schemas": [_SCHEMA],
            "id": urn,
            "name": name,
            "description": description,
            "attributes": [_told(one) for one in attributes],
            "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{urn}"},
        }
        for urn, name, description, attributes in served
    ]


def type_documents(base: str) -> list[JsonObject]:
    """Both kinds of resources."""
    extensions: dict[str, list[JsonValue]] = {"User": [{"schema": ENTERPRISE, "required": False}]}
    return [
        {
            "schemas": [_TYPE],
            "id": name,
            "name": name,
            "endpoint": f"/{name}s",
            "description": description,
            "schema": urn,
            "schemaExtensions": extensions.get(name, []),
            "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{name}"},
        }
        for name, description, urn in (("User", "People", USER), ("Group", "Groups of people", GROUP))
    ]


def config_document(base: str) -> JsonObject:
    """What this server can do (RFC 7643 §5, RFC 9865 §4)."""
    return {
        "schemas": [_CONFIG],
        "patch": {"supported": True},
        "bulk": {"supported": True, "maxOperations": MAX_BULK, "maxPayloadSize": MAX_PAYLOAD},
        "filter": {"supported": True, "maxResults": MAX_PAGE},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": True},
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": 100,
            "maxPageSize": MAX_PAGE,
        },
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "OAuth Bearer Token",
                "description": "An access token of this issuer for the audience /scim.",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base}/ServiceProviderConfig"},
    }
