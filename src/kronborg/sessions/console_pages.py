"""What the console's pages share in Python: the page that asks before something is done, and what a list page reads.

Their look is in `core/templates/console.html`, which also says how to make a page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from kronborg.core.errors import Conflict, Forbidden, Invalid, Problem
from kronborg.core.html import render
from kronborg.core.policy import Policies, Resource
from kronborg.sessions.model import Admitted, ConsolePage

T = TypeVar("T")

MAX_PICKED = 100
MAX_QUERY = 200
_PICK = "pick:"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be decided with a question: the field, its label, and values with what they are called."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]

    def made(self, form: Mapping[str, str]) -> str:
        """What was chosen; the first when it was nothing that is offered."""
        given = form.get(self.name, "")
        return given if given in dict(self.options) else self.options[0][0]


@dataclass(frozen=True, slots=True)
class ConfirmPage(ConsolePage):
    """A question before something that cannot be undone. Its form posts `fields` to `action`.

    `text` says what is about to happen, `effects` what follows from it, `names` to whom or what. `verb` is what the
    button says. With `typed`, that text must be typed first: `agreed(form, page)` checks it.
    """

    title: str
    text: str
    verb: str
    action: str
    back: str
    effects: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    crumbs: tuple[tuple[str, str], ...] = ()
    danger: bool = True
    typed: str = ""
    error: str = ""
    choice: Choice | None = None


def confirm(request: Request, page: ConfirmPage) -> Response:
    """The question as a page; 422 when it was answered wrongly (`page.error`)."""
    return render(request, "pages/confirm.html", page, status=422 if page.error else 200)


def agreed(form: Mapping[str, str], typed: str) -> bool:
    """Whether the text was typed that the question asked for."""
    return form.get("typed", "").strip() == typed


def picked(form: Mapping[str, str]) -> tuple[str, ...]:
    """The ids that were ticked in a list, at most a hundred."""
    found = [name.removeprefix(_PICK) for name in form if name.startswith(_PICK)]
    return tuple(found[:MAX_PICKED])


def picks(ids: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Hidden fields for `ConfirmPage.fields` that carry what was ticked on to the POST."""
    return tuple((f"{_PICK}{one}", "1") for one in ids)


def asked(request: Request, name: str = "q") -> str:
    """What a list is filtered by, bounded, without NUL, which no database takes in a text."""
    return request.query_params.get(name, "").replace("\0", "").strip()[:MAX_QUERY]


def page_link(request: Request, **changes: str | None) -> str:
    """The address of this list with other parameters: `page_link(request, after=last)`; None takes one away."""
    values = dict(request.query_params) | changes
    query = urlencode({name: value for name, value in values.items() if value})
    return request.url.path + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class Paging(Generic[T]):
    """What one page of a list shows, and the way to its beginning and to what follows."""

    rows: tuple[T, ...]
    first: str | None
    older: str | None


def paged(
    request: Request, rows: Sequence[T], size: int, mark: Callable[[T], object], *, by: str = "after"
) -> Paging[T]:
    """`rows` are up to `size` and one more; `mark` is what the parameter `by` of the next page begins with."""
    shown = tuple(rows[:size])
    first = page_link(request, **{by: None, "done": None}) if asked(request, by) else None
    older = page_link(request, **{by: str(mark(shown[-1])), "done": None}) if len(rows) > size else None
    return Paging(shown, first, older)


def done_of(request: Request, sentences: Mapping[str, str]) -> str | None:
    """What a page says about what was just done: the sentence that `done` names. An answer to a POST says none."""
    return sentences.get(request.query_params.get("done", "")) if request.method == "GET" else None


def problems_of(refusal: Invalid | Conflict, where: str) -> tuple[Problem, ...]:
    """What a form says is wrong; a conflict stands at the field `where`."""
    return refusal.problems if isinstance(refusal, Invalid) else (Problem(where, refusal.detail),)


def actor_of(found: Admitted) -> str:
    """What the audit log says about who did it; the same as for a person's token in the admin API."""
    return f"user:{found.visit.user_id}"


def may(request: Request, found: Admitted, action: str, resource: Resource) -> bool:
    """Whether a page should offer this to who looks at it; the handler behind the button asks again."""
    policies: Policies = request.app.state.policies
    return policies.allows(found.principal, action, resource)


def must(request: Request, found: Admitted, action: str, resource: Resource) -> None:
    """The same for a handler that learns from a form what it is about. Raises `Forbidden`."""
    if not may(request, found, action, resource):
        raise Forbidden("you may not do this to that: ask an administrator for the role that it needs")
