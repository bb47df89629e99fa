"""Server-side sessions: the browser holds a random name in a cookie, everything else stays here."""

from collections import OrderedDict
from dataclasses import dataclass, field
from secrets import compare_digest, token_urlsafe

from starlette.requests import Request
from starlette.responses import Response

from kronborg_shop.wish_list.connect import Connection, Pending

MOST = 1000


@dataclass(slots=True)
class Visit:
    """One browser's session."""

    id: str = field(default_factory=token_urlsafe)
    csrf: str = field(default_factory=token_urlsafe)
    pending: Pending | None = None
    connection: Connection | None = None
    note: str = ""

    def is_own_form(self, token: str) -> bool:
        """True when a form was given out to this very session."""
        return compare_digest(token.encode(), self.csrf.encode())


class Visits:
    """The sessions of this process, the oldest forgotten first."""

    def __init__(self, *, secure: bool) -> None:
        self._visits: OrderedDict[str, Visit] = OrderedDict()
        self._secure = secure
        self._name = "__Host-wish-list" if secure else "wish-list"

    def of(self, request: Request) -> Visit:
        """The session of a request; a new one for strangers."""
        visit = self._visits.get(request.cookies.get(self._name, ""))
        return visit if visit is not None else self._add(Visit())

    def renew(self, visit: Visit) -> Visit:
        """The same session under a new name, so that a name known before sign-in is worth nothing after."""
        self._visits.pop(visit.id, None)
        return self._add(Visit(connection=visit.connection, note=visit.note))

    def remember(self, visit: Visit, response: Response) -> Response:
        """Put the session's name into the answer."""
        response.set_cookie(self._name, visit.id, httponly=True, samesite="lax", path="/", secure=self._secure)
        return response

    def _add(self, visit: Visit) -> Visit:
        self._visits[visit.id] = visit
        while len(self._visits) > MOST:
            self._visits.popitem(last=False)
        return visit
