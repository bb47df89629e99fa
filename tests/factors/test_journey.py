"""The journey behind the sign-in page: what is asked of whom, and nothing of it can be skipped, moved or replayed."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from factors.world import ADD, FACTORS, App, World, fields, give, submit, to_factor
from forms import forms_of
from kronborg.accounts.users import UserChange, update_user
from kronborg.core.cookies import BROWSER
from kronborg.factors.model import FactorSettings
from kronborg.sessions.proof import Proof, seal_proof
from kronborg.sessions.tickets import Ticket, sign_in_path
from kronborg.signin.activity_store import drop_password
from kronborg.signin.journey import AskFactor, Finish, MustEnrol, Person, Refuse, Step, Wanted, what_next
from kronborg.signin.passwords import set_password
from people_site import Visitor

pytestmark = pytest.mark.anyio

# --- the decision ----------------------------------------------------------------------------------------------------

OPTIONAL = FactorSettings()
REQUIRED = FactorSettings(policy="required")
ENROL = MustEnrol(("passkey", "totp"))
PWD, OTP, KEY = ("pwd",), ("pwd", "otp", "mfa"), ("hwk", "user", "mfa")
TOTP = Person(frozenset({"totp"}))
BOTH = Person(frozenset({"totp", "passkey"}), recovery=True)
MAILED = Person(email_verified=True, risky=True)

DECISIONS: list[tuple[str, tuple[str, ...], Person, FactorSettings, Wanted, Step]] = [
    ("nobody is asked without a reason", PWD, Person(), OPTIONAL, Wanted(), Finish()),
    ("who has one is asked", PWD, TOTP, OPTIONAL, Wanted(), AskFactor(("totp",))),
    ("the strongest first", PWD, BOTH, OPTIONAL, Wanted(), AskFactor(("passkey", "totp", "recovery"))),
    ("and then it is done", OTP, TOTP, OPTIONAL, Wanted(), Finish()),
    ("a passkey is enough", KEY, BOTH, REQUIRED, Wanted(), Finish()),
    ("off is off", PWD, TOTP, FactorSettings(policy="off"), Wanted(), Finish()),
    ("required enrols", PWD, Person(), REQUIRED, Wanted(), ENROL),
    (
        "for members of a group",
        PWD,
        Person(groups=("Staff",)),
        FactorSettings(required_groups=("staff",)),
        Wanted(),
        ENROL,
    ),
    (
        "and nobody else",
        PWD,
        Person(groups=("Guests",)),
        FactorSettings(required_groups=("staff",)),
        Wanted(),
        Finish(),
    ),
    ("a remembered browser is not asked", PWD, Person(TOTP.kinds, remembered=True), REQUIRED, Wanted(), Finish()),
    (
        "but when somebody says so",
        PWD,
        Person(TOTP.kinds, remembered=True),
        OPTIONAL,
        Wanted(explicit=True),
        AskFactor(("totp",)),
    ),
    ("or it is risky", PWD, Person(TOTP.kinds, remembered=True, risky=True), OPTIONAL, Wanted(), AskFactor(("totp",))),
    ("a letter will do when it is risky", PWD, MAILED, OPTIONAL, Wanted(), AskFactor(("email",))),
    ("who is in danger is not made to enrol", PWD, Person(risky=True), OPTIONAL, Wanted(), Finish()),
    ("an application may want more", PWD, Person(), OPTIONAL, Wanted(1), ENROL),
    ("and a key", OTP, TOTP, OPTIONAL, Wanted(2), MustEnrol(("passkey",))),
    ("which enrols only after what there is", PWD, TOTP, OPTIONAL, Wanted(2), AskFactor(("totp",))),
    ("a recovery code is no key", PWD, BOTH, OPTIONAL, Wanted(2), AskFactor(("passkey",))),
    ("what cannot be is told to who asks", OTP, TOTP, FactorSettings(methods=("totp",)), Wanted(2), Finish()),
    ("what must be and cannot is refused", PWD, Person(), FactorSettings("required", methods=()), Wanted(), Refuse()),
]


@pytest.mark.parametrize(
    ("amr", "person", "policy", "wanted", "step"), [d[1:] for d in DECISIONS], ids=[d[0] for d in DECISIONS]
)
def test_the_next_step(
    amr: tuple[str, ...], person: Person, policy: FactorSettings, wanted: Wanted, step: Step, now: object
) -> None:
    proof = Proof("hamlet", amr, now)  # type: ignore[arg-type]  # the moment does not matter here

    assert what_next(proof, person, policy, wanted) == step


# --- attacks ---------------------------------------------------------------------------------------------------------


async def test_half_way_is_not_signed_in(here: World) -> None:
    await here.person()
    await here.add_app(await here.signed_in())
    visitor = here.site.visitor()

    page = await to_factor(visitor)

    assert "kronborg_session" not in visitor.http.cookies
    for path in ("/account", "/account/security", FACTORS, f"{ADD}/passkey"):
        assert urlsplit((await visitor.get(path)).headers["location"]).path == "/signin"
    # Neither does a form of another step help.
    answer = await submit(visitor, "/signin/enrol", {**fields(page), "method": "totp", "code": "123456"})
    assert answer.status_code == 200
    assert await here.amr(visitor) is None


async def test_a_proof_is_worth_nothing_in_another_browser(here: World) -> None:
    await here.person()
    app = await here.add_app(await here.signed_in())
    here.clock.pass_by(minutes=1)
    victim, thief = here.site.visitor(), here.site.visitor()
    page = await to_factor(victim)
    own = await thief.get("/signin")

    stolen = {**fields(page), "csrf": fields_of(own), "code": app.code()}
    answer = await submit(thief, "/signin/factor", stolen)
    link = await thief.get(f"/signin/continue?proof={fields(page)['proof']}&next=/account")

    assert (answer.status_code, link.status_code) == (403, 403)
    assert await here.amr(thief) is None


async def test_a_forged_or_old_proof_is_refused(here: World) -> None:
    user = await here.person()
    visitor = here.site.visitor()
    await visitor.get("/signin")
    browser = visitor.http.cookies[BROWSER]
    good = seal_proof(here.vault, Proof(user.id, ("pwd", "otp", "mfa"), here.clock.now), browser=browser)
    ahead = seal_proof(here.vault, Proof(user.id, ("pwd",), here.clock.now + timedelta(hours=1)), browser=browser)
    here.clock.pass_by(minutes=11)

    answers = [
        await visitor.get(f"/signin/continue?proof={text}") for text in (good, good[:-4] + "AAAA", "", "x", ahead)
    ]

    assert {answer.status_code for answer in answers} == {403}
    assert await here.amr(visitor) is None


async def test_a_proof_begins_one_session(here: World) -> None:
    # Whoever opens the history of a shared browser after somebody signed out.
    user = await here.person()
    visitor = here.site.visitor()
    await visitor.get("/signin")
    proof = seal_proof(here.vault, Proof(user.id, ("pwd",), here.clock.now), browser=visitor.http.cookies[BROWSER])

    first = await visitor.get(f"/signin/continue?proof={proof}")
    await visitor.post("/signout")
    second = await visitor.get(f"/signin/continue?proof={proof}")

    assert (first.status_code, second.status_code) == (303, 403)
    assert await here.amr(visitor) is None


@pytest.mark.parametrize("change", ["password", "brake", "disabled"])
async def test_what_changed_meanwhile_ends_the_journey(here: World, change: str) -> None:
    user = await here.person()
    app = await here.add_app(await here.signed_in())
    visitor = here.site.visitor()
    page = await to_factor(visitor)
    here.clock.pass_by(minutes=1)
    async with here.database.write() as session:
        if change == "password":
            await set_password(
                session,
                user.id,
                "another one altogether",
                actor="test",
                now=here.clock.now,
                passwords=here.site.signin.passwords,
            )
        elif change == "brake":
            await drop_password(session, user.id, set_before=here.clock.now)
        else:
            await update_user(session, user.id, UserChange(disabled=True), actor="test", now=here.clock.now)

    answer = await give(visitor, page, {"code": app.code()})

    assert answer.status_code == 403
    assert await here.amr(visitor) is None


async def test_guessing_codes_is_throttled_wherever_it_comes_from(here: World) -> None:
    await here.person()
    app = await here.add_app(await here.signed_in())
    here.clock.pass_by(minutes=1)
    thief = here.site.visitor(address="198.51.100.9")
    page = await to_factor(thief)
    statuses = [(await give(thief, page, {"code": f"{n:06d}"})).status_code for n in range(8)]

    elsewhere = here.site.visitor(address="192.0.2.77")
    waiting = await give(elsewhere, await to_factor(elsewhere), {"code": app.code()})

    assert statuses[:5] == [422] * 5
    assert set(statuses[6:]) == {429}
    # Somebody knows the password: the log tells of it.
    assert (await here.events("factor.refused"))[0] == {"kind": "totp", "reason": "wrong"}
    # The wait is that of the account, even for the right code; nothing is compared meanwhile.
    assert waiting.status_code == 429
    assert int(waiting.headers["retry-after"]) >= 1


async def test_who_has_been_here_before_is_not_locked_out_by_guesses(here: World) -> None:
    await here.person()
    known = await here.signed_in()
    app = await here.add_app(known)
    await known.post("/signout")
    thief = here.site.visitor(address="198.51.100.9")
    page = await to_factor(thief)
    for n in range(8):
        await give(thief, page, {"code": f"{n:06d}"})
    here.clock.pass_by(minutes=1)

    answer = await give(known, await to_factor(known), {"code": app.code()})

    assert answer.status_code == 303


async def test_a_session_from_before_is_worth_nothing_after(here: World) -> None:
    await here.person()
    app = await here.add_app(await here.signed_in())
    here.clock.pass_by(minutes=1)
    visitor = here.site.visitor()
    visitor.http.cookies.set("kronborg_session", "fixed-by-somebody", domain="localhost.local", path="/")
    page = await to_factor(visitor)

    await give(visitor, page, {"code": app.code()})

    assert visitor.http.cookies["kronborg_session"] != "fixed-by-somebody"


async def test_only_methods_that_are_asked_for_are_taken(here: World) -> None:
    await here.person()
    visitor = await here.signed_in()
    await here.add_app(visitor)
    thief = here.site.visitor()
    page = await to_factor(thief)

    for method in ("email", "sms", "passkey", "password", ""):
        answer = await submit(thief, "/signin/factor", {**fields(page), "method": method, "send": "1", "code": "1"})
        assert answer.status_code == 200
        assert "authenticator app" in answer.text
    assert await here.database.lookup.first("SELECT 1 FROM core_letters") is None


# --- step-up ---------------------------------------------------------------------------------------------------------


def stronger(here: World, strength: int, *, again: bool = False) -> str:
    ticket = Ticket("Bank", strength=strength, explicit=True, again=again)
    return sign_in_path(here.vault, "/account/security", ticket)


async def test_a_session_is_stepped_up_under_its_id_with_a_new_secret(here: World) -> None:
    here.settings(FactorSettings(remember=timedelta(days=30)))
    await here.person()
    visitor = await here.signed_in()
    app = await here.add_app(visitor)
    await visitor.post("/signout")
    here.clock.pass_by(minutes=1)
    await give(visitor, await to_factor(visitor), {"code": app.code(), "remember": "1"})
    await visitor.post("/signout")
    await visitor.sign_in("hamlet")
    assert await here.amr(visitor) == ["pwd"]
    [(before,)] = await here.database.lookup.all("SELECT id FROM signin_sessions WHERE amr = ?", ('["pwd"]',))
    secret = visitor.http.cookies["kronborg_session"]
    here.clock.pass_by(minutes=1)

    onward = await visitor.get(stronger(here, 1))
    asked = await visitor.get(onward.headers["location"])
    answer = await give(visitor, asked, {"code": app.code()})

    assert answer.headers["location"] == "/account/security"
    assert await here.amr(visitor) == ["pwd", "otp", "mfa"]
    assert visitor.http.cookies["kronborg_session"] != secret
    assert await here.database.lookup.first("SELECT 1 FROM signin_sessions WHERE id = ?", (str(before),)) is not None


async def test_a_session_alone_enrols_nothing(here: World) -> None:
    await here.person()
    visitor = await here.signed_in()

    page = await visitor.get(stronger(here, 1))

    # The password again: whoever sits at a browser that was left open does not know it.
    assert page.status_code == 200
    assert any("password" in form.fields for form in forms_of(page))


async def test_a_session_does_not_look_fresh_by_itself(here: World) -> None:
    await here.person()
    visitor = await here.signed_in()
    await here.add_app(visitor)
    here.clock.pass_by(hours=1)
    onward = await visitor.get(stronger(here, 2))
    # It has no passkey to answer with, and what it was given begins nothing without one.
    assert onward.status_code == 200

    page = await visitor.get(f"{ADD}/passkey")

    assert urlsplit(page.headers["location"]).path == "/signin"


async def test_a_proof_of_a_session_ends_nowhere_without_the_ticket(here: World) -> None:
    await here.person()
    visitor = await here.signed_in()
    app = await here.add_app(visitor)
    await visitor.post("/signout")
    here.clock.pass_by(minutes=1)
    await give(visitor, await to_factor(visitor), {"code": app.code(), "remember": "1"})
    await visitor.post("/signout")
    await visitor.sign_in("hamlet")
    onward = await visitor.get(stronger(here, 1))
    proof = parse_qs(urlsplit(onward.headers["location"]).query)["proof"][0]
    here.clock.pass_by(minutes=5)

    # The browser is remembered, so without a wish for more nothing would be missing.
    answer = await visitor.get(f"/signin/continue?proof={proof}&next=/account")

    assert answer.status_code == 403
    assert await here.amr(visitor) == ["pwd"]


# --- enrolling on the way --------------------------------------------------------------------------------------------


async def test_who_has_to_have_a_factor_enrols_at_the_next_sign_in(here: World) -> None:
    here.settings(REQUIRED)
    await here.person(verified=False)
    visitor = here.site.visitor()

    page = await to_factor(visitor)
    assert "/account" not in visitor.http.cookies
    assert "Authenticator app" in page.text
    assert "A code by e-mail" not in page.text
    enrolled = await enrol_app(here, visitor, page)

    assert enrolled.status_code == 200
    assert enrolled.text.count("<li><code>") == 10
    assert await here.amr(visitor) == ["pwd", "otp", "mfa"]
    file = await submit(visitor, f"{FACTORS}/codes/file", form_fields(enrolled, f"{FACTORS}/codes/file"))
    assert file.headers["content-disposition"].startswith("attachment")
    assert all(code in file.text for code in codes_on(enrolled))


async def test_a_wrong_code_enrols_nothing(here: World) -> None:
    here.settings(REQUIRED)
    await here.person()
    visitor = here.site.visitor()
    page = await visitor.get(link_to(await to_factor(visitor), "totp"))

    answer = await give(visitor, page, {"code": "000000"})

    assert answer.status_code == 422
    assert await here.amr(visitor) is None
    assert await here.database.lookup.first("SELECT 1 FROM factors_factors") is None


async def enrol_app(here: World, visitor: Visitor, page: httpx.Response) -> httpx.Response:
    """Choose the app and confirm its key."""
    shown = await visitor.get(link_to(page, "totp"))
    found = re.search(r"<code>([A-Z2-7 ]+)</code>", shown.text)
    assert found is not None
    app = App(found[1].replace(" ", ""), here.clock)
    return await give(visitor, shown, {"code": app.code()})


def link_to(page: httpx.Response, method: str) -> str:
    found = re.search(rf'href="(/signin/continue[^"]*method={method})"', page.text)
    assert found is not None, page.text
    return html.unescape(str(found[1]))


def codes_on(page: httpx.Response) -> list[str]:
    return [str(code) for code in re.findall(r"<li><code>([a-z0-9-]+)</code>", page.text)]


def form_fields(page: httpx.Response, action: str) -> dict[str, str]:
    return next(form.fields for form in forms_of(page) if form.action == action)


def fields_of(page: httpx.Response) -> str:
    """The token of the first form of a page."""
    return forms_of(page)[0].fields["csrf"]
