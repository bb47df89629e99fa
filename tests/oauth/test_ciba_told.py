"""CIBA clients that are told (ping) or sent their tokens (push)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from kronborg.clients.model import ClientDraft
from kronborg.clients.settings import ClientSettings
from kronborg.core.fetch import Fetcher
from kronborg.oauth.ciba_notify import WAITS, deliver
from kronborg.oauth.consent import withdraw
from oauth.ciba_flow import BANK, answered, ask, begin, error_of, poll
from oauth.flow import Flow
from outside import LOOPBACK, Answer, Outside, outside
from token_site import claims_of

pytestmark = pytest.mark.anyio


NOTIFY = "notification-token-0123456789"


def told(delivery: str, there: Outside, **draft: Any) -> ClientDraft:
    """A client that wants to be told."""
    settings = ClientSettings(
        backchannel_token_delivery_mode=delivery,  # type: ignore[arg-type]  # one of the three
        backchannel_client_notification_endpoint=there.url("/notice"),
    )
    return replace(BANK, id=delivery, settings=settings, **draft)


async def telling(flow: Flow) -> int:
    """What the worker does every second."""
    engine = replace(flow.engine, fetcher=Fetcher(LOOPBACK))
    return await deliver(engine, now=flow.clock.now)


@pytest.mark.spec("CIBA §10.2")
async def test_a_client_is_pinged_when_there_is_an_answer(flow: Flow) -> None:
    async with outside() as there:
        there.answers["/notice"] = Answer(status=204)
        client = told("ping", there)
        begun = await begin(flow, client, client_notification_token=NOTIFY)
        early = await telling(flow)
        await answered(flow)

        await telling(flow)
        again = await telling(flow)

        [asked] = there.asked
        assert (early, again) == (0, 0)
        assert asked.headers["authorization"] == f"Bearer {NOTIFY}"
        assert json.loads(asked.body) == {"auth_req_id": begun["auth_req_id"]}
        assert (await poll(flow, begun, client)).status_code == 200


@pytest.mark.spec("CIBA §10.3.1")
async def test_a_client_is_pushed_its_tokens_bound_to_the_request(flow: Flow) -> None:
    async with outside() as there:
        there.answers["/notice"] = Answer(status=204)
        client = told("push", there)
        begun = await begin(flow, client, client_notification_token=NOTIFY)
        await answered(flow)

        await telling(flow)

        [asked] = there.asked
        body = json.loads(asked.body)
        identity = claims_of(body["id_token"])
        assert ("interval" in begun, body["auth_req_id"]) == (False, begun["auth_req_id"])
        assert identity["urn:openid:params:jwt:claim:auth_req_id"] == begun["auth_req_id"]
        assert {"at_hash", "urn:openid:params:jwt:claim:rt_hash"} <= identity.keys()
        assert (await flow.introspect(body["access_token"]))["active"] is True
        assert (await flow.refresh(body["refresh_token"], client)).status_code == 200
        assert error_of(await poll(flow, begun, client)) == (400, "unauthorized_client")


@pytest.mark.spec("CIBA §10.3.1")
async def test_a_client_that_is_away_is_told_again_and_gets_one_family(flow: Flow) -> None:
    async with outside() as there:
        there.answers["/notice"] = Answer(status=503)
        await begin(flow, told("push", there), client_notification_token=NOTIFY)
        await answered(flow)

        first = await telling(flow)
        too_soon = await telling(flow)
        flow.clock.pass_by(seconds=WAITS[0].total_seconds())
        there.answers["/notice"] = Answer(status=204)
        second = await telling(flow)

        assert (first, too_soon, second) == (1, 0, 1)
        one, two = (json.loads(asked.body) for asked in there.asked)
        assert one["refresh_token"] == two["refresh_token"]


@pytest.mark.spec("CIBA §12")
async def test_a_client_is_pushed_a_no_and_silence(flow: Flow) -> None:
    async with outside() as there:
        there.answers["/notice"] = Answer(status=204)
        client = told("push", there)
        await begin(flow, client, client_notification_token=NOTIFY)
        await answered(flow, "deny")
        await telling(flow)
        await begin(flow, client, client_notification_token=NOTIFY)
        flow.clock.pass_by(minutes=5)
        await telling(flow)

        assert [json.loads(asked.body)["error"] for asked in there.asked] == ["access_denied", "expired_token"]


async def test_a_client_that_says_no_is_not_told_again(flow: Flow) -> None:
    async with outside() as there:
        there.answers["/notice"] = Answer(status=401)
        await begin(flow, told("ping", there), client_notification_token=NOTIFY)
        await answered(flow)

        await telling(flow)
        flow.clock.pass_by(minutes=1)
        again = await telling(flow)

        assert (len(there.asked), again) == (1, 0)


async def test_of_two_workers_one_tells(flow: Flow) -> None:
    async with outside() as there:
        there.answers["/notice"] = Answer(status=204)
        await begin(flow, told("ping", there), client_notification_token=NOTIFY)
        await answered(flow)

        await asyncio.gather(telling(flow), telling(flow))

        assert len(there.asked) == 1


@pytest.mark.spec("CIBA §7.1")
@pytest.mark.parametrize("token", ["", "short", "with spaces in it and more", "x" * 1025])
async def test_who_wants_to_be_told_sends_a_token_for_it(flow: Flow, token: str) -> None:
    async with outside() as there:
        answer = await ask(flow, told("ping", there), client_notification_token=token)

    assert error_of(answer) == (400, "invalid_request")


async def test_a_pushed_answer_that_fell_meanwhile_holds_no_tokens(flow: Flow) -> None:
    async with outside() as there:
        there.answers["/notice"] = Answer(status=204)
        await begin(flow, told("push", there), client_notification_token=NOTIFY)
        await answered(flow)
        [(_, user_id)] = await flow.events("ciba.answered")
        await withdraw(flow.database, user_id, "push", now=flow.clock.now)

        await telling(flow)

        assert json.loads(there.asked[0].body)["error"] == "transaction_failed"
