"""The decision of the authorization endpoint, as a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kronborg.clients.model import Client
from kronborg.oauth.authorize import PATIENCE, AskConsent, Asking, Decision, Issue, Refuse, SignIn, StepUp, decide
from kronborg.oauth.authorize_errors import ConsentRequired, LoginRequired
from kronborg.oauth.model import Consent
from kronborg.sessions.model import Visit

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
SHOP = "https://shop.example/catalogue"


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def client(*, first_party: bool = False) -> Client:
    return Client(
        id="app",
        name="App",
        kind="public",
        auth_method="none",
        redirect_uris=("https://app.example/callback",),
        post_logout_redirect_uris=(),
        web_origins=(),
        grants=("authorization_code", "refresh_token"),
        scopes=("openid", "catalogue:read"),
        audiences=(),
        jwks=None,
        first_party=first_party,
        disabled=False,
        created_at=NOW,
        updated_at=NOW,
    )


def visit(signed_in: datetime) -> Visit:
    return Visit("ada", "session-1", signed_in, ("pwd",), "ada", "Ada", None)


def asking(*prompts: str, max_age: int | None = None, asked: datetime | None = None, hint: str | None = None) -> Asking:
    age = None if max_age is None else timedelta(seconds=max_age)
    return Asking(("openid", "catalogue:read"), (SHOP,), frozenset(prompts), age, hint, asked)


def granted(*scopes: str, at: datetime = NOW, audiences: tuple[str, ...] = (SHOP,)) -> Consent:
    return Consent("ada", "app", frozenset(scopes), frozenset(audiences), at, at)


NOBODY = None
LONG_AGO = visit(ago(hours=3))
JUST_NOW = visit(ago(seconds=10))
ALL = granted("openid", "catalogue:read", at=ago(days=1))

FIRST_PARTY = [
    ("nobody is there", asking(), NOBODY, SignIn),
    ("somebody is there", asking(), LONG_AGO, Issue),
    ("login asks again", asking("login"), JUST_NOW, StepUp),
    ("login asks somebody", asking("login"), NOBODY, SignIn),
    ("login was answered", asking("login", asked=ago(seconds=20)), JUST_NOW, Issue),
    ("login was asked and not answered", asking("login", asked=ago(seconds=5)), JUST_NOW, StepUp),
    ("another account asks again", asking("select_account"), JUST_NOW, StepUp),
    ("recent enough", asking(max_age=4 * 3600), LONG_AGO, Issue),
    ("too long ago", asking(max_age=3600), LONG_AGO, StepUp),
    ("max_age 0 asks again", asking(max_age=0), JUST_NOW, StepUp),
    ("max_age 0 was answered", asking(max_age=0, asked=ago(seconds=20)), JUST_NOW, Issue),
    ("an answer to max_age grows old", asking(max_age=0, asked=ago(hours=1)), visit(NOW - PATIENCE * 2), StepUp),
    ("the person hinted at", asking(hint="ada"), LONG_AGO, Issue),
    ("another than hinted at", asking(hint="bob"), LONG_AGO, StepUp),
    ("still another than hinted at", asking(hint="bob", asked=ago(seconds=20)), JUST_NOW, LoginRequired),
    ("first-party consent when asked for", asking("consent"), LONG_AGO, AskConsent),
    ("silently", asking("none"), LONG_AGO, Issue),
    ("silently, nobody there", asking("none"), NOBODY, LoginRequired),
    ("silently, too long ago", asking("none", max_age=60), LONG_AGO, LoginRequired),
    ("silently, another person", asking("none", hint="bob"), LONG_AGO, LoginRequired),
]

THIRD_PARTY = [
    ("nobody is there", asking(), NOBODY, None, SignIn),
    ("never granted", asking(), LONG_AGO, None, AskConsent),
    ("granted", asking(), LONG_AGO, ALL, Issue),
    ("granted more", asking(), LONG_AGO, granted("openid", "catalogue:read", "email"), Issue),
    ("granted less", asking(), LONG_AGO, granted("openid"), AskConsent),
    (
        "granted for another audience",
        asking(),
        LONG_AGO,
        granted("openid", "catalogue:read", audiences=("https://shop.example/cart",)),
        AskConsent,
    ),
    ("consent asks again", asking("consent"), LONG_AGO, ALL, AskConsent),
    (
        "consent was answered",
        asking("consent", asked=ago(minutes=2)),
        LONG_AGO,
        granted("openid", "catalogue:read", at=ago(minutes=1)),
        Issue,
    ),
    (
        "one mark for both questions",
        asking("login", "consent", asked=ago(minutes=2)),
        JUST_NOW,
        granted("openid", "catalogue:read", at=NOW),
        Issue,
    ),
    ("silently, granted", asking("none"), LONG_AGO, ALL, Issue),
    ("silently, never granted", asking("none"), LONG_AGO, None, ConsentRequired),
    ("silently, nobody there", asking("none"), NOBODY, ALL, LoginRequired),
]


@pytest.mark.spec("OIDC Core §3.1.2.1")
@pytest.mark.parametrize(("request_", "who", "then"), [pytest.param(*row[1:], id=row[0]) for row in FIRST_PARTY])
def test_of_a_first_party_client(request_: Asking, who: Visit | None, then: type) -> None:
    decision = decide(request_, client(first_party=True), who, None, NOW)

    assert_is(decision, then, who)


@pytest.mark.spec("OIDC Core §3.1.2.4")
@pytest.mark.parametrize(
    ("request_", "who", "grant", "then"), [pytest.param(*row[1:], id=row[0]) for row in THIRD_PARTY]
)
def test_of_a_third_party_client(request_: Asking, who: Visit | None, grant: Consent | None, then: type) -> None:
    decision = decide(request_, client(), who, grant, NOW)

    assert_is(decision, then, who)


@pytest.mark.spec("OIDC Core §3.1.2.1")
@pytest.mark.parametrize("who", [NOBODY, LONG_AGO, JUST_NOW])
@pytest.mark.parametrize("grant", [None, ALL])
@pytest.mark.parametrize("max_age", [None, 0, 60])
@pytest.mark.parametrize("hint", [None, "ada", "bob"])
def test_prompt_none_never_shows_a_screen(
    who: Visit | None, grant: Consent | None, max_age: int | None, hint: str | None
) -> None:
    decision = decide(asking("none", max_age=max_age, hint=hint), client(), who, grant, NOW)

    assert isinstance(decision, (Issue, Refuse))


def assert_is(decision: Decision, expected: type, who: Visit | None) -> None:
    match decision:
        case Refuse(error=error):
            assert error is expected
        case StepUp(visit=visit):
            assert (expected, visit) == (StepUp, who)
        case AskConsent(visit, scopes, audiences) | Issue(visit, scopes, audiences):
            assert (type(decision), visit) == (expected, who)
            assert (scopes, audiences) == (("openid", "catalogue:read"), (SHOP,))
        case SignIn():
            assert (expected, who) == (SignIn, None)
