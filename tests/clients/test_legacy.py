"""Legacy allowances: named for what they are, and told in the log without flooding it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import structlog.testing

from kronborg.clients.legacy import legacy_of
from kronborg.clients.model import Client, ClientDraft
from kronborg.clients.settings import ClientSettings
from kronborg.core.ids import new_id
from kronborg.oauth.legacy_use import note

OLD = ClientDraft("old", "Old", grants=("password", "implicit"))


def stored(draft: ClientDraft, now: datetime) -> Client:
    values = {name: getattr(draft, name) for name in ClientDraft.__slots__}
    return Client(**values, created_at=now, updated_at=now)


@pytest.mark.spec("RFC 9700 §2.1.2")
@pytest.mark.spec("RFC 9700 §2.4")
def test_every_allowance_is_named_with_its_clause() -> None:
    hybrid = ClientDraft("hybrid", "Hybrid", settings=ClientSettings(response_types=("code id_token token",)))

    assert [one.word for one in legacy_of(OLD)] == ["password", "implicit"]
    assert [one.word for one in legacy_of(hybrid)] == ["implicit", "id_token"]
    older = ClientDraft("older", "Older", settings=ClientSettings(legacy_client_assertions=True))
    assert [one.word for one in legacy_of(older)] == ["client_assertion"]
    assert legacy_of(ClientDraft("new", "New", grants=("authorization_code",))) == ()
    assert all("§" in one.clause for one in (*legacy_of(OLD), *legacy_of(hybrid)))


def test_use_is_logged_once_an_hour(now: datetime) -> None:
    client = stored(replace(OLD, id=f"old-{new_id()}"), now)

    with structlog.testing.capture_logs() as lines:
        for minutes in (0, 10, 59, 61, 90):
            note(client, "password", now=now + timedelta(minutes=minutes))
        note(client, "implicit", now=now)

    assert [line["legacy"] for line in lines] == ["password", "password", "implicit"]
    assert lines[0]["client_id"] == client.id
