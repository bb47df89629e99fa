"""Codes that are sent cost money: how many leave within an hour, and what an attacker makes of the bounds."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from factors.world import ADD, World, give, to_factor
from kronborg.factors.codes import PER_PERSON, PER_TARGET
from kronborg.factors.model import FactorSettings, SmsSettings
from people_site import Visitor

pytestmark = pytest.mark.anyio

VICTIM = "+4512345678"


def texting(here: World, *, per_hour: int = 1000) -> None:
    """Text messages from here on."""
    here.settings(FactorSettings(sms=SmsSettings(folder=Path("unused"), per_hour=per_hour)))


async def ask_for(visitor: Visitor, number: str) -> httpx.Response:
    """Have a code sent to this number, on the page of the account."""
    return await give(visitor, await visitor.get(f"{ADD}/sms"), {"number": number, "send": "1"})


async def test_one_person_has_no_more_than_so_many_codes_sent_within_an_hour(here: World) -> None:
    texting(here)
    await here.person()
    visitor = await here.signed_in()

    statuses = [(await ask_for(visitor, f"+45123456{number:02d}")).status_code for number in range(20)]
    refused = await give(visitor, await visitor.get(f"{ADD}/email"), {"send": "1"})

    assert statuses == [200] * PER_PERSON + [429] * (20 - PER_PERSON)
    assert len(here.texts) == PER_PERSON
    # Another way and another browser are the same person.
    assert refused.status_code == 429
    assert "So many codes were sent" in refused.text
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    assert (await ask_for(await here.signed_in(), VICTIM)).status_code == 429
    here.clock.pass_by(minutes=61)
    assert (await ask_for(await here.signed_in(), VICTIM)).status_code == 200


async def test_one_number_is_not_flooded_by_many_accounts(here: World) -> None:
    texting(here)
    statuses = []

    for number in range(4):
        await here.person(f"rosencrantz{number}")
        visitor = await here.signed_in(f"rosencrantz{number}")
        statuses += [(await ask_for(visitor, written)).status_code for written in ("+45 12 34 56 78", "004512345678")]

    assert statuses == [200] * PER_TARGET + [429] * (8 - PER_TARGET)
    assert {to for to, _ in here.texts} == {VICTIM}
    assert (await ask_for(visitor, "+4587654321")).status_code == 200


async def test_strangers_who_flood_a_number_do_not_keep_its_owner_out(here: World) -> None:
    texting(here)
    await here.person()
    owner = await here.signed_in()
    page = await ask_for(owner, VICTIM)
    assert (await give(owner, page, {"code": here.texts[-1][1][:6]})).status_code in (200, 303)
    await here.person("rosencrantz")
    stranger = await here.signed_in("rosencrantz")
    while (await ask_for(stranger, VICTIM)).status_code == 200:
        pass

    browser = here.site.visitor()
    asked = await give(browser, await to_factor(browser), {"send": "1"})
    answer = await give(browser, asked, {"code": here.texts[-1][1][:6]})

    assert answer.status_code == 303


async def test_no_more_texts_leave_the_installation_than_it_pays_for_and_letters_still_do(here: World) -> None:
    texting(here, per_hour=3)
    people = []
    for number in range(5):
        await here.person(f"player{number}")
        people.append(await here.signed_in(f"player{number}"))

    statuses = [(await ask_for(visitor, f"+451234567{n}")).status_code for n, visitor in enumerate(people)]
    letter = await give(people[4], await people[4].get(f"{ADD}/email"), {"send": "1"})

    assert statuses == [200, 200, 200, 429, 429]
    assert len(here.texts) == 3
    assert letter.status_code == 200


async def test_who_is_refused_uses_up_nothing_that_others_share(here: World) -> None:
    texting(here, per_hour=PER_PERSON + 1)
    await here.person("rosencrantz")
    await here.person()
    greedy = await here.signed_in("rosencrantz")
    for number in range(PER_PERSON + 10):
        await ask_for(greedy, f"+45123456{number:02d}")

    answer = await ask_for(await here.signed_in(), VICTIM)

    assert answer.status_code == 200
