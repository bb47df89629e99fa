"""Passkeys: registered, used in place of a password and besides it, and every way in which they must be refused."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from factors.world import ADD, FACTORS, ISSUER, Key, World, fields_in, options_of, passkey_form, submit, to_factor
from people_site import Visitor

pytestmark = pytest.mark.anyio


async def with_key(here: World, key: Key | None = None) -> Key:
    await here.person()
    return await here.add_key(await here.signed_in(), key, name="My laptop")


async def alone(here: World, visitor: Visitor, key: Key) -> int:
    """Sign in with the passkey alone; the status."""
    return (await here.answer_key(visitor, await visitor.get("/signin"), key)).status_code


@pytest.mark.spec("WebAuthn Level 3 §7.1")
@pytest.mark.spec("WebAuthn Level 3 §7.2")
async def test_a_passkey_signs_in_without_a_name(here: World) -> None:
    key = await with_key(here)
    visitor = here.site.visitor()

    answer = await here.answer_key(visitor, await visitor.get("/signin?next=/account/security"), key)

    assert (answer.status_code, answer.headers["location"]) == (303, "/account/security")
    # RFC 8176 §2: it knew its person, so it is two factors.
    assert await here.amr(visitor) == ["hwk", "user", "mfa"]
    page = await visitor.get(FACTORS)
    assert "My laptop" in page.text
    assert "not used yet" not in page.text


async def test_a_passkey_is_a_second_factor(here: World) -> None:
    key = await with_key(here, Key(verified=False, synced=True))
    visitor = here.site.visitor()

    answer = await here.answer_key(visitor, await to_factor(visitor), key)

    assert answer.status_code == 303
    assert await here.amr(visitor) == ["pwd", "swk", "user", "mfa"]


@pytest.mark.spec("WebAuthn Level 3 §14.6.1")
async def test_what_a_page_asks_tells_nothing_of_the_person(here: World) -> None:
    user = await here.person()
    visitor = await here.signed_in()

    _, form = passkey_form(await visitor.get(f"{ADD}/passkey"))
    options = options_of(form)

    assert options["rp"] == {"id": "localhost", "name": "Kronborg"}
    assert options["attestation"] == "none"
    assert user.id not in form
    _, first = passkey_form(await here.site.visitor().get("/signin"))
    assert "allowCredentials" not in options_of(first)


@pytest.mark.spec("WebAuthn Level 3 §7.2")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"origin": "https://kronborg.invalid"}, id="origin"),
        pytest.param({"rp_id": "kronborg.invalid"}, id="relying-party"),
        pytest.param({"secret": Key().secret}, id="signature"),
        pytest.param({"id": b"unknown"}, id="unknown"),
        pytest.param({"handle": b"somebody else"}, id="handle"),
        pytest.param({"verified": False}, id="unverified"),
        pytest.param({"count": 0}, id="counter-back"),
    ],
)
async def test_a_false_answer_is_refused(here: World, change: dict[str, object]) -> None:
    key = await with_key(here)
    visitor = here.site.visitor()

    status = await alone(here, visitor, replace(key, **change))  # type: ignore[arg-type]  # fields of a key

    assert status == 422
    assert await here.amr(visitor) is None


@pytest.mark.spec("WebAuthn Level 3 §13.4.3")
async def test_a_challenge_is_answered_once_and_by_its_own_browser(here: World) -> None:
    key = await with_key(here)
    visitor, other = here.site.visitor(), here.site.visitor()
    _, form = passkey_form(await visitor.get("/signin"))
    _, foreign = passkey_form(await other.get("/signin"))
    answer = key.get(options_of(form))

    elsewhere = await submit(
        other, "/signin/passkey", {**fields_in(foreign), "sealed": fields_in(form)["sealed"], "credential": answer}
    )
    first = await submit(visitor, "/signin/passkey", {**fields_in(form), "credential": answer})
    await visitor.post("/signout")
    _, again = passkey_form(await visitor.get("/signin"))
    sealed = fields_in(form)["sealed"]
    second = await submit(visitor, "/signin/passkey", {**fields_in(again), "sealed": sealed, "credential": answer})

    assert (elsewhere.status_code, first.status_code, second.status_code) == (422, 303, 422)


async def test_a_challenge_grows_old(here: World) -> None:
    key = await with_key(here)
    visitor = here.site.visitor()
    page = await visitor.get("/signin")
    here.clock.pass_by(minutes=31)

    answer = await here.answer_key(visitor, page, key)

    assert answer.status_code == 422


async def test_a_challenge_for_a_second_factor_is_none_for_signing_in(here: World) -> None:
    key = await with_key(here)
    visitor = here.site.visitor()
    _, form = passkey_form(await to_factor(visitor))
    _, first = passkey_form(await visitor.get("/signin"))

    moved = {**fields_in(first), "sealed": fields_in(form)["sealed"], "credential": key.get(options_of(form))}
    answer = await submit(visitor, "/signin/passkey", moved)

    assert answer.status_code == 422


@pytest.mark.spec("WebAuthn Level 3 §7.2")
async def test_a_counter_that_goes_back_is_refused_and_told(here: World) -> None:
    key = await with_key(here, Key(count=7))
    copy = replace(key)
    assert await alone(here, here.site.visitor(), key) == 303

    status = await alone(here, here.site.visitor(), copy)

    assert status == 422
    assert [one["reason"] for one in await here.events("factor.refused")] == ["counter"]


async def test_a_key_without_a_counter_works_again_and_again(here: World) -> None:
    key = await with_key(here, Key(count=0))

    statuses = [await alone(here, here.site.visitor(), key) for _ in range(3)]

    assert statuses == [303, 303, 303]


async def test_the_second_factor_of_somebody_else_is_none(here: World) -> None:
    await here.person("ophelia")
    theirs = await here.add_key(await here.signed_in("ophelia"))
    await with_key(here)
    visitor = here.site.visitor()

    answer = await here.answer_key(visitor, await to_factor(visitor), theirs)

    assert answer.status_code == 422
    assert await here.amr(visitor) is None


async def test_a_passkey_is_registered_once_and_for_one_person(here: World) -> None:
    key = await with_key(here)
    await here.person("ophelia")
    visitor = await here.signed_in("ophelia")

    answer = await here.answer_key(visitor, await visitor.get(f"{ADD}/passkey"), key)

    assert answer.status_code == 409
    assert "registered already" in answer.text


async def test_whether_it_is_synchronised_is_kept_and_shown(here: World) -> None:
    await with_key(here, Key(synced=True))
    visitor = here.site.visitor()
    rows = await here.database.lookup.all("SELECT backup_eligible, backed_up, transports FROM factors_factors")

    assert [tuple(map(bool, row[:2])) for row in rows] == [(True, True)]
    assert [orjson.loads(row[2]) for row in rows] == [["internal"]]
    assert visitor.issuer == ISSUER


async def test_a_disabled_person_does_not_sign_in_with_it(here: World) -> None:
    key = await with_key(here)
    await here.disable("hamlet")

    assert await alone(here, here.site.visitor(), key) == 422


@pytest.mark.parametrize("sent", ["", "null", "[]", "{}", '{"rawId": 1}', '{"id":"AA","rawId":"AA"}', "x" * 20_000])
async def test_nonsense_is_refused(here: World, sent: str) -> None:
    await here.person()
    visitor = here.site.visitor()
    _, form = passkey_form(await visitor.get("/signin"))

    answer = await submit(visitor, "/signin/passkey", {**fields_in(form), "credential": sent})

    assert answer.status_code == 422
