"""What the routers of the admin API share: who calls, texts without control characters, pages, ETags, problems."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from kronborg.core.errors import Refusal

T = TypeVar("T")

MAX_PAGE = 200

_VISIBLE = r"^[^\x00-\x1f\x7f-\x9f]*$"
Word = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=_VISIBLE)]
Text = Annotated[str, StringConstraints(max_length=300, pattern=_VISIBLE)]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=_VISIBLE)]

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="At most so many.")]
After = Annotated[str | None, Query(max_length=300, pattern=_VISIBLE, description="The `next` of the page before.")]
Search = Annotated[str, Query(max_length=200, pattern=_VISIBLE, description="Only names that begin with this.")]


class Stale(Refusal):
    """`If-Match` names another state than the one there is (412)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token came with the request; `actor` is what the audit log says."""

    actor: str
    client_id: str
    scopes: tuple[str, ...]


class Body(BaseModel):
    """A request body: unknown members are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


class Shown(BaseModel):
    """An answer, made of one of our nouns."""

    model_config = ConfigDict(from_attributes=True, frozen=True, use_attribute_docstrings=True)


class Page(Shown, Generic[T]):
    """Part of a list. `next` goes into `after` for the next part; null at the end."""

    items: list[T]
    next: str | None


class WrongPart(Shown):
    """One thing wrong with an input."""

    where: str
    detail: str
    mend: str


class ProblemDetails(Shown):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    problems: list[WrongPart] | None = None


def caller_of(request: Request) -> Caller:
    """Who sent this request; the guard has checked the token."""
    caller = request.scope["state"]["caller"]
    if not isinstance(caller, Caller):
        raise TypeError("the guard of the admin API is missing")
    return caller


def etag_of(shown: BaseModel) -> str:
    """A strong validator (RFC 9110 §8.8.3) of an answer."""
    content = orjson.dumps(shown.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def with_etag(response: Response, shown: BaseModel) -> None:
    """Let the answer carry its ETag."""
    response.headers["etag"] = etag_of(shown)


def check_match(request: Request, shown: BaseModel | None) -> None:
    """Hold an `If-Match` against what there is now (RFC 9110 §13.1.1). Raises `Stale`."""
    wanted = request.headers.get("if-match")
    if wanted is None:
        return
    if shown is None or (wanted.strip() != "*" and etag_of(shown) not in {one.strip() for one in wanted.split(",")}):
        raise Stale("the object has changed since it was read: read it again")


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The problems an operation answers besides those that all do, for its OpenAPI description."""
    told = {
        404: "No such object",
        409: "It exists already, or is in the way of something",
        412: "It has changed since it was read",
        422: "The input is wrong; `problems` has everything that is",
        503: "Too busy; try again",
    }
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        code: {"description": told[code], "content": {"application/problem+json": {"schema": schema}}} for code in codes
    }
