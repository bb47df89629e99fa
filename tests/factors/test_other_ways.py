"""Recovery codes, codes by letter and by text, remembered browsers, and the pages that manage all of it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import orjson
import pytest

from factors.test_journey import codes_on, form_fields, link_to
from factors.world import ADD, FACTORS, Key, World, give, submit, to_factor
from forms import forms_of
from kronborg.core.fetch import Fetcher
from kronborg.factors.model import FactorSettings, SmsSettings, sms_problems
from kronborg.factors.texts import NotSent, sender_of
from outside import LOOPBACK, Answer, outside
from people_site import Visitor

pytestmark = pytest.mark.anyio

# --- recovery codes --------------------------------------------------------------------------------------------------


async def with_codes(here: World) -> tuple[Visitor, list[str]]:
    """Somebody with an app, signed in, and the recovery codes that came with it."""
    await here.person()
    visitor = await here.signed_in()
    await here.add_app(visitor)
    page = await visitor.post(f"{FACTORS}/codes", page=FACTORS)
    return visitor, codes_on(page)


async def with_code(visitor: Visitor, code: str) -> httpx.Response:
    """Sign in with a recovery code."""
    page = await visitor.get(link_to(await to_factor(visitor), "recovery"))
    return await give(visitor, page, {"code": code})


async def test_ten_codes_are_shown_with_the_first_factor_and_never_again(here: World) -> None:
    await here.person()
    visitor = await here.signed_in()
    page = await here.answer_key(visitor, await visitor.get(f"{ADD}/passkey"), Key())

    codes = codes_on(page)

    assert len(set(codes)) == 10
    kept = repr(await here.database.lookup.all("SELECT * FROM factors_recovery_codes"))
    overview = await visitor.get(FACTORS)
    assert not any(code in kept or code in overview.text for code in codes)
    assert "10 of 10 are unused" in overview.text


async def test_a_code_lets_in_once(here: World) -> None:
    _, codes = await with_codes(here)
    first, second = here.site.visitor(), here.site.visitor()

    once = await with_code(first, codes[0].upper().replace("-", " "))
    twice = await with_code(second, codes[0])

    assert (once.status_code, twice.status_code) == (303, 422)
    assert await here.amr(first) == ["pwd", "otp", "mfa"]
    assert [one["left"] for one in await here.events("recovery.used")] == [9]


async def test_new_codes_replace_the_old_and_few_are_told(here: World) -> None:
    visitor, old = await with_codes(here)
    page = await visitor.post(f"{FACTORS}/codes", page=FACTORS)
    new = codes_on(page)

    assert (await with_code(here.site.visitor(), old[0])).status_code == 422
    for code in new[:7]:
        browser = here.site.visitor()
        assert (await with_code(browser, code)).status_code == 303
    assert "Only 3 recovery codes are left" in (await browser.get(FACTORS)).text


async def test_codes_can_be_downloaded_in_their_own_session(here: World) -> None:
    visitor, _ = await with_codes(here)
    page = await visitor.post(f"{FACTORS}/codes", page=FACTORS)
    await here.person("ophelia")
    other = await here.signed_in("ophelia")
    sent = form_fields(page, f"{FACTORS}/codes/file")

    file = await submit(visitor, f"{FACTORS}/codes/file", sent)
    stolen = await other.post(f"{FACTORS}/codes/file", {"sealed": sent["sealed"]}, page="/account/security")

    assert (file.status_code, stolen.status_code) == (200, 404)
    assert all(code in file.text for code in codes_on(page))


# --- letters and texts -----------------------------------------------------------------------------------------------


async def code_in(here: World) -> str:
    found = re.search(r"\b([0-9]{6})\b", await here.letter())
    assert found is not None
    return str(found[1])


async def add_email(here: World, visitor: Visitor) -> httpx.Response:
    page = await give(visitor, await visitor.get(f"{ADD}/email"), {"send": "1"})
    return await give(visitor, page, {"code": await code_in(here)})


async def test_a_code_by_letter(here: World) -> None:
    await here.person()
    await add_email(here, await here.signed_in())
    here.clock.pass_by(minutes=6)
    visitor = here.site.visitor()

    page = await give(visitor, await to_factor(visitor), {"send": "1"})
    code = await code_in(here)
    answer = await give(visitor, page, {"code": code})

    assert "h…@kronborg.example" in page.text
    assert answer.status_code == 303
    assert await here.amr(visitor) == ["pwd", "otp", "mca", "mfa"]
    kept = repr(await here.database.lookup.all("SELECT * FROM factors_sent_codes"))
    assert code not in kept
    again = here.site.visitor()
    asked = await to_factor(again)
    assert "Send a code" in asked.text


async def test_a_code_is_bound_to_its_browser_and_grows_old(here: World) -> None:
    await here.person()
    await add_email(here, await here.signed_in())
    here.clock.pass_by(minutes=6)
    visitor, thief = here.site.visitor(), here.site.visitor()
    page = await give(visitor, await to_factor(visitor), {"send": "1"})
    code = await code_in(here)
    await give(thief, await to_factor(thief), {"send": "1"})

    elsewhere = await submit(
        thief,
        "/signin/factor",
        {**form_fields(await to_factor(thief), "/signin/factor"), "code": code, "method": "email"},
    )
    here.clock.pass_by(minutes=9)
    late = await give(visitor, page, {"code": code})

    assert (elsewhere.status_code, late.status_code) == (422, 422)


async def test_a_code_is_tried_five_times(here: World) -> None:
    await here.person()
    known = await here.signed_in()
    await add_email(here, known)
    await known.post("/signout")
    here.clock.pass_by(minutes=6)
    page = await give(known, await to_factor(known), {"send": "1"})
    right = await code_in(here)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"

    statuses = [(await give(known, page, {"code": wrong})).status_code for _ in range(5)]
    here.clock.pass_by(minutes=1)
    late = await give(known, page, {"code": right})

    assert statuses == [422] * 5
    assert late.status_code == 422


async def test_codes_are_not_sent_without_end(here: World) -> None:
    await here.person()
    await add_email(here, await here.signed_in())
    visitor = here.site.visitor()
    page = await to_factor(visitor)

    statuses = [(await give(visitor, page, {"send": "1"})).status_code for _ in range(5)]

    assert statuses[0] == 200
    assert statuses[-1] == 429


async def test_no_code_goes_to_an_address_that_is_not_proved(here: World) -> None:
    await here.person(verified=False)
    visitor = await here.signed_in()

    page = await visitor.get(f"{ADD}/email")
    answer = await give(visitor, page, {"send": "1"})

    assert answer.status_code == 422
    assert await here.database.lookup.first("SELECT 1 FROM core_letters") is None
    assert f"{ADD}/email" not in (await visitor.get(FACTORS)).text


async def test_a_number_is_proved_first_and_then_texted(here: World) -> None:
    here.settings(FactorSettings(sms=SmsSettings(folder=Path("unused"))))
    await here.person()
    visitor = await here.signed_in()
    wrong = await give(visitor, await visitor.get(f"{ADD}/sms"), {"number": "12 34", "send": "1"})
    page = await give(visitor, await visitor.get(f"{ADD}/sms"), {"number": "0045 12 34 56 78", "send": "1"})
    number, text = here.texts[-1]

    await give(visitor, page, {"code": text[:6]})
    here.clock.pass_by(minutes=6)
    browser = here.site.visitor()
    asked = await give(browser, await to_factor(browser), {"send": "1"})
    answer = await give(browser, asked, {"code": here.texts[-1][1][:6]})

    assert wrong.status_code == 422
    assert number == "+4512345678"
    assert "+45 … 78" in (await visitor.get(FACTORS)).text
    assert answer.status_code == 303
    assert await here.amr(browser) == ["pwd", "sms", "mca", "mfa"]
    assert "12345678" not in repr(await here.database.lookup.all("SELECT sealed, hint FROM factors_factors"))


def list_files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_texts_by_webhook_by_function_and_as_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with outside() as server:
        server.answers["/sms"] = Answer()
        fetcher = Fetcher(LOOPBACK)
        await sender_of(SmsSettings(webhook=server.url("/sms")), fetcher, secret="s3cret")("+4512345678", "hello")
        sent = server.asked[-1]
    assert orjson.loads(sent.body) == {"to": "+4512345678", "text": "hello"}
    assert sent.headers["authorization"] == "Bearer s3cret"

    await sender_of(SmsSettings(folder=tmp_path), fetcher)("+4512345678", "hello")
    [file] = [path for path in list_files(tmp_path) if path.suffix == ".txt"]
    assert file.read_text() == "To: +4512345678\n\nhello\n"

    (tmp_path / "company_texts.py").write_text("SENT = []\ndef send(number, text): SENT.append((number, text))\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    await sender_of(SmsSettings(function="company_texts:send"), fetcher)("+4512345678", "hello")
    with pytest.raises(NotSent):
        await sender_of(SmsSettings(function="company_texts:nothing"), fetcher)("+4512345678", "hello")


@pytest.mark.parametrize(
    "sms",
    [
        SmsSettings(),
        SmsSettings(webhook="ftp://sms.example"),
        SmsSettings(function="x"),
        SmsSettings("https://a.example", folder=Path("x")),
    ],
)
def test_settings_that_name_no_way_are_refused(sms: SmsSettings) -> None:
    assert sms_problems(sms)


# --- risk and remembered browsers ------------------------------------------------------------------------------------


async def test_a_remembered_browser_is_not_asked_until_its_time_is_over(here: World) -> None:
    await here.person()
    app = await here.add_app(await here.signed_in())
    here.clock.pass_by(minutes=1)
    visitor = here.site.visitor()
    await give(visitor, await to_factor(visitor), {"code": app.code(), "remember": "1"})
    await visitor.post("/signout")

    soon = await visitor.sign_in("hamlet")
    other = await here.site.visitor().sign_in("hamlet")
    await visitor.post("/signout")
    here.clock.pass_by(days=31)
    late = await visitor.sign_in("hamlet")

    assert soon.headers["location"] == "/account"
    assert urlsplit(other.headers["location"]).path == "/signin/continue"
    assert urlsplit(late.headers["location"]).path == "/signin/continue"


async def test_a_remembered_browser_is_forgotten_on_the_page(here: World) -> None:
    await here.person()
    keeper = await here.signed_in()
    app = await here.add_app(keeper)
    here.clock.pass_by(minutes=1)
    visitor = here.site.visitor()
    await give(visitor, await to_factor(visitor), {"code": app.code(), "remember": "1"})
    await visitor.post("/signout")
    page = await keeper.get(FACTORS)
    assert "Remembered browsers" in page.text

    [sent] = [form.fields for form in forms_of(page) if "id" in form.fields]
    await submit(keeper, f"{FACTORS}/browsers", sent)

    answer = await visitor.sign_in("hamlet")
    assert urlsplit(answer.headers["location"]).path == "/signin/continue"


async def test_a_remembered_browser_of_one_is_nothing_to_another(here: World) -> None:
    await here.person()
    await here.person("ophelia")
    app = await here.add_app(await here.signed_in())
    await here.add_app(await here.signed_in("ophelia"))
    here.clock.pass_by(minutes=1)
    visitor = here.site.visitor()
    await give(visitor, await to_factor(visitor), {"code": app.code(), "remember": "1"})
    await visitor.post("/signout")

    answer = await visitor.sign_in("ophelia")

    assert urlsplit(answer.headers["location"]).path == "/signin/continue"


async def test_an_unknown_device_is_asked_for_a_letter(here: World) -> None:
    here.settings(FactorSettings(risks=("unknown_device",)))
    await here.person()
    visitor = here.site.visitor()

    page = await give(visitor, await to_factor(visitor), {"send": "1"})
    await give(visitor, page, {"code": await code_in(here)})
    await visitor.post("/signout")
    again = await visitor.sign_in("hamlet")

    assert again.headers["location"] == "/account"


async def test_a_new_network_is_asked(here: World) -> None:
    here.settings(FactorSettings(risks=("new_network",)))
    await here.person()
    first = here.site.visitor()
    page = await give(first, await to_factor(first), {"send": "1"})
    await give(first, page, {"code": await code_in(here)})

    same = await here.site.visitor().sign_in("hamlet")
    other = await here.site.visitor(address="198.51.100.1").sign_in("hamlet")

    assert same.headers["location"] == "/account"
    assert urlsplit(other.headers["location"]).path == "/signin/continue"
