"""Errors as people see them: what happened, what to do now, and the number to quote.

`handlers()` is for the Starlette app that serves pages. A browser (it asks for `text/html`) gets a page, any
other caller a problem (RFC 9457), so one app can serve both. No text echoes input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from kronborg.core.errors import Conflict, Forbidden, Invalid, NotFound, Overloaded, Problem, Refusal, TooMany
from kronborg.core.html import is_fragment, render
from kronborg.core.http import problem, refusal_problem
from kronborg.core.languages import N_, Phrase, sentence

TEXTS: Mapping[int, tuple[str, str]] = {
    400: (
        N_("That request was not understood"),
        N_("Something in the address or the form was not as expected. Go back and try again."),
    ),
    401: (N_("Please sign in"), N_("This page is for people who are signed in.")),
    403: (N_("You cannot do that here"), N_("You are not allowed to see this page or to do this.")),
    404: (N_("There is nothing here"), N_("The address may be mistyped, or the page has moved.")),
    405: (N_("That does not work here"), N_("This address exists, but not for what your browser asked of it.")),
    409: (N_("Someone was faster"), N_("This was changed meanwhile. Look at it again before you change it.")),
    413: (N_("That is too much"), N_("What you sent is larger than this page accepts.")),
    422: (N_("Please check what you entered"), N_("Nothing was changed.")),
    429: (N_("Too many attempts"), N_("Please wait a little before you try again.")),
    500: (N_("Something went wrong on our side"), N_("This is our mistake, not yours. Try again in a moment.")),
    503: (N_("We are very busy right now"), N_("Please try again in a few seconds.")),
}


BUSY = Phrase("%(what)s. %(mend)s", what=Phrase(TEXTS[503][0]), mend=Phrase(TEXTS[503][1]))
"""The same as one text, for a form that stays."""


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """What `pages/error.html` shows."""

    status: int
    title: str
    detail: str
    problems: tuple[Problem, ...] = ()


def error_page(
    request: Request,
    status: int,
    *,
    title: str | None = None,
    detail: str | None = None,
    problems: tuple[Problem, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error as a page for browsers and as a problem for everything else."""
    usual = TEXTS.get(status, TEXTS[500 if status >= 500 else 400])
    shown = ErrorPage(status, title or usual[0], detail or usual[1], problems)
    if not wants_html(request):
        return problem(status, shown.title, shown.detail, headers=headers)
    return render(request, "pages/error.html", shown, status=status, headers=headers)


def wants_html(request: Request) -> bool:
    """Whether a person looks at the answer."""
    return "text/html" in request.headers.get("accept", "") or is_fragment(request)


def handlers() -> dict[int | type[Exception], ExceptionHandler]:
    """The `exception_handlers` of an app that serves pages."""
    return {HTTPException: _http_error, Refusal: _refused, 500: _bug}


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    if status < 400:
        return Response(status_code=status, headers=headers)
    return error_page(request, status, headers=headers)


async def _refused(request: Request, refusal: Exception) -> Response:
    if not wants_html(request):
        return refusal_problem(request, refusal)
    match refusal:
        case Invalid(problems=problems):
            return error_page(request, 422, problems=problems)
        case TooMany(retry_after=wait):
            seconds = max(1, round(wait.total_seconds()))
            return error_page(request, 429, headers={"retry-after": str(seconds)})
        case NotFound():
            return error_page(request, 404)
        case Conflict():
            return error_page(request, 409)
        case Forbidden(detail=detail):
            return error_page(request, 403, detail=sentence(detail))
        case Overloaded():
            return error_page(request, 503, headers={"retry-after": "1"})
        case _:
            return error_page(request, 400)


async def _bug(request: Request, _error: Exception) -> Response:
    return error_page(request, 500)
