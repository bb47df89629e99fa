"""What happens next to an authorization request: a pure decision over what is asked, who is there, what was granted.

Screens never lead to one another. Each comes back to the same request, which is decided again from the facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.clients.model import Client
from kronborg.core.json import JsonObject
from kronborg.oauth.acr import ANYTHING, OFFERED, Wanted, reachable, satisfied
from kronborg.oauth.authorize_errors import ConsentRequired, LoginRequired, UnmetAuthenticationRequirements
from kronborg.oauth.model import Consent
from kronborg.sessions.model import Visit
from kronborg.tokens.errors import OAuthError

PATIENCE = timedelta(minutes=5)
"""How long a fresh sign-in satisfies a `max_age` shorter than this: time to read the consent page."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What a checked request asks for.

    `asked` is when its user was last asked because of it (see `asked.py`). `hinted_user` is the user id of a verified
    `id_token_hint`. `scopes` and `audiences` are what a grant would hold, `details` (RFC 9396) what it would hold
    besides, and `claims` what is asked for by name (OIDC Core §5.5). `to_allow` are the scopes that the person has to
    agree to: those, and the ones that `claims` belong to. `allowed` says that exactly this was allowed just now.
    `offered` are the values of `acr` that somebody can reach here by signing in once more.
    """

    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    prompts: frozenset[str] = frozenset()
    max_age: timedelta | None = None
    hinted_user: str | None = None
    asked: datetime | None = None
    acr: Wanted = ANYTHING
    offered: tuple[str, ...] = OFFERED
    claims: JsonObject | None = None
    to_allow: tuple[str, ...] = ()
    details: tuple[JsonObject, ...] = ()
    allowed: bool = False

    @property
    def silent(self) -> bool:
        """Whether no screen may be shown."""
        return "none" in self.prompts


@dataclass(frozen=True, slots=True)
class SignIn:
    """Nobody is signed in."""


@dataclass(frozen=True, slots=True)
class StepUp:
    """Somebody is signed in, and has to sign in once more: too long ago, too weakly, or the wrong person."""

    visit: Visit
    again: bool = True
    """Whether from the beginning; else only what is missing is asked for."""


@dataclass(frozen=True, slots=True)
class AskConsent:
    """The person has to say yes to these scopes, audiences and details."""

    visit: Visit
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    details: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, slots=True)
class Issue:
    """Give the client what it asked for. `acr` is how strongly its person signed in."""

    visit: Visit
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    acr: str | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell the client no."""

    error: type[OAuthError]
    detail: str


Decision = SignIn | StepUp | AskConsent | Issue | Refuse


def decide(request: Asking, client: Client, visit: Visit | None, grant: Consent | None, now: datetime) -> Decision:
    """The next step. `grant` is what this user granted to this client before, None for nothing."""
    if visit is None:
        return _unless_silent(request, SignIn())
    if not _fresh(request, visit, now):
        return _unless_silent(request, StepUp(visit))
    if request.hinted_user not in (None, visit.user_id):
        # OIDC Core §3.1.2.1 id_token_hint: an answer about anybody else is an error. They were asked once already.
        if _answered(request, visit.auth_time):
            return Refuse(LoginRequired, "another person signed in than the one that the client expects")
        return _unless_silent(request, StepUp(visit))
    acr = satisfied(request.acr, visit.amr)
    if acr is None:
        return _stronger(request, visit)
    if not _consented(request, client, grant):
        wanted = request.to_allow or request.scopes
        return _unless_silent(request, AskConsent(visit, wanted, request.audiences, request.details))
    return Issue(visit, request.scopes, request.audiences, acr)


def _stronger(request: Asking, visit: Visit) -> Decision:
    """RFC 9470 §5: sign in more strongly, or say that it cannot be done, so that the client does not ask for ever."""
    if not reachable(request.acr, request.offered) or _answered(request, visit.auth_time):
        return Refuse(UnmetAuthenticationRequirements, "the person cannot sign in in the way that the client needs")
    return _unless_silent(request, StepUp(visit, again=False))


def _unless_silent(request: Asking, decision: SignIn | StepUp | AskConsent) -> Decision:
    """OIDC Core §3.1.2.1: with `prompt=none` no screen is shown, whatever the reason."""
    if not request.silent:
        return decision
    if isinstance(decision, AskConsent):
        return Refuse(ConsentRequired, "the person has to consent, and the request allows no screen")
    return Refuse(LoginRequired, "the person has to sign in, and the request allows no screen")


def _answered(request: Asking, moment: datetime | None) -> bool:
    return request.asked is not None and moment is not None and moment >= request.asked


def _fresh(request: Asking, visit: Visit, now: datetime) -> bool:
    """Whether the sign-in of this visit is recent enough for `prompt` and `max_age`."""
    answered = _answered(request, visit.auth_time)
    # OIDC Core §3.1.2.1: `login` and `select_account` ask even a person who is signed in.
    if request.prompts & {"login", "select_account"} and not answered:
        return False
    if request.max_age is None:
        return True
    age = now - visit.auth_time
    return age <= request.max_age or (answered and age <= PATIENCE)


def _consented(request: Asking, client: Client, grant: Consent | None) -> bool:
    covered = grant is not None and grant.covers(request.to_allow or request.scopes, request.audiences)
    if request.details and not (client.first_party and "consent" not in request.prompts):
        # RFC 9396 §11.2: what a person allows here is exactly this, so no earlier yes will do.
        return covered and request.allowed
    if "consent" in request.prompts:
        # OIDC Core §3.1.2.1: asked again even if it was granted before, and of first-party clients too.
        return covered and grant is not None and _answered(request, grant.granted_at)
    return covered or client.first_party
