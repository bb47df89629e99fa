"""Webhooks: who is told what, signed how, how often, and when it ends."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest

from audit.conftest import Log
from kronborg.audit import webhooks, webhooks_store
from kronborg.audit.checkpoints import read_checkpoint
from kronborg.audit.deliver import AT_ONCE, GIVE_UP, WAITS, Sender, deliver
from kronborg.audit.model import Delivery, Webhook, WebhookDraft
from kronborg.core.errors import Conflict, Invalid
from kronborg.core.events import changes, latest, record
from kronborg.core.fetch import Fetcher
from outside import LOOPBACK, Answer, Outside, outside

pytestmark = pytest.mark.anyio


@dataclass
class Hooks:
    """A log, and somebody who listens."""

    log: Log
    there: Outside
    sender: Sender

    async def make(self, name: str = "siem", *, path: str = "/hook", **draft: Any) -> str:
        """A webhook; its secret."""
        async with self.log.database.write() as session:
            wanted = WebhookDraft(name, self.there.url(path), **draft)
            _, made = await webhooks.save_webhook(session, self.log.vault, wanted, actor="test", now=self.log.now)
        assert made is not None
        await self.log.seal()
        return made.text

    async def turn(self, now: datetime) -> None:
        await self.log.seal()
        while await deliver(self.sender, now=now):
            pass

    async def webhook(self, name: str = "siem") -> Webhook:
        async with self.log.database.read() as session:
            found = await webhooks_store.find_webhook(session, name)
        assert found is not None
        return found

    async def deliveries(self, name: str = "siem") -> list[Delivery]:
        hook = await self.webhook(name)
        async with self.log.database.read() as session:
            return list(await webhooks_store.list_deliveries(session, hook.id, before=None, limit=200))


@pytest.fixture
async def hooks(log: Log) -> AsyncIterator[Hooks]:
    async with outside() as there:
        there.answers["/hook"] = Answer(b"", status=204)
        sender = Sender(log.database, log.vault, Fetcher(LOOPBACK))
        yield Hooks(log, there, sender)


def is_signed(asked: Any, secret: str) -> bool:
    """What a receiver does (Standard Webhooks, verifying signatures)."""
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    expected = "v1," + base64.b64encode(hmac.new(raw, content, sha256).digest()).decode()
    return expected in asked.headers["webhook-signature"].split(" ")


@pytest.mark.spec("Standard Webhooks §Signature scheme")
async def test_a_webhook_is_told_of_events_signed(hooks: Hooks) -> None:
    secret = await hooks.make(events=("thing.*",))
    await hooks.log.happen(2)

    await hooks.turn(hooks.log.now)

    first, second = sorted(hooks.there.asked, key=lambda asked: str(json.loads(asked.body)["timestamp"]))
    assert is_signed(first, secret)
    assert is_signed(second, secret)
    assert not is_signed(first, "whsec_" + base64.b64encode(bytes(32)).decode())
    told = json.loads(first.body)
    assert (told["type"], told["timestamp"], told["data"]["actor"]) == (
        "thing.happened",
        "2026-06-01T12:00:00Z",
        "ophelia",
    )
    assert first.headers["webhook-id"] == told["data"]["id"]
    assert int(first.headers["webhook-timestamp"]) == int(hooks.log.now.timestamp())
    assert json.loads(second.body)["data"]["n"] == told["data"]["n"] + 1


@pytest.mark.parametrize(
    ("patterns", "told"),
    [
        (("*",), ["a.one", "ab.two", "a.x.three"]),
        (("a.*",), ["a.one", "a.x.three"]),
        (("a.one", "ab.two"), ["a.one", "ab.two"]),
        (("a",), []),
    ],
)
async def test_patterns_say_which_events(hooks: Hooks, patterns: tuple[str, ...], told: list[str]) -> None:
    await hooks.make(events=patterns)
    for name in ("a.one", "ab.two", "a.x.three"):
        await hooks.log.happen(1, name=name)

    await hooks.turn(hooks.log.now)

    heard = [json.loads(asked.body)["type"] for asked in hooks.there.asked]
    assert {name for name in heard if not name.startswith("webhook.")} == set(told)


async def test_what_happened_before_is_not_told(hooks: Hooks) -> None:
    await hooks.log.happen(3)
    await hooks.log.seal()

    await hooks.make(events=("thing.*",))
    await hooks.turn(hooks.log.now)

    assert hooks.there.asked == []


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_success_is_one(hooks: Hooks, status: int) -> None:
    hooks.there.answers["/hook"] = Answer(b"", status=status)
    await hooks.make(events=("thing.*",))
    await hooks.log.happen(1)

    await hooks.turn(hooks.log.now)

    [one] = await hooks.deliveries()
    assert (one.state, one.status, one.attempts) == ("delivered", status, 1)


@pytest.mark.parametrize(("status", "result"), [(500, ""), (404, ""), (302, "it answers with a redirect")])
async def test_a_failure_is_tried_again_with_longer_waits_under_the_same_id(
    hooks: Hooks, status: int, result: str
) -> None:
    hooks.there.answers["/hook"] = Answer(b"", status=status, headers={"location": hooks.there.url("/else")})
    await hooks.make(events=("thing.*",))
    await hooks.log.happen(1)
    now, moments = hooks.log.now, []
    await hooks.log.seal()

    for _ in range(len(WAITS) + 3):
        before = len(hooks.there.asked)
        await hooks.turn(now)
        moments += [now] if len(hooks.there.asked) > before else []
        [one] = await hooks.deliveries()
        now = one.next_at if one.state == "pending" else now + timedelta(days=1)

    assert len(hooks.there.asked) == len(WAITS) + 1
    assert len({asked.headers["webhook-id"] for asked in hooks.there.asked}) == 1
    assert len({asked.headers["webhook-timestamp"] for asked in hooks.there.asked}) == len(WAITS) + 1
    assert (one.state, one.result) == ("failed", result)
    gaps = [after - before for before, after in pairwise(moments)]
    assert all(wait <= gap <= wait * 1.21 for wait, gap in zip(WAITS, gaps, strict=True))
    assert timedelta(days=2.9) < moments[-1] - moments[0] < timedelta(days=4)


async def test_one_that_fails_does_not_hold_up_the_others(hooks: Hooks) -> None:
    hooks.there.answers["/bad"] = Answer(b"", status=500)
    await hooks.make("bad", path="/bad", events=("thing.*",))
    await hooks.make("good", events=("thing.*",))
    await hooks.log.happen(AT_ONCE + 5)

    await hooks.turn(hooks.log.now)
    await hooks.log.happen(1)
    await hooks.turn(hooks.log.now + timedelta(seconds=1))

    states = [one.state for one in await hooks.deliveries("good")]
    assert states == ["delivered"] * (AT_ONCE + 6)


async def test_it_is_disabled_after_days_of_failure_and_says_so(hooks: Hooks) -> None:
    hooks.there.answers["/hook"] = Answer(b"", status=500)
    await hooks.make(events=("thing.*",))
    for day in range(GIVE_UP.days + 2):
        await hooks.log.happen(1)
        await hooks.turn(hooks.log.now + timedelta(days=day))

    hook = await hooks.webhook()
    assert hook.disabled
    assert hook.disabled_why == "nothing could be delivered for five days"
    async with hooks.log.database.read() as session:
        assert "webhook.disabled" in [event.name for event in await latest(session)]
    assert {one.state for one in await hooks.deliveries()} == {"failed"}


@pytest.mark.spec("Standard Webhooks §Event delivery")
async def test_410_says_no_more(hooks: Hooks) -> None:
    hooks.there.answers["/hook"] = Answer(b"", status=410)
    await hooks.make(events=("thing.*",))
    await hooks.log.happen(1)

    await hooks.turn(hooks.log.now)

    assert (await hooks.webhook()).disabled_why == "the receiver answered 410"


async def test_a_success_forgets_the_failures(hooks: Hooks) -> None:
    hooks.there.answers["/hook"] = Answer(b"", status=500)
    await hooks.make(events=("thing.*",))
    await hooks.log.happen(1)
    await hooks.turn(hooks.log.now)
    failing = (await hooks.webhook()).failing_since
    hooks.there.answers["/hook"] = Answer(b"", status=200)

    await hooks.turn(hooks.log.now + timedelta(seconds=10))

    assert failing == hooks.log.now
    assert (await hooks.webhook()).failing_since is None


@pytest.mark.spec("Standard Webhooks §Webhook headers")
async def test_two_secrets_sign_while_one_takes_over(hooks: Hooks) -> None:
    old = await hooks.make(events=("thing.*",))
    async with hooks.log.database.write() as session:
        new = await webhooks.rotate_secret(session, hooks.log.vault, "siem", actor="test", now=hooks.log.now)

    for hours in (0, 25):
        await hooks.log.happen(1)
        await hooks.turn(hooks.log.now + timedelta(hours=hours))

    during, after = hooks.there.asked
    assert (is_signed(during, old), is_signed(during, new.text)) == (True, True)
    assert (is_signed(after, old), is_signed(after, new.text)) == (False, True)


async def test_secrets_are_sealed_and_bounded(hooks: Hooks) -> None:
    text = await hooks.make()
    row = await hooks.log.database.lookup.first("SELECT sealed FROM audit_webhook_secrets")

    async with hooks.log.database.write() as session:
        for _ in range(2):
            await webhooks.rotate_secret(session, hooks.log.vault, "siem", actor="test", now=hooks.log.now)
        with pytest.raises(Conflict):
            await webhooks.rotate_secret(session, hooks.log.vault, "siem", actor="test", now=hooks.log.now)

    assert row is not None
    assert text.removeprefix("whsec_") not in row[0]
    assert row[0].startswith("k1.")


@pytest.mark.parametrize(
    ("draft", "where"),
    [
        (WebhookDraft("Bad Name", "https://siem.example/"), "name"),
        (WebhookDraft("siem", "ftp://siem.example/"), "url"),
        (WebhookDraft("siem", "https://user@siem.example/"), "url"),
        (WebhookDraft("siem", "https://siem.example/#x"), "url"),
        (WebhookDraft("siem", "https://siem.example/", ()), "events"),
        (WebhookDraft("siem", "https://siem.example/", ("a*",)), "events[0]"),
        (WebhookDraft("siem", "https://siem.example/", ("*", "User.x")), "events[1]"),
    ],
)
async def test_what_is_wrong_is_named(log: Log, draft: WebhookDraft, where: str) -> None:
    async with log.database.write() as session:
        with pytest.raises(Invalid) as refused:
            await webhooks.save_webhook(session, log.vault, draft, actor="test", now=log.now)

    assert [problem.where for problem in refused.value.problems] == [where]


async def test_an_address_inside_is_never_called(log: Log) -> None:
    async with outside() as there:
        hooks = Hooks(log, there, Sender(log.database, log.vault, Fetcher()))
        await hooks.make(events=("thing.*",))
        await log.happen(1)

        await hooks.turn(log.now)

        [one] = await hooks.deliveries()
        assert there.asked == []
    assert (one.state, one.status, one.result) == ("pending", 0, "the host has no address that may be called")


async def test_personal_values_are_not_told(hooks: Hooks) -> None:
    await hooks.make(events=("user.*",))
    async with hooks.log.database.write() as session:
        detail = changes({"email": "a@shop.example", "disabled": False}, {"email": "b@shop.example", "disabled": True})
        await record(session, "user.updated", actor="x", subject="u1", now=hooks.log.now, detail=detail)

    await hooks.turn(hooks.log.now)

    [asked] = hooks.there.asked
    assert json.loads(asked.body)["data"]["detail"]["changed"] == {
        "email": ["(personal)", "(personal)"],
        "disabled": [False, True],
    }


async def test_a_large_event_goes_without_its_detail(hooks: Hooks) -> None:
    await hooks.make(events=("thing.*",))
    async with hooks.log.database.write() as session:
        detail = {"text": "x" * 50_000}
        await record(session, "thing.grew", actor="x", subject="s", now=hooks.log.now, detail=detail)

    await hooks.turn(hooks.log.now)

    [asked] = hooks.there.asked
    assert json.loads(asked.body)["data"]["detail"] == {"too_large": True}


async def test_checkpoints_are_pushed_to_whom_wants_them(hooks: Hooks) -> None:
    await hooks.make("vault", events=(), checkpoints=True)
    await hooks.log.happen(3)
    await hooks.log.seal()

    made = await hooks.log.checkpoint()
    await hooks.turn(hooks.log.now)

    [asked] = hooks.there.asked
    assert read_checkpoint(json.loads(asked.body)) == made


async def test_a_test_message_and_a_retry_by_hand(hooks: Hooks) -> None:
    await hooks.make(events=("thing.*",))

    delivery_id = await webhooks.send_test(hooks.log.database, "siem", now=hooks.log.now)
    await hooks.turn(hooks.log.now)
    await webhooks.retry_now(hooks.log.database, "siem", delivery_id, now=hooks.log.now)
    await hooks.turn(hooks.log.now)

    assert [json.loads(asked.body)["type"] for asked in hooks.there.asked] == ["webhook.test"] * 2
    [one] = await hooks.deliveries()
    assert (one.state, one.attempts) == ("delivered", 2)
