"""`kronborg.yaml` over the admin API: plan, apply, export.

The body is the document as YAML, or JSON with the document, the secrets it names, and the digest of the plan that was
looked at. Files are never read for a document that arrives here, nor is this process's environment.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal, cast

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from pydantic import Field, JsonValue, ValidationError

from kronborg.clients.settings import Profile
from kronborg.core import clock
from kronborg.core.api import Body, Shown, caller_of, refusals
from kronborg.core.errors import Invalid, Problem
from kronborg.core.parts import part_of, parts_of
from kronborg.gateway.declare.apply import apply
from kronborg.gateway.declare.export import export
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.plan import Plan, make_plan
from kronborg.gateway.declare.read import Loaded, read_bytes
from kronborg.gateway.declare.secret_sources import Secrets
from kronborg.signin.passwords import Passwords

router = APIRouter(prefix="/config", tags=["config"])

_YAML_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/yaml": {"schema": {"type": "string"}},
            "application/json": {"schema": {"$ref": "#/components/schemas/ConfigRequest"}},
        },
    }
}


class ConfigRequest(Body):
    """A document with what it needs."""

    document: Annotated[str, Field(max_length=1 << 20)]
    """The text of a kronborg.yaml."""
    secrets: Annotated[dict[str, str], Field(max_length=1000)] = Field(default_factory=dict)
    """The values of the `env:` names in the document; objects whose secret is not here keep theirs."""
    digest: Annotated[str, Field(max_length=64)] | None = None
    """Apply only if the plan still has this digest."""


class ShownFieldChange(Shown):
    """One field before and after."""

    name: str
    before: JsonValue
    after: JsonValue
    drift: bool


class ShownChange(Shown):
    """One object that would be made, changed or removed."""

    action: Literal["create", "update", "delete"]
    kind: str
    name: str
    fields: list[ShownFieldChange]
    drift: bool


class ShownUnmanaged(Shown):
    """An object that no file made."""

    kind: str
    name: str


class ShownPlan(Shown):
    """What applying a document would do."""

    changes: list[ShownChange]
    unmanaged: list[ShownUnmanaged]
    notes: list[str]
    digest: str


class ShownApplied(Shown):
    """What was done, and the snapshot that the gateway has been given."""

    plan: ShownPlan
    snapshot: int


def _plan(plan: Plan) -> ShownPlan:
    return ShownPlan.model_validate(asdict(plan))


def _installation(request: Request) -> Installation:
    parts, passwords = parts_of(request), part_of(request, "passwords", Passwords)
    profile = cast("Profile", parts.profile)
    return Installation(parts.database, parts.vault, passwords, parts.issuer, parts.gateway_url, profile)


async def _read(request: Request) -> tuple[Loaded, Secrets, str | None]:
    """The document of a request. Raises `Invalid`."""
    raw, secrets, digest = await request.body(), Secrets(), None
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        try:
            asked = ConfigRequest.model_validate_json(raw)
        except ValidationError as error:
            raise Invalid(
                *(
                    Problem(".".join(str(part) for part in one["loc"])[:200], one["msg"], "")
                    for one in error.errors(include_url=False, include_input=False, include_context=False)[:50]
                )
            ) from None
        raw = asked.document.encode("utf-8", "replace")
        secrets, digest = Secrets(asked.secrets), asked.digest
    # A megabyte of YAML takes seconds to read; the other requests of this process must not wait for it.
    loaded = await anyio.to_thread.run_sync(lambda: read_bytes(raw, name="document"))
    return loaded, secrets, digest


@router.post("/plan", openapi_extra=_YAML_BODY, responses=refusals(422, 503))
async def plan_config(request: Request) -> ShownPlan:
    """What applying a document would change, and what was changed outside it. Changes nothing; needs admin:read."""
    loaded, secrets, _ = await _read(request)
    return _plan((await make_plan(_installation(request), loaded, secrets)).plan)


@router.post("/apply", openapi_extra=_YAML_BODY, responses=refusals(409, 422, 503))
async def apply_config(request: Request) -> ShownApplied:
    """Make the store what a document says: all of it, or nothing. 409 when `digest` is that of another plan."""
    loaded, secrets, digest = await _read(request)
    applied = await apply(
        _installation(request),
        loaded,
        secrets,
        actor=caller_of(request).actor,
        now=clock.now(),
        digest=digest,
    )
    return ShownApplied(plan=_plan(applied.plan), snapshot=applied.snapshot)


@router.get(
    "/export",
    response_class=Response,
    responses={200: {"content": {"application/yaml": {"schema": {"type": "string"}}}}},
)
async def export_config(request: Request) -> Response:
    """Everything in the store as a kronborg.yaml; secrets become references."""
    parts = parts_of(request)
    async with parts.database.read() as session:
        text = await export(session, issuer=parts.issuer, gateway_url=parts.gateway_url)
    return Response(text, media_type="application/yaml")
