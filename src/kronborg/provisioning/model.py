"""The nouns of SCIM (RFC 7643): attributes of resources, and the refusals that clients understand (RFC 7644 §3.12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from kronborg.core.errors import Refusal
from kronborg.core.json import JsonObject, JsonValue

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
BULK_ANSWER = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"

Mutability = Literal["readWrite", "readOnly", "immutable"]
Resource = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a schema (RFC 7643 §7)."""

    name: str
    type: str = "string"
    description: str = ""
    multi: bool = False
    required: bool = False
    exact: bool = False
    """Whether case counts when values are compared."""
    mutability: Mutability = "readWrite"
    returned: Literal["always", "default"] = "default"
    uniqueness: Literal["none", "server"] = "none"
    usual: tuple[str, ...] = ()
    sub: tuple[Attribute, ...] = ()
    refers: tuple[str, ...] = ()

    def part(self, name: str) -> Attribute | None:
        """The sub-attribute of this name, in any case."""
        return next((one for one in self.sub if one.name.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Kept:
    """A resource as the store has it. `told` is what the client said, without what we add."""

    id: str
    client_id: str
    external_id: str | None
    told: JsonObject
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def etag(self) -> str:
        """RFC 7644 §3.14."""
        return f'W/"{self.version}"'


@dataclass(frozen=True, slots=True)
class Narrow:
    """What an index can find of a filter: all of these are equal. An empty one narrows nothing."""

    equal: Mapping[str, str] = field(default_factory=dict)


class ScimError(Refusal):
    """A refusal in SCIM's words."""

    def __init__(self, status: int, detail: str, kind: str = "") -> None:
        super().__init__(detail)
        self.status, self.kind = status, kind


def bad_value(detail: str) -> ScimError:
    """A required value is missing, or a value is not what the schema says."""
    return ScimError(400, detail, "invalidValue")


def gone() -> ScimError:
    """There is no such resource for this client."""
    return ScimError(404, "there is no such resource")
