"""Many operations in one request (RFC 7644 §3.7), each of which stands or falls by itself.

`bulkId:x` stands for the id of what the operation with that bulkId makes, also when that comes later in the list: an
operation waits for those it names. Those that wait for each other are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from kronborg.core.db import Database
from kronborg.core.errors import Overloaded
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.whole import whole
from kronborg.provisioning import scim
from kronborg.provisioning.model import BULK, BULK_ANSWER, ERROR, Resource, ScimError
from kronborg.provisioning.schemas import MAX_BULK
from kronborg.provisioning.scim import Shape
from kronborg.provisioning.scim_store import Kind
from kronborg.provisioning.scim_users import Client

_PATH = re.compile(r"/(?P<kind>Users|Groups)(?:/(?P<id>[A-Za-z0-9:._-]{1,200}))?")
_REFERENCE = re.compile(r"bulkId:(.+)")


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of the list."""

    method: str
    kind: Kind
    resource_id: str
    bulk_id: str
    body: JsonObject
    match: str | None

    @property
    def waits_for(self) -> frozenset[str]:
        """The bulkIds that it names."""
        return frozenset(_references(self.body)) | frozenset(_references(self.resource_id))


async def run_bulk(database: Database, client: Client, sent: JsonObject, *, now: datetime) -> Resource:
    """Every operation with its answer. Raises `ScimError` when the request itself is wrong."""
    steps, fail_on = _steps(sent)
    answers: list[JsonValue] = [None] * len(steps)
    made: dict[str, str] = {}
    waiting, failures = dict(enumerate(steps)), 0
    promised = {step.bulk_id for step in steps if step.bulk_id and step.method == "POST"}
    while waiting and (fail_on == 0 or failures < fail_on):
        ready = next((at for at, step in waiting.items() if step.waits_for <= made.keys()), None)
        if ready is None:
            # RFC 7644 §3.7.1: what refers to itself in a circle, or to what was not made, is a conflict.
            ready = next(iter(waiting))
            step = waiting.pop(ready)
            known = step.waits_for <= promised
            detail = "operations refer to each other, or to one that failed" if known else "there is no such bulkId"
            answers[ready] = _failed(client, step, ScimError(409, detail, "invalidValue"))
            failures += 1
            continue
        step = waiting.pop(ready)
        try:
            answers[ready] = await _run(database, client, _resolved(step, made), made, now=now)
        except ScimError as refusal:
            answers[ready] = _failed(client, step, refusal)
            failures += 1
        except Overloaded:
            answers[ready] = _failed(client, step, ScimError(503, "too busy: try again"))
            failures += 1
    return {"schemas": [BULK_ANSWER], "Operations": [one for one in answers if one is not None]}


async def _run(database: Database, client: Client, step: Step, made: dict[str, str], *, now: datetime) -> JsonValue:
    shape = Shape(but=("members",))
    status, resource_id, version = 200, step.resource_id, None
    async with whole(database) as session:
        if step.method == "POST":
            resource = await scim.make(session, client, step.kind, step.body, shape, now=now)
            status, resource_id = 201, str(resource["id"])
        elif step.method == "PUT":
            resource = await scim.replace(
                session, client, step.kind, resource_id, step.body, shape, match=step.match, now=now
            )
        elif step.method == "PATCH":
            resource = await scim.change(
                session, client, step.kind, resource_id, step.body, shape, match=step.match, now=now
            )
        else:
            await scim.remove(session, client, step.kind, resource_id, match=step.match, now=now)
            status, resource = 204, {}
    meta = resource.get("meta")
    version = meta.get("version") if isinstance(meta, Mapping) else None
    if step.bulk_id and step.method == "POST":
        made[step.bulk_id] = resource_id
    answer: Resource = {
        "method": step.method,
        "location": f"{client.base}/{step.kind}s/{resource_id}",
        "status": str(status),
    }
    if step.bulk_id:
        answer["bulkId"] = step.bulk_id
    if version is not None:
        answer["version"] = version
    return answer


def _failed(client: Client, step: Step, refusal: ScimError) -> JsonValue:
    answer: Resource = {
        "method": step.method,
        "status": str(refusal.status),
        "response": error_body(refusal),
    }
    if step.bulk_id:
        answer["bulkId"] = step.bulk_id
    # RFC 7644 §3.7.3: a failed POST has made nothing that could be located.
    if step.method != "POST":
        answer["location"] = f"{client.base}/{step.kind}s/{step.resource_id}"
    return answer


def error_body(refusal: ScimError) -> Resource:
    """A refusal as it is answered (RFC 7644 §3.12)."""
    body: Resource = {"schemas": [ERROR], "status": str(refusal.status), "detail": refusal.detail}
    return {**body, "scimType": refusal.kind} if refusal.kind else body


def _steps(sent: JsonObject) -> tuple[list[Step], int]:
    schemas, listed, fail_on = sent.get("schemas"), sent.get("Operations"), sent.get("failOnErrors", 0)
    if not isinstance(schemas, list) or BULK not in schemas or not isinstance(listed, list):
        raise ScimError(400, "the request is no BulkRequest", "invalidSyntax")
    if not isinstance(fail_on, int) or isinstance(fail_on, bool) or fail_on < 0:
        raise ScimError(400, "failOnErrors is a number", "invalidSyntax")
    if len(listed) > MAX_BULK:
        # RFC 7644 §3.7.4.
        raise ScimError(413, "there are more operations than maxOperations")
    steps = [_step(one) for one in listed]
    ids = [step.bulk_id for step in steps if step.bulk_id]
    if len(set(ids)) != len(ids):
        raise ScimError(400, "a bulkId stands twice", "invalidValue")
    return steps, fail_on


def _step(one: JsonValue) -> Step:
    if not isinstance(one, Mapping):
        raise ScimError(400, "an operation is an object", "invalidSyntax")
    method, path, bulk_id = one.get("method"), one.get("path"), one.get("bulkId", "")
    body, version = one.get("data", {}), one.get("version")
    match = _PATH.fullmatch(path) if isinstance(path, str) else None
    word = method.upper() if isinstance(method, str) else ""
    if match is None or word not in ("POST", "PUT", "PATCH", "DELETE") or (word == "POST") != (match["id"] is None):
        raise ScimError(400, "an operation has no method or path that is served", "invalidSyntax")
    if not isinstance(bulk_id, str) or len(bulk_id) > 200 or not isinstance(version, str | None):
        raise ScimError(400, "bulkId and version are texts", "invalidSyntax")
    # RFC 7644 §3.7: a bulkId is required for POST.
    if not isinstance(body, Mapping) or (word == "POST" and not bulk_id):
        raise ScimError(400, "an operation has no data, or a POST no bulkId", "invalidSyntax")
    kind: Kind = "User" if match["kind"] == "Users" else "Group"
    return Step(word, kind, match["id"] or "", bulk_id, body, version)


def _references(value: JsonValue) -> list[str]:
    if isinstance(value, str):
        match = _REFERENCE.fullmatch(value)
        return [match[1]] if match else []
    if isinstance(value, Mapping):
        return [found for one in value.values() for found in _references(one)]
    return [found for one in value for found in _references(one)] if isinstance(value, list) else []


def _resolved(step: Step, made: Mapping[str, str]) -> Step:
    body = _filled(step.body, made)
    resource_id = _filled(step.resource_id, made)
    return replace(step, body=body if isinstance(body, Mapping) else {}, resource_id=str(resource_id))


def _filled(value: JsonValue, made: Mapping[str, str]) -> JsonValue:
    if isinstance(value, str):
        match = _REFERENCE.fullmatch(value)
        return made[match[1]] if match else value
    if isinstance(value, Mapping):
        return {name: _filled(one, made) for name, one in value.items()}
    return [_filled(one, made) for one in value] if isinstance(value, list) else value
