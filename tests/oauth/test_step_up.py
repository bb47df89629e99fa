"""How strongly somebody signed in: acr_values, essential claims, defaults, max_age (OIDC Core §3.1.2.1, RFC 9470)."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.clients.model import Client
from kronborg.clients.settings import ClientSettings
from kronborg.core.jose import parse
from kronborg.factors.model import FactorSettings
from kronborg.factors.parts import FactorParts
from kronborg.oauth import acr
from kronborg.oauth.authorize import Asking, Issue, Refuse, StepUp, decide
from kronborg.sessions.model import Visit
from kronborg.tokens.engine import Engine
from oauth.flow import CATALOGUE, ISSUER, WEB, Flow, Value, answer_of, is_sign_in

pytestmark = pytest.mark.anyio

PASSWORD, MULTI, STRONG = acr.LADDER


def essential(*values: str, where: str = "id_token") -> str:
    wish = {"essential": True, "values": list(values)} if len(values) > 1 else {"essential": True, "value": values[0]}
    return orjson.dumps({where: {"acr": wish}}).decode()


@pytest.mark.spec("RFC 9470 §6.2")
@pytest.mark.spec("RFC 9068 §2.2.1")
async def test_what_was_asked_for_and_fulfilled_stands_in_the_tokens(flow: Flow) -> None:
    tokens = await flow.tokens(flow.browser(), acr_values=f"unknown {PASSWORD}")

    assert parse(tokens["id_token"]).claims["acr"] == PASSWORD
    claims = parse(tokens["access_token"]).claims
    assert (claims["acr"], claims["auth_time"]) == (PASSWORD, int(flow.clock.now.timestamp()))
    assert (await flow.introspect(tokens["access_token"]))["acr"] == PASSWORD
    again = (await flow.refresh(tokens["refresh_token"])).json()
    assert parse(again["access_token"]).claims["acr"] == PASSWORD


@pytest.mark.spec("OIDC Core §3.1.2.1")
async def test_a_voluntary_value_that_nobody_knows_is_ignored(flow: Flow) -> None:
    tokens = await flow.tokens(flow.browser(), acr_values="phr urn:other:loa:9")

    assert "acr" not in parse(tokens["access_token"]).claims


NOWHERE: list[dict[str, Value]] = [{"claims": essential("urn:other:loa:9")}]
WITHOUT_FACTORS: list[dict[str, Value]] = [
    {"acr_values": MULTI},
    {"acr_values": f"{STRONG} {MULTI}"},
    {"claims": essential(MULTI)},
    {"claims": essential(MULTI, STRONG)},
    {"claims": essential(MULTI), "acr_values": PASSWORD},
]


@pytest.mark.spec("RFC 9470 §5")
@pytest.mark.spec("OpenID Connect Core Error Code unmet_authentication_requirements §2")
@pytest.mark.parametrize("change", NOWHERE + WITHOUT_FACTORS, ids=str)
async def test_what_cannot_be_reached_is_said_and_nobody_asked_for_ever(
    flow: Flow, change: dict[str, Value], monkeypatch: pytest.MonkeyPatch
) -> None:
    if change in WITHOUT_FACTORS:
        monkeypatch.setattr(Engine, "factors", ())
        flow.site.app.state.factors = FactorParts(FactorSettings(policy="off"))
    browser = flow.browser()

    page = await flow.authorize(browser, WEB, **change)
    told = answer_of(await browser.sign_in(page))

    assert (told["error"], told["state"], told["iss"]) == (
        "unmet_authentication_requirements",
        "state-1",
        ISSUER,
    )


@pytest.mark.spec("OIDC Core §5.5.1.1")
async def test_an_essential_value_that_is_fulfilled_is_the_one_told(flow: Flow) -> None:
    tokens = await flow.tokens(flow.browser(), claims=essential(STRONG, PASSWORD))

    assert parse(tokens["id_token"]).claims["acr"] == PASSWORD


@pytest.mark.spec("OIDC Registration §2")
async def test_a_client_may_have_defaults(flow: Flow) -> None:
    settings = ClientSettings(default_acr_values=(PASSWORD,), default_max_age=300)
    await flow.client(WEB, settings=settings)
    browser = flow.browser()
    tokens = await flow.tokens(browser)
    flow.clock.pass_by(minutes=10)

    later = await flow.authorize(browser)
    longer = await flow.authorize(browser, max_age=3600)

    assert parse(tokens["id_token"]).claims["acr"] == PASSWORD
    assert is_sign_in(later)
    assert "code" in answer_of(longer)


async def test_nobody_who_asks_for_nothing_is_told(flow: Flow) -> None:
    tokens = await flow.tokens(flow.browser(), resource=CATALOGUE)

    assert "acr" not in parse(tokens["access_token"]).claims
    assert "acr" not in parse(tokens["id_token"]).claims


async def test_the_metadata_lists_what_can_be_reached(flow: Flow) -> None:
    metadata = (await flow.http.get("/.well-known/openid-configuration")).json()

    assert metadata["acr_values_supported"] == [PASSWORD, MULTI, STRONG]
    assert "acr" in metadata["claims_supported"]
    assert metadata["claims_parameter_supported"]


# --- the decision -----------------------------------------------------------------------------------------------

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def visit(*amr: str, minutes: int = 1) -> Visit:
    moment = NOW - timedelta(minutes=minutes)
    return Visit("user", "session", moment, amr, "ada", "Ada", None)


def client() -> Client:
    fields = {field.name: getattr(WEB, field.name) for field in dataclasses.fields(WEB)}
    return Client(**fields, created_at=NOW, updated_at=NOW)


def asking(*values: str, asked: datetime | None = None) -> Asking:
    wanted = acr.wanted_of(values)
    return Asking(("openid",), (), acr=wanted, offered=acr.LADDER, asked=asked)


@pytest.mark.spec("RFC 9470 §5")
def test_rfc9470_5__who_signed_in_too_weakly_signs_in_once_more() -> None:
    weak, strong = visit("pwd"), visit("pwd", "otp", "mfa")

    assert isinstance(decide(asking(MULTI), client(), weak, None, NOW), StepUp)
    assert decide(asking(MULTI), client(), strong, None, NOW) == Issue(strong, ("openid",), (), MULTI)
    assert isinstance(decide(asking(STRONG), client(), strong, None, NOW), StepUp)


@pytest.mark.spec("RFC 9470 §5")
def test_rfc9470_5__who_was_asked_and_did_not_do_better_is_not_asked_for_ever() -> None:
    answered = asking(MULTI, asked=NOW - timedelta(minutes=2))

    decision = decide(answered, client(), visit("pwd"), None, NOW)

    assert isinstance(decision, Refuse)
    assert decision.error.error == "unmet_authentication_requirements"


def test_silently_there_is_no_second_sign_in() -> None:
    silent = replace(asking(MULTI), prompts=frozenset({"none"}))

    decision = decide(silent, client(), visit("pwd"), None, NOW)

    assert isinstance(decision, Refuse)
    assert decision.error.error == "login_required"


METHODS = st.lists(st.sampled_from(["pwd", "otp", "mfa", "hwk", "swk", "sms"]), max_size=4)


@given(METHODS, st.lists(st.sampled_from([*acr.LADDER, "unknown"]), max_size=3, unique=True))
def test_what_is_told_is_never_more_than_what_was_done(amr: list[str], values: list[str]) -> None:
    told = acr.satisfied(acr.wanted_of(tuple(values)), amr)

    known = [value for value in values if value in acr.LADDER]
    if told is not None:
        assert acr.LADDER.index(told) <= acr.LADDER.index(acr.achieved(amr))
        assert told in known or not known
    else:
        assert all(acr.LADDER.index(value) > acr.LADDER.index(acr.achieved(amr)) for value in known)
